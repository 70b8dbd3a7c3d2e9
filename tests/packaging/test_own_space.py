"""The example plug-in as a user installs it, and the commands of docs/own-space.md in their order."""

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.cli.demo import wait_until_ready
from tests.conftest import ROOT
from tests.packaging.conftest import copy_environment
from tests.packaging.test_extras import archrank
from tests.waiting import PATIENCE_S, PATIENT_SERVER

PAGE = (ROOT / "docs" / "own-space.md").read_text()
COMMANDS = re.findall(r"^((?:ARCHRANK_\w+=\S+ )*)archrank (.*)$", PAGE, flags=re.MULTILINE)
EXAMPLE = Path("examples", "own_space")
NUM_ROWS = 24
"""Rows of the table that are scored and fitted."""
FIT = ["--folds", "2", "--combiners", "structure,ridge", "--jobs", "1"]
"""Options of a quick fit, beside those of the page."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy of the example with a part of its table, so that nothing is written into the checkout."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(
        ROOT / EXAMPLE, folder / EXAMPLE, ignore=shutil.ignore_patterns("*.egg-info", "build", "__pycache__")
    )
    rows = (ROOT / EXAMPLE / "table.jsonl").read_text().splitlines(keepends=True)
    (folder / EXAMPLE / "table.jsonl").write_text("".join(rows[:NUM_ROWS]))
    return folder


@pytest.fixture(scope="module")
def environment(base: Path, folder: Path) -> Path:
    """Environment with archrank and the example."""
    return copy_environment(base, folder / "venv", str(folder / EXAMPLE))


@pytest.fixture(scope="module")
def outputs(environment: Path, folder: Path) -> dict[str, str]:
    """Output of each command of the page but `serve`, by its first words."""
    run, outputs = archrank(environment, folder), {}
    for prefix, command in COMMANDS:
        words = shlex.split(command)
        if words != ["serve"]:
            options = FIT if words[0] == "fit" else []
            completed = run(*words, *options, **dict(setting.split("=") for setting in prefix.split()))
            assert completed.returncode == 0, f"{command}: {completed.stderr}"
            outputs[" ".join(word for word in words[:2] if word.isalpha())] = completed.stdout
    return outputs


@pytest.fixture(scope="module")
def server(environment: Path, folder: Path, outputs: dict[str, str]) -> Iterator[httpx.Client]:
    """Client of a server with the fitted ensemble."""
    (prefix,) = (prefix for prefix, command in COMMANDS if command == "serve")
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    settings = PATIENT_SERVER | {"ARCHRANK_DATA_DIR": str(folder / "data"), "OMP_NUM_THREADS": "1"}
    settings |= dict(setting.split("=") for setting in prefix.split())
    command = [str(environment / "bin" / "python"), "-I", "-m", "service.cli", "serve", "--port", "0"]
    environ = inherited | settings
    with (
        (folder / "server.log").open("w") as log,
        subprocess.Popen(command, cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[-1]
            with httpx.Client(base_url=url, timeout=PATIENCE_S) as client:
                wait_until_ready(url, process)
                yield client
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def request() -> dict[str, Any]:
    body: dict[str, Any] = json.loads((ROOT / EXAMPLE / "architectures.json").read_text())
    return body


def test_the_commands_of_the_page_run(outputs: dict[str, str]) -> None:
    assert "tiny-gcn" in outputs["spaces list"]
    assert "archrank-tiny-gcn" in outputs["spaces list"]
    assert f"{NUM_ROWS} architectures of tiny-gcn" in outputs["benchmark validate"]
    assert "nwot" in outputs["score"]
    assert "structure" in outputs["fit"]
    assert "number of" in outputs["predict"]
    assert '"tiny-gcn"' in outputs["search"]


def test_the_server_lists_the_space(server: httpx.Client) -> None:
    spaces = server.get("/v1/spaces").raise_for_status().json()
    assert set(spaces["tiny-gcn"]["capabilities"]) == {"build", "cost", "features", "edit"}


def test_the_server_scores_and_predicts(server: httpx.Client) -> None:
    scores = server.post("/v1/scores", json=request()).raise_for_status().json()
    assert "nwot" in json.dumps(scores)
    predictions = server.post("/v1/predictions", json=request()).raise_for_status().json()["predictions"]
    assert all(0 < prediction["accuracy"] < 1 for prediction in predictions)
    assert [prediction["rank"] for prediction in predictions][-1] == 3, "without graph convolutions accuracy is chance"


def test_a_malformed_architecture_is_refused_by_field(server: httpx.Client) -> None:
    body = {"architectures": [{"space": "tiny-gcn", "layers": ["octopus"], "width": 8}], "proxies": []}
    response = server.post("/v1/predictions", json=body)
    assert "layers[0]" in response.text


def test_training_reproduces_the_table(environment: Path, folder: Path) -> None:
    command = [str(environment / "bin" / "python"), "-I", str(folder / EXAMPLE / "train.py"), "2"]
    completed = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    rows = [json.loads(row) for row in completed.stdout.splitlines()]
    table = [json.loads(row) for row in (folder / EXAMPLE / "table.jsonl").read_text().splitlines()]
    assert len(rows) == 2
    for row, expected in zip(rows, table, strict=False):
        assert row["architecture"] == expected["architecture"]
        assert row["accuracy"] == pytest.approx(expected["accuracy"], abs=0.1)
