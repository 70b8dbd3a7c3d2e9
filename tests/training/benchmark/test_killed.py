"""A build whose processes are killed ten times at random equals one that was not interrupted."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.waiting import PATIENCE_S

KILLS, EPOCHS = 10, 30
MEASURED = ("seconds", "peak_memory", "energy")
"""Fields of epochs and rows that differ from run to run."""


@pytest.fixture(scope="module")
def server() -> Iterator[subprocess.Popen[str]]:
    """Process that forks builds."""
    command = [sys.executable, "-m", "tests.training.benchmark.builds"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def run_build(
    server: "subprocess.Popen[str]", out: Path, data: Path, act: Callable[[int], None] = lambda pid: None
) -> int:
    """Run a build, act on its process group, and return its exit status."""
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(json.dumps({"out": str(out), "data": str(data), "epochs": EPOCHS}) + "\n")
    server.stdin.flush()
    act(int(server.stdout.readline()))
    return int(server.stdout.readline())


def without_measurements(value: Any) -> Any:
    if isinstance(value, list):
        return [without_measurements(item) for item in value]
    if isinstance(value, dict):
        return {name: without_measurements(item) for name, item in value.items() if name not in MEASURED}
    return value


def results(out: Path) -> tuple[list[Any], list[Any]]:
    """Rows of the table and results of the journal, without what differs from run to run."""
    table, journal = ((out / name).read_text().splitlines() for name in ("table.jsonl", "trainings.jsonl"))
    trainings = [json.loads(line) for line in journal]
    return (
        without_measurements([json.loads(row) for row in table]),
        sorted(without_measurements(trainings), key=json.dumps),
    )


def checkpoints(out: Path) -> dict[str, int]:
    folder = out / "checkpoints"
    try:
        return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.safetensors")}
    except FileNotFoundError:  # removed meanwhile
        return {}


def test_killed_ten_times_it_equals_an_uninterrupted_build(
    server: "subprocess.Popen[str]", graph_file: Path, tmp_path: Path
) -> None:
    whole, killed, rng = tmp_path / "whole", tmp_path / "killed", random.Random(0)
    assert run_build(server, whole, graph_file) == 0

    def kill(pid: int) -> None:
        """Kill all processes after some checkpoints and an arbitrary moment."""
        state, remaining, deadline = checkpoints(killed), rng.randrange(5), time.monotonic() + PATIENCE_S
        while remaining:
            assert time.monotonic() < deadline, "no checkpoint was written"
            if (new := checkpoints(killed)) != state:
                state, remaining = new, remaining - 1
            time.sleep(0.001)
        time.sleep(rng.random() * 0.03)
        os.killpg(pid, signal.SIGKILL)

    assert [run_build(server, killed, graph_file, kill) for _ in range(KILLS)] == [-signal.SIGKILL] * KILLS
    assert len((killed / "trainings.jsonl").read_text().splitlines()) < 8, "it was not over before the last kill"
    assert run_build(server, killed, graph_file) == 0
    assert results(killed) == results(whole)
    rows, _ = results(whole)
    assert sorted(len(row["trainings"]) for row in rows) == [1, 1, 2, 2]
    assert all(len(training["curve"]["accuracy"]) == EPOCHS for row in rows for training in row["trainings"])
    assert not list((killed / "checkpoints").iterdir())
