"""Benchmarks: architectures with the accuracy that training gave them."""

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.files import check_file, parse_json, read_file
from ensemble.data.files import json_line, write_atomically
from ensemble.errors import BenchmarkError
from models import Architecture, InputError, SearchSpace, get_space

FIELDS = ("architecture", "accuracy", "seconds", "scores")
"""What a row of our own table may hold; the first two have to be there."""

BEFORE_TRAINING = "zero_cost_scores"
"""The public files' field of the scores before training; with `_<epoch>` behind, of those after that epoch."""

Scores = dict[str, float | None]


@dataclass(frozen=True)
class Entry:
    """One trained architecture.

    Attributes:
        architecture: the architecture.
        accuracy: validation accuracy after training, a fraction from 0 to 1.
        seconds: how long its training took, where known.
        scores: published proxy scores by proxy; None where the score was not finite.
    """

    architecture: Architecture
    accuracy: float
    seconds: float | None = None
    scores: Scores = field(default_factory=dict)


@dataclass(frozen=True)
class Benchmark:
    """Trained architectures of one space, sorted by fingerprint, each of them once."""

    name: str
    space: SearchSpace[Architecture]
    entries: tuple[Entry, ...]

    def __len__(self) -> int:
        return len(self.entries)

    @cached_property
    def architectures(self) -> list[Architecture]:
        return [entry.architecture for entry in self.entries]

    @cached_property
    def accuracy(self) -> NDArray[np.float64]:
        """Accuracies, shape (n,), fractions."""
        return np.array([entry.accuracy for entry in self.entries])

    @cached_property
    def depths(self) -> NDArray[np.int64]:
        """Number of layers of each architecture, shape (n,)."""
        values = self.space.feature_values(self.architectures)
        return values[:, self.space.feature_names.index("depth")].astype(np.int64)

    @cached_property
    def data_hash(self) -> str:
        """SHA-256 over fingerprints and accuracies: the same data have the same hash, however they were written."""
        lines = (f"{entry.architecture.fingerprint} {entry.accuracy!r}\n" for entry in self.entries)
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    @property
    def summary(self) -> dict[str, Any]:
        """What it is, as plain data."""
        depths, rows = np.unique(self.depths, return_counts=True)
        return {
            "name": self.name,
            "space": self.space.name,
            "settings": self.space.settings,
            "architectures": len(self),
            "data_hash": self.data_hash,
            "accuracy": [float(self.accuracy.min()), float(self.accuracy.max())],
            "by_depth": {str(depth): int(number) for depth, number in zip(depths, rows, strict=True)},
        }

    @cached_property
    def proxies(self) -> tuple[str, ...]:
        """Names of the proxies with a published score, sorted."""
        return tuple(sorted({name for entry in self.entries for name in entry.scores}))


def load_benchmark(path: str | Path, space: str | SearchSpace[Architecture] = "gcn-nas") -> Benchmark:
    """Read a benchmark, either form of it.

    Args:
        path: the folder of the public JSON files, or the folder that holds their `data` folder; or a JSON Lines file,
            or a pipe, with one `{"architecture": …, "accuracy": 0.93, "seconds": …, "scores": {…}}` a line.
        space: search space, by name or as an object.

    Raises:
        BenchmarkError: names the file, the line and the field.
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
    """Write the benchmark as JSON Lines, which `load_benchmark` reads back to the same benchmark."""
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


def public_records(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and content of each public file in the folder or its `data` folder; none where the path is a file.

    A file holds one architecture under its hash. Raises `BenchmarkError`.
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
    """A public file's `{"score": …, "time": …}` by proxy; none where it lacks the field. Raises `BenchmarkError`."""
    scores = record.get(field, {})
    if not isinstance(scores, dict) or not all(isinstance(one, dict) and "score" in one for one in scores.values()):
        raise BenchmarkError(f"{place}, {field}", scores, 'an object of {"score": …} by proxy')
    return scores


def _public_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The public files in the form of our own rows."""
    for name, record in public_records(path):
        scores = public_scores(record, BEFORE_TRAINING, name)
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
    """Raise `BenchmarkError` where there is neither a folder nor a file that can be read."""
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
        content = parse_json(text, place, finite=False)  # published scores have NaN among them
    except InputError as error:
        raise error.renamed(place, BenchmarkError) from error
    if not isinstance(content, dict):
        raise BenchmarkError(place, content, "a JSON object")
    return content


def _entry(place: str, row: Mapping[str, Any], space: SearchSpace[Architecture]) -> Entry:
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
    seconds = finite(row.get("seconds"))
    if row.get("seconds") is not None and (seconds is None or seconds < 0):
        raise BenchmarkError(f"{place}, seconds", row["seconds"], "a number of seconds from 0 on")
    return Entry(
        architecture,
        _accuracy(row["accuracy"], place),
        seconds,
        read_scores(row.get("scores"), place),
    )


def _accuracy(value: Any, place: str) -> float:
    if not _is_number(value) or not 0 <= value <= 1:
        percent = _is_number(value) and 1 < value <= 100
        hint = f"; percent are not read, write {float(value) / 100:g}" if percent else ""
        raise BenchmarkError(f"{place}, accuracy", value, f"a fraction from 0 to 1{hint}")
    return float(value)


def read_scores(value: Any, place: str) -> Scores:
    """Scores by proxy, None for what is not finite. Raises `BenchmarkError` for what is no number."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BenchmarkError(f"{place}, scores", value, "an object of numbers by proxy")
    scores: Scores = {}
    for name, score in value.items():
        if score is None or (isinstance(score, str) and score.lower() == "nan"):
            scores[name] = None
        elif _is_number(score):
            scores[name] = finite(score)
        else:
            raise BenchmarkError(f"{place}, scores.{name}", score, 'a number, null or "NaN"')
    return scores


def finite(value: Any) -> float | None:
    """The number as a finite float; None for anything else, as an integer that is too large for one."""
    try:
        number = float(value) if _is_number(value) else math.nan
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
