"""Commands on a JSON Lines benchmark: `evaluate`, `fit`, `ensembles`, `report`."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from ensemble import Ensemble, card
from models import get_space
from service.cli import app
from service.settings import SHIPPED
from tests.service.conftest import SMALL

pytestmark = pytest.mark.usefixtures("default_ensemble_alone")
ROWS = 40


def archrank(*arguments: str | Path, text: str | None = None) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=text, env={"COLUMNS": "80"})
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def write_table(path: Path, rows: int, accuracy: Callable[[float, np.random.Generator], float]) -> Path:
    space, rng = get_space("gcn-nas"), np.random.default_rng(0)
    lines = []
    for _ in range(rows):
        arch = space.sample(rng)
        row = {
            "architecture": space.to_json(arch),
            "accuracy": accuracy(space.features(arch)["network.fixed.mean"], rng),
        }
        lines.append(json.dumps(row))
    path.write_text("\n".join(lines))
    return path


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Benchmark whose accuracies depend on the number of fixed-graph modules, not on the depth."""
    folder = tmp_path_factory.mktemp("own")
    return write_table(folder / "own.jsonl", ROWS, lambda fixed, rng: 0.9 + 0.01 * fixed + 0.001 * rng.normal())


@pytest.fixture(scope="module")
def ensembles(table: Path) -> Path:
    folder = table.parent / "ensembles"
    result = archrank("fit", "--benchmark", table, "--out", folder / "own", "--folds", "3", "--jobs", "1")
    assert result.exit_code == 0, result.stderr
    assert "NOTE" not in result.stderr
    for shown in ("40 architectures of own", "3-fold", "structure", "stratum", "params", "coverage", "Fitted on 40"):
        assert shown in result.stdout
    assert max(len(line) for line in result.stdout.splitlines() if str(folder) not in line) <= 80
    return folder


def test_a_fitted_ensemble_predicts(ensembles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHRANK_DEFAULT_ENSEMBLE", "own")
    body = json.dumps({"architectures": [SMALL], "proxies": []})
    result = archrank("predict", "-", "--ensembles-dir", ensembles, "--explain", "--compare", text=body)
    assert result.exit_code == 0, result.stderr
    assert "explanation of #0" in result.stdout
    assert "win probability" in result.stdout


def test_its_card_is_shown(ensembles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHRANK_DEFAULT_ENSEMBLE", "own")
    shown = archrank("ensembles", "--ensembles-dir", ensembles)
    assert "40 architectures of own" in shown.stdout
    card = json.loads(archrank("ensembles", "own", "--ensembles-dir", ensembles, "--json").stdout)
    assert card["metrics"]["structure"]["spearman"]["mean"] > card["metrics"]["stratum"]["spearman"]["mean"]
    assert card["method"] == {"repeats": 1, "folds": 3, "seed": 0}


def test_shortcomings_are_printed(tmp_path: Path) -> None:
    noise = write_table(tmp_path / "noise.jsonl", ROWS, lambda fixed, rng: float(rng.uniform(0.9, 0.95)))
    result = archrank("fit", "--benchmark", noise, "--out", tmp_path / "noise", "--folds", "3", "--jobs", "1")
    assert result.exit_code == 0
    assert "does not exceed that of the number of" in result.stderr
    limitations = card(Ensemble.load(tmp_path / "noise").manifest)["limitations"]
    assert "does not exceed that of the number of" in " ".join(limitations)


def test_too_few_rows_are_refused(tmp_path: Path) -> None:
    few = write_table(tmp_path / "few.jsonl", 19, lambda fixed, rng: 0.9 + 0.01 * fixed)
    result = archrank("fit", "--benchmark", few, "--out", tmp_path / "few")
    assert result.exit_code == 2
    assert "few (architectures): got 19; allowed: at least 20" in result.stderr
    assert not (tmp_path / "few").exists()


@pytest.mark.parametrize(
    ("option", "value", "allowed"),
    [
        ("--device", "gpu", "device: got 'gpu'; allowed: one of auto, cpu, cuda"),
        ("--batch", "data=recorded.npz", "data: got 'recorded.npz'; allowed: none with source 'synthetic'"),
        ("--limit", "-1", "greater than or equal to 0"),
    ],
)
def test_options_without_effect_are_refused(table: Path, tmp_path: Path, option: str, value: str, allowed: str) -> None:
    result = archrank("benchmark", "score", table, "--out", tmp_path / "s.jsonl", "--proxies", "params", option, value)
    assert result.exit_code == 2
    assert allowed in result.stderr
    assert not (tmp_path / "s.jsonl").exists()


def test_evaluation_and_page(table: Path, tmp_path: Path) -> None:
    options = ("--benchmark", table, "--repeats", "1", "--folds", "3", "--jobs", "1")
    shown = archrank("evaluate", *options)
    assert shown.exit_code == 0, shown.stderr
    assert max(map(len, shown.stdout.splitlines())) <= 80
    for title in (
        "cross-validated",
        "coverage of 90 % intervals",
        "Brier score of pairs",
        "learning curves",
        "control",
    ):
        assert title in shown.stdout
    evaluation = tmp_path / "evaluation.json"
    evaluation.write_text(archrank("evaluate", *options, "--json").stdout)
    result = archrank("report", "--benchmark", table, "--evaluation", evaluation, "--out", tmp_path / "report")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.strip() == str(tmp_path / "report" / "index.html")
    assert "own" in (tmp_path / "report" / "index.html").read_text()


def test_report_refuses_a_file_that_is_no_evaluation(table: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text("{}")
    result = archrank("report", "--benchmark", table, "--evaluation", other, "--out", tmp_path / "report")
    assert result.exit_code == 2
    assert "the JSON of `archrank evaluate --json`" in result.stderr
    assert not (tmp_path / "report").exists()


def test_tables_name_the_metric_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHRANK_DEFAULT_ENSEMBLE", "proteins")
    space, rng = get_space("nas-bench-graph", dataset="proteins"), np.random.default_rng(0)
    sampled = {arch.key: arch for arch in (space.sample(rng) for _ in range(4 * ROWS))}
    architectures = [space.to_json(arch) for arch in list(sampled.values())[:ROWS]]
    rows = [{"architecture": arch, "accuracy": 0.7 + 0.002 * i} for i, arch in enumerate(architectures)]
    (data := tmp_path / "table.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (body := tmp_path / "body.json").write_text(json.dumps({"architectures": architectures[:2]}))
    task = ("--space", "nas-bench-graph", "--setting", "dataset=proteins")
    assert "ROC-AUC 0.7000 to 0.7780" in archrank("benchmark", "validate", data, *task).stdout
    folder = tmp_path / "ensembles"
    fit = ("--benchmark", data, "--out", folder / "proteins", "--combiners", "ridge", "--folds", "2", "--jobs", "1")
    search = ("--ensemble", "proteins", "--strategy", "random", "--budget", "3", "--out", tmp_path / "search")
    for command in (
        ("fit", *fit, *task),
        ("predict", body, "--ensembles-dir", folder),
        ("search", *search, "--ensembles-dir", folder),
    ):
        result = archrank(*command)
        assert result.exit_code == 0, result.stderr
        assert "ROC-AUC" in result.stdout
        assert "accuracy" not in result.stdout
    assert "predicted ROC-AUC, %" in (tmp_path / "search" / "search.svg").read_text()


@pytest.fixture(scope="module")
def task(table: Path, ensembles: Path) -> Path:
    """Trained architectures of another task: others than those of `table`, with other accuracies."""
    assert (ensembles / "own" / "manifest.json").is_file()
    space, rng = get_space("gcn-nas"), np.random.default_rng(5)
    rows = [
        {"architecture": space.to_json(arch), "accuracy": 0.5 + 0.02 * space.features(arch)["network.fixed.mean"]}
        for arch in (space.sample(rng) for _ in range(25))
    ]
    (path := table.parent / "task.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return path


@pytest.mark.parametrize("rows", [0, 3, 25])
def test_fit_with_a_source(rows: int, task: Path, ensembles: Path, tmp_path: Path) -> None:
    used = task if rows else tmp_path / "task.jsonl"
    used.touch()
    options = ("--benchmark", used, "--space", "gcn-nas", "--rows", str(rows), "--folds", "2", "--jobs", "1")
    fitted = archrank(
        "fit", *options, "--combiners", "ridge,transfer", "--ensembles-dir", ensembles, "--source", "own",
        "--out", tmp_path / "ensembles" / "gcn-nas-ntu",
    )  # fmt: skip
    assert fitted.exit_code == 0, fitted.stderr
    assert "sources       own" in fitted.stdout
    body = json.dumps({"architectures": [SMALL, SMALL], "proxies": []})
    predicted = archrank("predict", "-", "--compare", "--ensembles-dir", tmp_path / "ensembles", text=body)
    assert predicted.exit_code == 0, predicted.stderr
    few = rows < 20
    for text in (fitted.stderr, fitted.stdout, predicted.stdout):
        assert ("ranks and percentiles only" in " ".join(text.split()).lower()) == few
    assert ("—" in predicted.stdout) == few
    assert ("win probability" in predicted.stdout) != few
    shown = archrank("ensembles", "--ensembles-dir", tmp_path / "ensembles")
    assert f"{rows} architectures of task" in shown.stdout
    search = archrank(
        "search", "--ensembles-dir", tmp_path / "ensembles", "--strategy", "random", "--budget", "3",
        "--out", tmp_path / "search",
    )  # fmt: skip
    assert search.exit_code == (2 if few else 0), search.stderr
    assert ("one that predicts accuracies" in search.stderr) == few


def test_sources_by_path_and_wrong_ones(table: Path, task: Path, ensembles: Path, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "new", "--folds", "2", "--jobs", "1")
    fit = ("fit", "--benchmark", task, "--ensembles-dir", ensembles, *out)
    (empty := tmp_path / "empty.jsonl").touch()
    graph = SHIPPED / "nas-bench-graph-cora"
    for command, message in (
        ((*fit, "--source", "nothing"), "source: got 'nothing'; allowed: one of own, the path of an ensemble"),
        ((*fit, "--source", tmp_path), "no readable manifest.json"),
        ((*fit, "--source", "own", "--source", ensembles / "own"), "sources[1]: got 'own'; allowed: a name that no"),
        ((*fit, "--source", graph), "allowed: an ensemble of gcn-nas"),
        (("fit", "--benchmark", table, *out, "--source", ensembles / "own"), "it has seen accuracies of the same"),
        (("fit", "--benchmark", empty, *out, "--source", ensembles / "own"), "with the search space given"),
        ((*fit, "--rows", "19"), "task (architectures): got 19; allowed: at least 20 without sources"),
    ):
        result = archrank(*command)
        assert result.exit_code == 2, result.stderr
        assert message in result.stderr
        assert not (tmp_path / "new").exists()
    by_path = archrank(*fit, "--rows", "0", "--source", ensembles / "own")
    assert by_path.exit_code == 0, by_path.stderr


def test_predictions_from_the_first_epochs(table: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in table.read_text().splitlines()]
    for row in rows:
        curve = [row["accuracy"] - 0.2, row["accuracy"] - 0.1]
        row["trainings"] = [{"seed": 0, "curve": {"accuracy": curve}}]
    trained, queried, folder = tmp_path / "trained.jsonl", tmp_path / "queried.jsonl", tmp_path / "curves"
    trained.write_text("\n".join(map(json.dumps, rows)))
    options = (
        "--benchmark",
        trained,
        "--combiners",
        "early_curve",
        "--default",
        "ridge",
        "--folds",
        "2",
        "--jobs",
        "1",
    )
    fitted = archrank("fit", *options, "--curves", "2", "--out", folder)
    assert fitted.exit_code == 0, fitted.stderr
    too_long = archrank("fit", *options, "--curves", "3", "--out", tmp_path / "other")
    assert (too_long.exit_code, "curve_epochs: got 3" in too_long.stderr) == (2, True), too_long.stderr
    architectures = [row["architecture"] for row in rows[:2]]
    queries = [
        {"architecture": architectures[0], "curve": {"accuracy": [0.72, 0.82]}},
        {"architecture": architectures[1]},
    ]
    queried.write_text("\n".join(map(json.dumps, queries)))
    result = archrank("predict-curves", folder, queried, "--json")
    assert result.exit_code == 0, result.stderr
    first, second = json.loads(result.stdout)["predictions"]
    assert (first["combiner"], second["combiner"]) == ("early_curve", "ridge")
    assert first["accuracy"] == pytest.approx(0.92, abs=0.005)
    assert "without a training curve of 2 epochs" in second["warnings"][-1]
    assert "early_curve" in archrank("predict-curves", folder, queried).stdout
    queried.write_text(json.dumps({"architecture": architectures[0], "curve": {"accuracy": [72]}}))
    assert "queried.jsonl line 1, curve.accuracy[0]: got 72" in archrank("predict-curves", folder, queried).stderr
