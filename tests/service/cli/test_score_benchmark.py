"""Scoring a whole benchmark: resumable after a crash, without lost or duplicate rows."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ensemble.data.scores import load_scores
from ensemble.errors import BenchmarkError
from models import InputError
from models.gcn_nas.batches import MotionBatchSpec
from service.cli.score_benchmark import _locked, score_benchmark
from tests.waiting import PATIENCE_S

PROXIES = ["params", "synflow", "nwot", "zen"]
ROWS = 10


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory, space: Any) -> Path:
    """JSON Lines benchmark of ten architectures with arbitrary accuracies."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("benchmark") / "table.jsonl"
    rows = [
        {"architecture": space.to_json(space.sample(rng, depth=4)), "accuracy": 0.9 + 0.001 * i} for i in range(ROWS)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def command(table: Path, out: Path) -> list[str]:
    options = [
        "--batch",
        "batch_size=2",
        "--batch",
        "frames=8",
        "--repeats",
        "1",
        "--jobs",
        "2",
        "--proxies",
        ",".join(PROXIES),
    ]
    return [sys.executable, "-m", "service.cli", "benchmark", "score", str(table), "--out", str(out), *options]


def values(path: Path) -> dict[str, Any]:
    """Read the score values by fingerprint, and check that fingerprints are unique."""
    rows = [json.loads(line) for line in path.read_text().splitlines()[1:]]
    assert len({row["fingerprint"] for row in rows}) == len(rows)
    return {row["fingerprint"]: {name: score["value"] for name, score in row["scores"].items()} for row in rows}


def test_killed_half_way_it_resumes_without_loss_or_duplicates(table: Path, tmp_path: Path) -> None:
    whole, resumed = tmp_path / "whole.jsonl", tmp_path / "resumed.jsonl"
    subprocess.run(command(table, whole), check=True, capture_output=True)

    process = subprocess.Popen(command(table, resumed), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + PATIENCE_S
    while not resumed.exists() or resumed.read_bytes().count(b"\n") < 4:
        assert time.monotonic() < deadline, "no row was written"
        assert process.poll() is None, "the process ended before it was killed"
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = values(resumed) if resumed.read_bytes().endswith(b"\n") else None
    done = resumed.read_bytes().count(b"\n") - 1
    assert 3 <= done < ROWS
    with resumed.open("ab") as file:
        file.write(b'{"fingerprint": "half a ro')  # as a kill inside a write leaves it

    finished = subprocess.run(command(table, resumed), check=True, capture_output=True, text=True)
    assert str(ROWS - done) in finished.stdout + finished.stderr
    after = values(resumed)
    assert len(after) == ROWS
    assert after == values(whole)
    assert before is None or before.items() <= after.items()
    assert not load_scores(resumed).truncated


def test_scores_of_another_kind_are_never_mixed(table: Path, tmp_path: Path) -> None:
    out, spec = tmp_path / "scores.jsonl", MotionBatchSpec(batch_size=2, frames=8)
    assert score_benchmark(table, out, spec, repeats=1, proxies=["params"], jobs=1, limit=2) == 2
    assert score_benchmark(table, out, spec, repeats=1, proxies=["params"], jobs=1, limit=2) == 0
    for change in (
        {"seed": 1},
        {"repeats": 2},
        {"proxies": ["zen"]},
        {"batch": MotionBatchSpec(batch_size=4, frames=8)},
    ):
        arguments: dict[str, Any] = {
            "batch": spec,
            "repeats": 1,
            "proxies": ["params"],
            "jobs": 1,
            "limit": 3,
            **change,
        }
        with pytest.raises(BenchmarkError, match=r"scores\.jsonl"):
            score_benchmark(table, out, **arguments)
    assert len(values(out)) == 2


def test_bad_options_leave_no_table_behind(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores.jsonl"
    for options in (
        {"seed": -1},
        {"repeats": 0},
        {"proxies": ["zenith"]},
        {"batch": MotionBatchSpec(source="npz", data="no")},
    ):
        with pytest.raises(InputError):
            score_benchmark(table, out, **options)
        assert not out.exists()


def test_a_second_writer_is_refused(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores.jsonl"
    with _locked(out), pytest.raises(BenchmarkError, match="no other process"):
        score_benchmark(table, out, proxies=["params"], limit=1)


def test_progress_is_called_after_every_row(table: Path, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    spec = MotionBatchSpec(batch_size=2, frames=8)
    score_benchmark(
        table, tmp_path / "s.jsonl", spec, proxies=["params"], jobs=2, limit=4, progress=lambda *n: calls.append(n)
    )
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]
