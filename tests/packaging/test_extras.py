"""The installed distribution: on its own, and with each extra alone, in an environment with nothing else.

The environments with an extra begin as copies of the one without, whose modules are compiled already.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from models import get_space
from tests.conftest import ROOT
from tests.packaging.conftest import copy_environment
from tests.waiting import PATIENCE_S

Run = Callable[..., "subprocess.CompletedProcess[str]"]
SEARCH = ("search", "--budget", "70", "--seed", "0")
UNREACHABLE = "postgresql://archrank@127.0.0.1:1/archrank"
REPORT_ROWS = 24


def archrank(environment: Path, cwd: Path) -> Run:
    """Return a function that runs the command line of an environment."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}

    def run(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        command = [str(environment / "bin" / "python"), "-I", "-m", "service.cli", *arguments]
        settings = {"ARCHRANK_DATA_DIR": str(cwd / "data"), "OMP_NUM_THREADS": "1", **variables}
        return subprocess.run(
            command, capture_output=True, text=True, cwd=cwd, env=inherited | settings, timeout=PATIENCE_S
        )

    return run


def write_benchmark(path: Path) -> None:
    space, rng = get_space("gcn-nas"), np.random.default_rng(0)
    architectures = [space.sample(rng, depth=4 + 2 * (i % 2)) for i in range(REPORT_ROWS)]
    rows = [
        {"architecture": space.to_json(architecture), "accuracy": float(rng.uniform(0.8, 0.9))}
        for architecture in architectures
    ]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def assert_missing(completed: "subprocess.CompletedProcess[str]", extra: str) -> None:
    """Assert that a command failed with one sentence that names the command to install the extra."""
    assert (completed.returncode, completed.stdout) == (2, ""), completed.stderr
    assert len(completed.stderr.splitlines()) == 1
    assert f"pip install 'archrank[{extra}]'" in completed.stderr


def test_without_extras_the_service_predicts_and_missing_extras_are_named(base: Path, tmp_path: Path) -> None:
    run = archrank(base, tmp_path)
    space = get_space("gcn-nas")
    architecture = space.to_json(space.sample(np.random.default_rng(0)))
    (tmp_path / "request.json").write_text(json.dumps({"architectures": [architecture], "proxies": []}))
    completed = run("predict", "request.json", "--json")
    assert completed.returncode == 0, completed.stderr
    assert 0.9 < json.loads(completed.stdout)["predictions"][0]["accuracy"] < 1
    assert run("keys", "create", "--name", "lab").returncode == 0

    write_benchmark(tmp_path / "table.jsonl")
    assert_missing(run("report", "--benchmark", "table.jsonl", "--out", "report"), "report")
    assert_missing(run(*SEARCH, "--strategy", "pareto"), "search")
    assert_missing(run("keys", "list", ARCHRANK_STORE_URL=UNREACHABLE), "postgres")
    assert_missing(run("serve", "--port", "0", ARCHRANK_OTLP_ENDPOINT="http://127.0.0.1:1"), "telemetry")

    completed = run(*SEARCH, "--strategy", "random", "--out", "found")
    assert completed.returncode == 0, completed.stderr
    assert "no search.svg" in completed.stderr
    assert "pip install 'archrank[report]'" in completed.stderr
    assert not (tmp_path / "found" / "search.svg").exists()
    assert json.loads((tmp_path / "found" / "result.json").read_text())["num_trials"] == 70


def test_report(base: Path, tmp_path: Path) -> None:
    run = archrank(copy_environment(base, tmp_path / "venv", f"{ROOT}[report]"), tmp_path)
    completed = run(*SEARCH, "--strategy", "random", "--out", "found")
    assert completed.returncode == 0, completed.stderr
    assert (tmp_path / "found" / "search.svg").read_text().startswith("<?xml")
    write_benchmark(tmp_path / "table.jsonl")
    completed = run("report", "--benchmark", "table.jsonl", "--out", "report", "--repeats", "1", "--folds", "3")
    assert completed.returncode == 0, completed.stderr
    assert "<svg" in (tmp_path / "report" / "index.html").read_text()


def test_search(base: Path, tmp_path: Path) -> None:
    run = archrank(copy_environment(base, tmp_path / "venv", f"{ROOT}[search]"), tmp_path)
    completed = run(*SEARCH, "--strategy", "pareto", "--out", "found")
    assert completed.returncode == 0, completed.stderr
    assert json.loads((tmp_path / "found" / "result.json").read_text())["pareto_front"]


def test_postgres(base: Path, tmp_path: Path) -> None:
    run = archrank(copy_environment(base, tmp_path / "venv", f"{ROOT}[postgres]"), tmp_path)
    completed = run("keys", "list", ARCHRANK_STORE_URL=UNREACHABLE)
    assert completed.returncode == 2
    assert "pip install" not in completed.stderr
    assert "127.0.0.1" in completed.stderr


def test_telemetry(base: Path, tmp_path: Path) -> None:
    environment = copy_environment(base, tmp_path / "venv", f"{ROOT}[telemetry]")
    code = "from service.observability.tracing import Tracing; Tracing('http://127.0.0.1:1').close()"
    python = str(environment / "bin" / "python")
    completed = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, timeout=PATIENCE_S)
    assert completed.returncode == 0, completed.stderr


def test_environments_are_apart_from_the_tests_own(base: Path) -> None:
    code = "import service, sys; print(service.__file__); print(sys.prefix)"
    python = str(base / "bin" / "python")
    completed = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True)
    file, prefix = completed.stdout.splitlines()
    assert Path(file).is_relative_to(base)
    assert prefix != sys.prefix
