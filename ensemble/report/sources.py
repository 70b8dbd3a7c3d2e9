"""What a report needs besides a benchmark and its scores: scores over training epochs, and what scoring cost."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ensemble.benchmark import Benchmark, Entry, Scores
from ensemble.errors import BenchmarkError
from ensemble.scores import load_scores
from models import InputError

Array = NDArray[np.float64]
SCORES = "zero_cost_scores"
"""The public files' field of the scores before training; with `_<epoch>` behind, of those after that epoch."""


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
    for name, fingerprint, record in _public_records(Path(path), benchmark):
        for field, value in record.items():
            epoch = field.removeprefix(f"{SCORES}_")
            if epoch != field and epoch.isdecimal():
                row = _object(value, name, field)
                scores.setdefault(int(epoch), {})[fingerprint] = {
                    proxy: _score(score, f"{name}, {field}, {proxy}") for proxy, score in row.items()
                }
    return {epoch: _with_scores(benchmark, rows) for epoch, rows in sorted(scores.items())}


def published_seconds(path: str | Path, benchmark: Benchmark) -> dict[str, Array]:
    """By proxy, the published seconds of scoring each architecture before training, (n,); empty for a JSON Lines file.

    NaN where there is no number. Arguments and errors as those of `load_epochs`.
    """
    rows = {
        fingerprint: _object(record.get(SCORES, {}), name, SCORES)
        for name, fingerprint, record in _public_records(Path(path), benchmark)
    }
    return _seconds(rows, "time", benchmark)


def score_seconds(path: str | Path, benchmark: Benchmark) -> dict[str, Array]:
    """By proxy, the seconds that scoring each architecture took us, (n,), from a table of `benchmark score`.

    NaN where there is no number. Raises `BenchmarkError` for what is no such table.
    """
    path = Path(path)
    load_scores(path)  # refuses a malformed table with file and line
    lines = path.read_bytes().split(b"\n")[1:-1]
    rows = [json.loads(line) for line in lines]
    return _seconds({row["fingerprint"]: row["scores"] for row in rows}, "seconds", benchmark)


def _public_records(path: Path, benchmark: Benchmark) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """File name, fingerprint and content of each public file."""
    known = {arch.fingerprint for arch in benchmark.architectures}
    folder = path / "data" if (path / "data").is_dir() else path
    for file in sorted(folder.glob("*.json")) if path.is_dir() else ():
        try:
            (record,) = json.loads(file.read_bytes()).values()
            fingerprint = benchmark.space.parse({"weights": record["weights"]}).fingerprint
        except (ValueError, AttributeError, TypeError, KeyError) as error:
            if isinstance(error, InputError):
                raise BenchmarkError.at(file.name, error) from error
            raise BenchmarkError(file.name, str(error), "an object with one architecture under its hash") from error
        if fingerprint not in known:
            raise BenchmarkError(f"{file.name}, weights", fingerprint, f"an architecture of {benchmark.name}")
        yield file.name, fingerprint, record


def _object(value: Any, name: str, field: str) -> dict[str, dict[str, Any]]:
    if not isinstance(value, dict) or not all(isinstance(score, dict) and "score" in score for score in value.values()):
        raise BenchmarkError(f"{name}, {field}", value, 'an object of {"score": …} by proxy')
    return value


def _score(entry: dict[str, Any], place: str) -> float | None:
    score = entry["score"]
    if score is None or (isinstance(score, str) and score.lower() == "nan"):
        return None
    if isinstance(score, bool) or not isinstance(score, int | float):
        raise BenchmarkError(place, score, 'a number, null or "NaN"')
    # An integer may be too large for a float, which isfinite would raise on.
    return float(score) if -1e308 < score < 1e308 else None


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
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if number and 0 <= value < math.inf else math.nan
