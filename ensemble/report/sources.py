"""What a report needs besides a benchmark and its scores: scores over training epochs, and what scoring cost."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ensemble.data.benchmark import (
    BEFORE_TRAINING,
    Benchmark,
    Entry,
    Scores,
    finite,
    public_records,
    public_scores,
    read_scores,
)
from ensemble.data.scores import read_rows
from ensemble.errors import BenchmarkError
from models import InputError

Array = NDArray[np.float64]


def load_epochs(path: str | Path, benchmark: Benchmark) -> dict[int, Benchmark]:
    """The published scores after every training epoch that a benchmark's public files hold, each file read once.

    Args:
        path: what `benchmark` was loaded from; a JSON Lines file holds no epochs.
        benchmark: tells the architectures and their order.

    Returns:
        By epoch, the same architectures and accuracies with the scores of that epoch, none where a file lacks it.

    Raises:
        BenchmarkError: names the file and the field.
    """
    scores: dict[int, dict[str, Scores]] = {}
    for name, fingerprint, record in _records(Path(path), benchmark):
        for field in record:
            epoch = field.removeprefix(f"{BEFORE_TRAINING}_")
            if epoch != field and epoch.isdecimal() and len(epoch) < 10:
                row = {proxy: one["score"] for proxy, one in public_scores(record, field, name).items()}
                scores.setdefault(int(epoch), {})[fingerprint] = read_scores(row, f"{name}, {field}")
    return {epoch: _with_scores(benchmark, rows) for epoch, rows in sorted(scores.items())}


def published_seconds(path: str | Path, benchmark: Benchmark) -> dict[str, Array]:
    """By proxy, the published seconds of scoring each architecture before training, (n,); empty for a JSON Lines file.

    NaN where there is no number. Arguments and errors as those of `load_epochs`.
    """
    rows = {
        fingerprint: public_scores(record, BEFORE_TRAINING, name)
        for name, fingerprint, record in _records(Path(path), benchmark)
    }
    return _seconds(rows, "time", benchmark)


def score_seconds(path: str | Path, benchmark: Benchmark) -> dict[str, Array]:
    """By proxy, the seconds that scoring each architecture took us, (n,), from a table of `benchmark score`.

    NaN where there is no number. Raises `BenchmarkError` for what is no such table.
    """
    _, rows, _ = read_rows(path)
    return _seconds({row["fingerprint"]: row["scores"] for row in rows}, "seconds", benchmark)


def _records(path: Path, benchmark: Benchmark) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """File name, fingerprint and content of each public file."""
    known = {arch.fingerprint for arch in benchmark.architectures}
    for name, record in public_records(path):
        try:
            fingerprint = benchmark.space.parse({"weights": record["weights"]}).fingerprint
        except InputError as error:
            raise BenchmarkError.at(name, error) from error
        if fingerprint not in known:
            raise BenchmarkError(f"{name}, weights", fingerprint, f"an architecture of {benchmark.name}")
        yield name, fingerprint, record


def _with_scores(benchmark: Benchmark, rows: dict[str, Scores]) -> Benchmark:
    none: Scores = {}
    entries = (
        Entry(entry.architecture, entry.accuracy, entry.seconds, rows.get(entry.architecture.fingerprint, none))
        for entry in benchmark.entries
    )
    return Benchmark(benchmark.name, benchmark.space, tuple(entries))


def _seconds(rows: dict[str, dict[str, Any]], field: str, benchmark: Benchmark) -> dict[str, Array]:
    aligned = [rows.get(arch.fingerprint, {}) for arch in benchmark.architectures]
    proxies = sorted({proxy for row in aligned for proxy in row})
    columns = {proxy: np.array([_duration(row.get(proxy, {}).get(field)) for row in aligned]) for proxy in proxies}
    return {proxy: column for proxy, column in columns.items() if not np.isnan(column).all()}


def _duration(value: Any) -> float:
    seconds = finite(value)
    return math.nan if seconds is None or seconds < 0 else seconds
