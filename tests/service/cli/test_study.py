"""`archrank study` and `archrank suggest`: as docs/studies.md has them, on a folder and of a server; mistakes."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from models import get_space
from service.cli import app
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "studies.md").read_text()
BLOCKS = re.findall(r"^```(python|bash)\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
SPACE = get_space("nas-bench-graph", dataset="cora")
GCN = {"link": [0, 0, 1, 1], "ops": ["gcn", "gat", "fc", "gcn"]}
OPTIONS = ("--space", "nas-bench-graph", "--setting", "dataset=cora")


def archrank(*arguments: str | Path, text: str | None = None) -> Result:
    result = CliRunner().invoke(app, list(map(str, arguments)), input=text)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def succeeded(*arguments: str | Path, text: str | None = None) -> str:
    result = archrank(*arguments, text=text)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def documented(*arguments: str | Path) -> Any:
    """Return the JSON that a command prints."""
    return json.loads(succeeded(*arguments, "--json"))


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_commands_of_the_page_run(tmp_path: Path) -> None:
    commands = "".join(text for language, text in BLOCKS if language == "bash")
    assert commands.count("archrank") >= 9
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "COLUMNS": "120"}
    run = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert len((tmp_path / "next.jsonl").read_text().splitlines()) == 5
    suggested = [json.loads(line) for line in run.stdout.splitlines() if line.startswith('{"architecture"')]
    assert len(suggested) == 25
    exported = json.loads((tmp_path / "cora.json").read_text())
    assert [item["value"] for item in exported["observations"]].count(None) == 1
    copy = documented("study", "show", "cora", "--folder", "runs/copies")
    assert copy["observations"] == {"total": 2, "trained": 1, "failed": 1, "running": 0, "architectures": 2}


@pytest.mark.parametrize(
    "code", [text for language, text in BLOCKS if language == "python" and "archrank_client" not in text]
)
def test_python_examples_of_the_page_run(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(code, "studies.md", "exec"), {})
    assert capsys.readouterr().out.strip()


def test_a_loop_on_a_folder() -> None:
    created = documented(
        "study", "create", "a", *OPTIONS, "--no-sources", "--direction", "minimize", "--unit", "percent"
    )
    assert created["metric"] == {"name": "accuracy", "direction": "minimize", "unit": "percent"}
    for i in range(3):
        lines = succeeded("study", "suggest", "a", "--n", "8", "--seed", str(i)).splitlines()
        rows = [json.loads(line) | {"value": 10.0 + i + j, "epochs": 3} for j, line in enumerate(lines)]
        Path("rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
        assert documented("study", "observe", "a", "--file", "rows.jsonl")["added"] == 8
    again = documented("study", "observe", "a", "--file", "rows.jsonl")
    assert again == {"added": 0, "duplicates": 8, "observations": 24}
    (item,) = json.loads(succeeded("study", "predict", "a", "--file", "-", "--json", text=json.dumps(GCN)))[
        "predictions"
    ]
    assert 0 <= item["interval"]["low"] <= item["value"] <= item["interval"]["high"] <= 100
    state = documented("study", "show", "a")
    assert [point["n"] for point in state["quality"]["curve"]] == [10, 20, 24]
    assert state["best"][0]["value"] == 10
    printed = succeeded("study", "show", "a")
    assert all(text in printed for text in ("study a", "architectures: 24 trained", "coverage", "ρ depth"))
    exported = json.loads(succeeded("study", "export", "a"))
    Path("a.json").write_text(json.dumps(exported))
    assert documented("study", "import", "a.json", "--folder", "b")["observations"]["total"] == 24
    assert json.loads(succeeded("study", "export", "a", "--folder", "b")) == exported


def test_first_architectures_of_a_new_task() -> None:
    result = archrank("suggest", *OPTIONS, "--n", "6", "--source", "nas-bench-graph-citeseer")
    architectures = [SPACE.parse(json.loads(line)["architecture"]) for line in result.stdout.splitlines()]
    assert len(set(architectures)) == 6
    assert "sources alone" in " ".join(result.stderr.split())
    document = documented("suggest", *OPTIONS, "--n", "6", "--source", "nas-bench-graph-citeseer")
    assert [SPACE.parse(item["architecture"]) for item in document["suggestions"]] == architectures


WRONG: list[tuple[list[str], str]] = [
    (["study", "show", "nix"], "NAME: got 'nix'; allowed: a study in runs/studies: a"),
    (["study", "create", "a", *OPTIONS, "--unit", "percent"], "metric: got "),
    (["study", "create", "../a", *OPTIONS], "name: got '../a'; allowed: 1 to 100 letters"),
    (["study", "create", "b", "--space", "nix"], "space: got 'nix'; allowed: one of"),
    (["study", "create", "b", *OPTIONS, "--source", "nix"], "sources: got 'nix'; allowed: one of"),
    (["study", "create", "b", *OPTIONS, "--source", "x", "--no-sources"], "source: got ['x']; allowed: none with"),
    (["study", "create", "b", *OPTIONS, "--direction", "up"], "metric.direction: got 'up'; allowed: one of"),
    (["study", "observe", "a"], "architecture: got None; allowed: an architecture in JSON, or --file"),
    (
        ["study", "observe", "a", "--architecture", json.dumps(GCN)],
        "value: got None; allowed: a number, --error for a failed training, or --curve",
    ),
    (["study", "observe", "a", "--architecture", "{"], "value: got None"),
    (["study", "observe", "a", "--architecture", "{", "--value", "1"], "architecture: got 'line 1, column 2'"),
    (["study", "observe", "a", "--architecture", json.dumps(GCN), "--value", "81"], "observations[0].value: got 81.0"),
    (["study", "observe", "a", "--file", "nix.jsonl"], "file: got 'nix.jsonl'; allowed: an existing file"),
    (["study", "observe", "a", "--file", "x", "--value", "1"], "value: got 1.0; allowed: nothing with --file"),
    (["study", "predict", "a", "--file", "nix"], "file: got 'nix'; allowed: an existing file"),
    (["study", "import", "nix.json"], "FILE: got 'nix.json'; allowed: an existing file"),
    (["study", "show", "a", "--url", "http://127.0.0.1:1", "--folder", "b"], "folder: got 'b'; allowed: nothing with"),
    (["study", "show", "a", "--url", "nowhere"], "url: allowed: http://"),
]


@pytest.mark.parametrize(("arguments", "line"), WRONG, ids=[line[:50] for _, line in WRONG])
def test_mistakes_are_one_line_and_exit_code_2(arguments: list[str], line: str) -> None:
    succeeded("study", "create", "a", *OPTIONS, "--no-sources")
    result = archrank(*arguments)
    assert result.exit_code == 2
    assert line in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == ""


def test_studies_of_a_server(url: str) -> None:
    remote = ("--url", url)
    created = documented("study", "create", "cli", *OPTIONS, "--no-sources", *remote)
    assert (created["name"], created["sources"]) == ("cli", [])
    rows = []
    for i in range(22):
        architecture = SPACE.sample(np.random.default_rng(i))
        rows.append({"architecture": SPACE.to_json(architecture), "value": 0.7 + i / 100})
    Path("rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert documented("study", "observe", "cli", "--file", "rows.jsonl", *remote)["added"] == 22
    Path("one.jsonl").write_text(json.dumps(GCN))
    answer = documented("study", "predict", "cli", "--file", "one.jsonl", *remote)
    assert (answer["observations"], answer["pending"]) == (22, 0)
    suggestions = [json.loads(line) for line in succeeded("study", "suggest", "cli", "--n", "3", *remote).splitlines()]
    assert len(suggestions) == 3
    assert documented("study", "show", "cli", *remote)["observations"]["total"] == 22
    Path("cli.json").write_text(succeeded("study", "export", "cli", *remote))
    local = documented("study", "import", "cli.json")
    assert local["observations"]["total"] == 22
    assert documented("study", "predict", "cli", "--file", "one.jsonl")["predictions"] == answer["predictions"]
    assert documented("study", "import", "cli.json", *remote)["id"] == created["id"]


def test_a_training_that_runs() -> None:
    succeeded("study", "create", "cora", *OPTIONS, "--no-sources")
    where = ("study", "observe", "cora", "--architecture", json.dumps(GCN))
    succeeded(*where, "--curve", "[0.41, 0.55]")
    counts = documented("study", "show", "cora")["observations"]
    assert counts == {"total": 1, "trained": 0, "failed": 0, "running": 1, "architectures": 1}
    assert "1 running" in succeeded("study", "show", "cora")
    assert "curve[1]" in archrank(*where, "--curve", "[0.41, 55]").stderr
    assert "curve" in archrank(*where, "--curve", "[0.41").stderr
    assert "--curve for one that still runs" in archrank(*where).stderr
    succeeded(*where, "--value", "0.8", "--curve", "[0.41, 0.55, 0.8]")
    counts = documented("study", "show", "cora")["observations"]
    assert counts == {"total": 2, "trained": 1, "failed": 0, "running": 0, "architectures": 1}
