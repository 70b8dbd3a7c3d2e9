"""Benchmarks: architectures with their accuracy after training."""

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.atomic_files import json_line, write_atomically
from common.files import check_file, parse_json, read_file
from ensemble.errors import BenchmarkError
from models import Architecture, EncodedSpace, InputError, SearchSpace, get_space, require

FIELDS = ("architecture", "accuracy", "seconds", "scores")
"""Fields of a row of a JSON Lines benchmark; the first two are required."""

UNTRAINED_SCORES = "zero_cost_scores"
"""Field of the public files with the scores before training; `_<epoch>` is appended for those after an epoch."""

ProxyScores = dict[str, float | None]
"""Score by proxy; None where it is missing or not finite."""


@dataclass(frozen=True)
class Entry:
    """Trained architecture.

    Attributes:
        architecture: the architecture.
        accuracy: validation accuracy after training, a fraction.
        seconds: training time; None if unknown.
        scores: published proxy scores.
    """

    architecture: Architecture
    accuracy: float
    seconds: float | None = None
    scores: ProxyScores = field(default_factory=dict)


@dataclass(frozen=True)
class Benchmark:
    """Trained architectures of one search space.

    Attributes:
        name: name of the benchmark.
        space: the search space.
        entries: the architectures, unique and sorted by fingerprint.
    """

    name: str
    space: SearchSpace[Any]
    entries: tuple[Entry, ...]

    def __len__(self) -> int:
        return len(self.entries)

    @cached_property
    def architectures(self) -> list[Architecture]:
        """Architectures in the order of the entries."""
        return [entry.architecture for entry in self.entries]

    @cached_property
    def accuracy(self) -> NDArray[np.float64]:
        """Accuracies, fractions, shape (n,)."""
        return np.array([entry.accuracy for entry in self.entries])

    @cached_property
    def strata(self) -> NDArray[np.int64]:
        """Stratum of each architecture, its number of layers, shape (n,)."""
        return require(self.space, EncodedSpace).strata(self.architectures)

    @cached_property
    def data_hash(self) -> str:
        """SHA-256 of fingerprints and accuracies, which does not depend on the file format."""
        lines = (f"{entry.architecture.fingerprint} {entry.accuracy!r}\n" for entry in self.entries)
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    @property
    def summary(self) -> dict[str, Any]:
        """Summary as plain data: search space, size, hash, range of accuracies, number of architectures by stratum."""
        strata, counts = np.unique(self.strata, return_counts=True)
        return {
            "name": self.name,
            "space": self.space.name,
            "settings": self.space.settings,
            "size": len(self),
            "data_hash": self.data_hash,
            "accuracy_range": [float(self.accuracy.min()), float(self.accuracy.max())],
            "by_stratum": {str(stratum): int(count) for stratum, count in zip(strata, counts, strict=True)},
        }

    @cached_property
    def proxies(self) -> tuple[str, ...]:
        """Names of the proxies with published scores, sorted."""
        return tuple(sorted({name for entry in self.entries for name in entry.scores}))


def load_benchmark(path: str | Path, space: str | SearchSpace[Any] = "gcn-nas") -> Benchmark:
    """Read a benchmark.

    Args:
        path: the folder of the public JSON files, or the folder above their `data` folder; or a JSON Lines file or pipe
            with one `{"architecture": …, "accuracy": 0.93, "seconds": …, "scores": {…}}` per line.
        space: search space, or its name.

    Raises:
        BenchmarkError: the benchmark is missing or malformed. Names the file, the line and the field.
        UnknownNameError: no search space has that name.
    """
    path = Path(path)
    space = get_space(space) if isinstance(space, str) else space
    rows = _public_rows(path) if _is_folder(path) else _table_rows(path)
    places: dict[str, str] = {}
    entries: list[Entry] = []
    for place, row in rows:
        entry = _entry(place, row, space)
        fingerprint = entry.architecture.fingerprint
        if fingerprint in places:
            raise BenchmarkError(
                f"{place}, architecture", fingerprint, f"each architecture once; this one is also {places[fingerprint]}"
            )
        places[fingerprint] = place
        entries.append(entry)
    if not entries:
        raise BenchmarkError(str(path), "no architectures", "at least one")
    entries.sort(key=lambda entry: entry.architecture.fingerprint)
    return Benchmark(path.stem, space, tuple(entries))


def write_table(benchmark: Benchmark, path: str | Path) -> None:
    """Write a benchmark as JSON Lines, which `load_benchmark` reads.

    Args:
        benchmark: the benchmark.
        path: the file, which may exist.
    """
    rows: list[bytes] = []
    for entry in benchmark.entries:
        row: dict[str, Any] = {
            "architecture": benchmark.space.to_json(entry.architecture),
            "accuracy": entry.accuracy,
        }
        if entry.seconds is not None:
            row["seconds"] = entry.seconds
        if entry.scores:
            row["scores"] = entry.scores
        rows.append(json_line(row))
    write_atomically(Path(path), b"".join(rows))


def read_public_records(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Read the public files of a benchmark, each with one architecture under its hash.

    Args:
        path: the folder, or the folder above its `data` folder. A file holds no records.

    Yields:
        File name and record.

    Raises:
        BenchmarkError: a file is malformed.
    """
    folder = path / "data" if (path / "data").is_dir() else path
    for file in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        content = _parsed(_content(file, file.name), file.name)
        records = list(content.values())
        if len(records) != 1 or not isinstance(records[0], dict):
            raise BenchmarkError(file.name, content, "an object with one architecture under its hash")
        for name in ("weights", "val_acc"):
            if name not in records[0]:
                raise BenchmarkError(f"{file.name}, {name}", None, "a value: the field is missing")
        yield file.name, records[0]


def public_scores(record: Mapping[str, Any], field: str, place: str) -> dict[str, dict[str, Any]]:
    """Return the scores of a public record as `{"score": …, "time": …}` by proxy.

    Args:
        record: the record.
        field: name of its field. A record without it has no scores.
        place: name of the record in errors.

    Raises:
        BenchmarkError: the field is malformed.
    """
    scores = record.get(field, {})
    if not isinstance(scores, dict) or not all(
        isinstance(score, dict) and "score" in score for score in scores.values()
    ):
        raise BenchmarkError(f"{place}, {field}", scores, 'an object of {"score": …} by proxy')
    return scores


def _public_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the public records as rows of a JSON Lines benchmark."""
    for name, record in read_public_records(path):
        scores = public_scores(record, UNTRAINED_SCORES, name)
        yield (
            name,
            {
                "architecture": {"weights": record["weights"]},
                "accuracy": record["val_acc"],
                "seconds": record.get("time"),
                "scores": {proxy: score["score"] for proxy, score in scores.items()},
            },
        )


def _is_folder(path: Path) -> bool:
    """Return true for a folder. Raise `BenchmarkError` for anything but a folder or a readable file."""
    try:
        if path.is_dir():
            return True
        check_file(path, "benchmark", pipe=True)
    except (OSError, ValueError) as error:
        raise BenchmarkError("benchmark", str(path), "an existing folder or JSON Lines file") from error
    return False


def _table_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in enumerate(_content(path, path.name, pipe=True).split(b"\n"), start=1):
        if line.strip():
            place = f"{path.name} line {number}"
            yield place, _parsed(line, place)


def _content(path: Path, place: str, pipe: bool = False) -> bytes:
    try:
        return read_file(path, place, pipe)
    except InputError as error:
        raise error.renamed(place, BenchmarkError) from error


def _parsed(text: bytes, place: str) -> dict[str, Any]:
    try:
        content = parse_json(text, place, finite=False)  # some published scores are NaN
    except InputError as error:
        raise error.renamed(place, BenchmarkError) from error
    if not isinstance(content, dict):
        raise BenchmarkError(place, content, "a JSON object")
    return content


def _entry(place: str, row: Mapping[str, Any], space: SearchSpace[Any]) -> Entry:
    for name in row:
        if name not in FIELDS:
            raise BenchmarkError(f"{place}, {name}", row[name], "only the fields " + ", ".join(FIELDS))
    for name in FIELDS[:2]:
        if name not in row:
            raise BenchmarkError(f"{place}, {name}", None, "a value: the field is missing")
    try:
        architecture = space.parse(row["architecture"])
    except InputError as error:
        raise BenchmarkError.at(place, error) from error
    seconds = as_finite(row.get("seconds"))
    if row.get("seconds") is not None and (seconds is None or seconds < 0):
        raise BenchmarkError(f"{place}, seconds", row["seconds"], "a number of seconds from 0 on")
    return Entry(
        architecture,
        _accuracy(row["accuracy"], place),
        seconds,
        parse_scores(row.get("scores"), place),
    )


def _accuracy(value: Any, place: str) -> float:
    if not _is_number(value) or not 0 <= value <= 1:
        percent = _is_number(value) and 1 < value <= 100
        hint = f"; write {float(value) / 100:g} for this percentage" if percent else ""
        raise BenchmarkError(f"{place}, accuracy", value, f"a fraction from 0 to 1{hint}")
    return float(value)


def parse_scores(value: Any, place: str) -> ProxyScores:
    """Parse the scores of an architecture.

    Args:
        value: JSON object of numbers by proxy; null for none. `"NaN"` and numbers that are not finite become None.
        place: name of the row in errors.

    Raises:
        BenchmarkError: a score is no number.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BenchmarkError(f"{place}, scores", value, "an object of numbers by proxy")
    scores: ProxyScores = {}
    for name, score in value.items():
        if score is None or (isinstance(score, str) and score.lower() == "nan"):
            scores[name] = None
        elif _is_number(score):
            scores[name] = as_finite(score)
        else:
            raise BenchmarkError(f"{place}, scores.{name}", score, 'a number, null or "NaN"')
    return scores


def as_finite(value: Any) -> float | None:
    """Convert a number to a finite float; None for anything else, an integer beyond the range of floats included."""
    try:
        number = float(value) if _is_number(value) else math.nan
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
