"""Reading and writing of benchmarks: JSON Lines of any search space, and published formats."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from common.atomic_files import json_line, write_atomically
from common.files import check_file
from ensemble.data import gcn_nas, nas_bench_201, nas_bench_graph
from ensemble.data.benchmark import Benchmark, Entry, as_finite, is_number, metric_of, parse_scores
from ensemble.data.json_files import parse_object, read_content
from ensemble.data.readers import BenchmarkReader, Row
from ensemble.data.trainings import parse_integer, parse_trainings, trainings_json
from ensemble.errors import BenchmarkError
from models import InputError, Metric, SearchSpace, get_space

READERS: tuple[BenchmarkReader, ...] = (gcn_nas.READER, nas_bench_graph.READER, nas_bench_201.READER)
"""Readers of published formats. The first one that reads a path is used."""
DEFAULT_SPACE = "gcn-nas"
"""Search space of a table whose first architecture does not name one."""
FIELDS = ("architecture", "accuracy", "seconds", "scores", "epochs", "trainings")
"""Fields of a row of a JSON Lines benchmark; the first two are required."""


def load_benchmark(
    path: str | Path, space: str | SearchSpace[Any] | None = None, *, allow_empty: bool = False
) -> Benchmark:
    """Read a benchmark.

    Args:
        path: a JSON Lines file or pipe with one `{"architecture": …, "accuracy": 0.93, "seconds": …, "scores": {…}}`
            per line, all fields but the first two optional, as are `epochs` and `trainings`, a list of `{"seed": …,
            "accuracy": …, "curve": {…}, "scores": {"0": {…}}}`; or the file or folder in which the benchmark of a
            search space was published.
        space: search space, or its name; by default that of the published format, or the one that the first
            architecture names.
        allow_empty: accept a table without architectures, if the space is given.

    Raises:
        BenchmarkError: the benchmark is missing, malformed or empty. Names the file, the line and the field.
        UnknownNameError: no search space has that name.
    """
    path = Path(path)
    _check_exists(path)
    has_space = space is not None
    name = space.name if isinstance(space, SearchSpace) else space
    if reader := _reader(path, name):
        space = space if isinstance(space, SearchSpace) else get_space(reader.space, **reader.settings(path))
        rows = reader.rows(path, space)
    else:
        rows = _table_rows(path)
        if not isinstance(space, SearchSpace):
            first = next(rows, None)
            rows = iter(()) if first is None else chain([first], rows)
            space = get_space(name) if name else _named_space(first)
    benchmark = _read_rows(path, space, rows)
    if not benchmark.entries and not (allow_empty and has_space):
        allowed = "at least one, or none with the search space given" if allow_empty else "at least one"
        raise BenchmarkError(str(path), "no architectures", allowed)
    return benchmark


def published_space(path: str | Path) -> SearchSpace[Any] | None:
    """Return the search space of a published format, with the settings that the path implies; None for a table."""
    path = Path(path)
    reader = _reader(path, None)
    return get_space(reader.space, **reader.settings(path)) if reader else None


def _reader(path: Path, space: str | None) -> BenchmarkReader | None:
    """Return the first reader of a path, of those of a search space if it is given."""
    return next((reader for reader in READERS if space in (None, reader.space) and reader.reads(path)), None)


def _read_rows(path: Path, space: SearchSpace[Any], rows: Iterator[Row]) -> Benchmark:
    metric = _checked_metric(space)
    places: dict[str, str] = {}
    entries: list[Entry] = []
    for place, row in rows:
        entry = _entry(place, row, space, metric)
        fingerprint = entry.architecture.fingerprint
        if fingerprint in places:
            raise BenchmarkError(
                f"{place}, architecture", fingerprint, f"each architecture once; this one is also {places[fingerprint]}"
            )
        places[fingerprint] = place
        entries.append(entry)
    entries.sort(key=lambda entry: entry.architecture.fingerprint)
    return Benchmark(path.stem, space, tuple(entries))


def write_table(benchmark: Benchmark, path: str | Path) -> None:
    """Write a benchmark as JSON Lines, which `load_benchmark` reads.

    Args:
        benchmark: the benchmark.
        path: the file, which may exist.
    """
    write_atomically(Path(path), table_content(benchmark.space, benchmark.entries))


def table_content(space: SearchSpace[Any], entries: Iterable[Entry]) -> bytes:
    """Return trained architectures as JSON Lines, in their order; unknown fields are left out."""
    return b"".join(json_line(_row(space, entry)) for entry in entries)


def _row(space: SearchSpace[Any], entry: Entry) -> dict[str, Any]:
    row: dict[str, Any] = {"architecture": space.to_json(entry.architecture), "accuracy": entry.accuracy}
    if entry.seconds is not None:
        row["seconds"] = entry.seconds
    if entry.scores:
        row["scores"] = entry.scores
    if entry.epochs is not None:
        row["epochs"] = entry.epochs
    if entry.trainings:
        row["trainings"] = trainings_json(entry.trainings)
    return row


def _check_exists(path: Path) -> None:
    """Raise `BenchmarkError` for anything but a folder or a readable file."""
    try:
        if not path.is_dir():
            check_file(path, "benchmark", pipe=True)
    except (OSError, ValueError) as error:
        raise BenchmarkError("benchmark", str(path), "an existing folder or file") from error


def _table_rows(path: Path) -> Iterator[Row]:
    for number, line in enumerate(read_content(path, path.name, pipe=True).split(b"\n"), start=1):
        if line.strip():
            place = f"{path.name} line {number}"
            yield place, parse_object(line, place)


def _named_space(row: Row | None) -> SearchSpace[Any]:
    """Search space that a table's first architecture names. Raises `BenchmarkError` for an unknown one."""
    architecture = row[1].get("architecture") if row is not None else None
    name = architecture.get("space") if isinstance(architecture, dict) else None
    if row is None or not isinstance(name, str):
        return get_space(DEFAULT_SPACE)
    try:
        return get_space(name)
    except InputError as error:
        raise BenchmarkError.at(row[0], error) from error


def _checked_metric(space: SearchSpace[Any]) -> Metric:
    metric = metric_of(space)
    if not 0 <= metric.low < metric.high <= 1:
        raise BenchmarkError(f"{space.name}, metric", f"{metric.low} to {metric.high}", "a range within 0 to 1")
    return metric


def _entry(place: str, row: Mapping[str, Any], space: SearchSpace[Any], metric: Metric) -> Entry:
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
        _accuracy(row["accuracy"], place, metric),
        seconds,
        parse_scores(row.get("scores"), place),
        parse_integer(row.get("epochs"), f"{place}, epochs"),
        parse_trainings(row.get("trainings"), place, metric),
    )


def _accuracy(value: Any, place: str, metric: Metric) -> float:
    if not is_number(value) or not metric.low <= value <= metric.high:
        percent = is_number(value) and 1 < value <= 100
        hint = f"; write {float(value) / 100:g} for this percentage" if percent else ""
        raise BenchmarkError(f"{place}, accuracy", value, f"a fraction from {metric.low:g} to {metric.high:g}{hint}")
    return float(value)
