"""Optional input of a report: scores by training epoch, and scoring times."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ensemble.data.benchmark import Benchmark, Entry, ProxyScores, as_finite, parse_scores
from ensemble.data.gcn_nas import READER, UNTRAINED_SCORES, public_scores, read_public_records
from ensemble.data.scores import read_rows
from ensemble.errors import BenchmarkError
from models import InputError

Array = NDArray[np.float64]


def load_epochs(path: str | Path, benchmark: Benchmark) -> dict[int, Benchmark]:
    """Read the published scores of every training epoch, each file once.

    Args:
        path: path of the benchmark. A JSON Lines file contains no epochs.
        benchmark: the benchmark.

    Returns:
        By epoch, the same architectures and accuracies with the scores of that epoch; none where a file lacks it.

    Raises:
        BenchmarkError: a file is malformed. Names the file and the field.
    """
    scores: dict[int, dict[str, ProxyScores]] = {}
    for name, fingerprint, record in _records(Path(path), benchmark):
        for field in record:
            epoch = field.removeprefix(f"{UNTRAINED_SCORES}_")
            if epoch != field and epoch.isdecimal() and len(epoch) < 10:
                row = {proxy: score["score"] for proxy, score in public_scores(record, field, name).items()}
                scores.setdefault(int(epoch), {})[fingerprint] = parse_scores(row, f"{name}, {field}")
    return {epoch: _with_scores(benchmark, rows) for epoch, rows in sorted(scores.items())}


def published_seconds(path: str | Path, benchmark: Benchmark) -> dict[str, Array]:
    """Read the published scoring times before training.

    Args:
        path: path of the benchmark. A JSON Lines file contains no times.
        benchmark: the benchmark, of n architectures.

    Returns:
        Seconds by proxy, shape (n,); NaN where there is no number.

    Raises:
        BenchmarkError: a file is malformed. Names the file and the field.
    """
    rows = {
        fingerprint: public_scores(record, UNTRAINED_SCORES, name)
        for name, fingerprint, record in _records(Path(path), benchmark)
    }
    return _seconds(rows, "time", benchmark)


def score_seconds(path: str | Path, benchmark: Benchmark) -> dict[str, Array]:
    """Read our scoring times.

    Args:
        path: table of scores, as `archrank benchmark score` writes it.
        benchmark: the benchmark, of n architectures.

    Returns:
        Seconds by proxy, shape (n,); NaN where there is no number.

    Raises:
        BenchmarkError: the table is missing or malformed.
    """
    _, rows, _ = read_rows(path)
    return _seconds({row["fingerprint"]: row["scores"] for row in rows}, "seconds", benchmark)


def _records(path: Path, benchmark: Benchmark) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield file name, fingerprint and record of each public file."""
    if benchmark.space.name != READER.space:
        return
    known = {arch.fingerprint for arch in benchmark.architectures}
    for name, record in read_public_records(path):
        try:
            fingerprint = benchmark.space.parse({"weights": record["weights"]}).fingerprint
        except InputError as error:
            raise BenchmarkError.at(name, error) from error
        if fingerprint not in known:
            raise BenchmarkError(f"{name}, weights", fingerprint, f"an architecture of {benchmark.name}")
        yield name, fingerprint, record


def _with_scores(benchmark: Benchmark, rows: dict[str, ProxyScores]) -> Benchmark:
    no_scores: ProxyScores = {}
    entries = (
        Entry(entry.architecture, entry.accuracy, entry.seconds, rows.get(entry.architecture.fingerprint, no_scores))
        for entry in benchmark.entries
    )
    return Benchmark(benchmark.name, benchmark.space, tuple(entries))


def _seconds(rows: dict[str, dict[str, Any]], field: str, benchmark: Benchmark) -> dict[str, Array]:
    aligned = [rows.get(arch.fingerprint, {}) for arch in benchmark.architectures]
    proxies = sorted({proxy for row in aligned for proxy in row})
    columns = {proxy: np.array([_duration(row.get(proxy, {}).get(field)) for row in aligned]) for proxy in proxies}
    return {proxy: column for proxy, column in columns.items() if not np.isnan(column).all()}


def _duration(value: Any) -> float:
    seconds = as_finite(value)
    return math.nan if seconds is None or seconds < 0 else seconds
