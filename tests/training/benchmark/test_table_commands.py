"""The commands of docs/own-benchmark.md on the table of a build: validate, score, evaluate, fit, report, studies."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from service.cli import app
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "own-benchmark.md").read_text()
BLOCKS = "\n".join(re.findall(r"^```\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)).replace("\\\n", " ")
OF_THE_PAGE = ("--space", "gcn-nas", "--setting", "skeleton=kinect", "--setting", "num_persons=1", "--setting")
SPACE = ("--space", "nas-bench-graph", "--setting", "dataset=photo")
CHEAP = ("--folds", "2", "--jobs", "1")
ROWS, EPOCHS = 24, 3


def commands(*names: str) -> list[list[str]]:
    """Commands of the page on the table of the page's build, or on any own table."""
    words = [shlex.split(line, comments=True)[1:] for line in BLOCKS.splitlines() if line.startswith("archrank ")]
    return [
        command
        for command in words
        if tuple(command[: len(names)]) == names and not any("$" in word or "source=npz" in word for word in command)
    ]


def run(command: list[str], *options: str) -> str:
    """Run a command of the page, with the space of the build in place of the page's."""
    kept = [word for word in command if word not in OF_THE_PAGE and word != "num_classes=10"]
    space = SPACE if command[0] in ("benchmark", "evaluate", "fit", "report") or "create" in command else ()
    result = CliRunner().invoke(app, [*kept, *space, *options])
    assert result.exit_code == 0, (command, result.output, result.exception)
    return result.stdout


@pytest.fixture(scope="module")
def folder(graph_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Working folder with the table of a build, as `table.jsonl` and where the page builds it."""
    folder = tmp_path_factory.mktemp("own")
    out = folder / "runs" / "nw-ucla"
    sample = ("--architectures", str(ROWS), "--strata", "2,4", "--epochs", str(EPOCHS), "--repeat", "0.25")
    options = ("--workers", "1", "--threads", "1", "--device", "cpu", "--proxies", "params", "--probe-epochs", "0,2")
    data = ("--data", str(graph_file), "--split", "random", "--out", str(out))
    result = CliRunner().invoke(app, ["benchmark", "build", *SPACE, *data, *sample, *options])
    assert result.exit_code == 0, result.output
    (folder / "table.jsonl").write_bytes((out / "table.jsonl").read_bytes())
    return folder


@pytest.fixture(autouse=True)
def within(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


@pytest.fixture(scope="module")
def scores(folder: Path) -> Path:
    (command,) = commands("benchmark", "score")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run(command, "--proxies", "params", "--jobs", "1")
    return folder / "scores.jsonl"


def test_validate(folder: Path) -> None:
    of_any, of_the_build = commands("benchmark", "validate")
    assert f"{ROWS} architectures of nas-bench-graph" in run(of_any)
    assert f"{ROWS} architectures of nas-bench-graph" in run(of_the_build)


@pytest.fixture(scope="module")
def evaluation(scores: Path) -> Path:
    (command,) = commands("evaluate")
    path = scores.parent / "evaluation.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(scores.parent)
        path.write_text(run(command, *CHEAP, "--repeats", "1", "--json"))
    return path


def test_evaluate(evaluation: Path) -> None:
    assert json.loads(evaluation.read_bytes())["benchmark"]["size"] == ROWS


def test_fit_with_scores(evaluation: Path) -> None:
    with_scores, _, *_ = commands("fit")
    assert f"Fitted on {ROWS}" in run(
        with_scores, "--evaluation", str(evaluation), "--combiners", "structure,forest", "--jobs", "1"
    )
    assert "params" in Path("ensembles/mine/manifest.json").read_text()


def test_fit_with_curves_predicts_from_curves(folder: Path) -> None:
    _, with_curves, *_ = commands("fit")
    assert f"Fitted on {ROWS}" in run(with_curves, *CHEAP, "--combiners", "structure,early_curve")
    row: Any = json.loads(Path("table.jsonl").read_text().splitlines()[0])
    partial = {"architecture": row["architecture"], "curve": row["trainings"][0]["curve"]}
    Path("partial.jsonl").write_text(json.dumps(partial) + "\n")
    (predict,) = commands("predict-curves")
    assert json.loads(run(predict, "--json"))


def test_report(evaluation: Path) -> None:
    pytest.importorskip("matplotlib")
    (command,) = commands("report")
    run(command, "--evaluation", str(evaluation))
    assert "nas-bench-graph" in Path("report/index.html").read_text()


def test_a_study_observes_every_training() -> None:
    (create,), (observe,) = commands("study", "create"), commands("study", "observe")
    run(create, "--no-sources")
    rows = [json.loads(line) for line in Path("table.jsonl").read_text().splitlines()]
    trainings = [(i, training) for i, row in enumerate(rows) for training in row["trainings"]]
    assert len(trainings) > ROWS
    distinct = {(i, training["accuracy"], *training["curve"]["accuracy"]) for i, training in trainings}
    assert json.loads(run(observe, "--json"))["observations"] == len(distinct)
