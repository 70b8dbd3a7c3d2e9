"""Reader of the published tables of NAS-Bench-201: `.csv` files of accuracies and of proxy scores.

A table has a column `ops`, six digits, and either the accuracies in percent, columns `c10`, `c100` and `in16`, or a
file `accuracy.csv` with them beside it. With a column `dataset`, only the rows of the space's data set are read.
Columns named as a published proxy are its scores.
"""

import csv
import io
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ensemble.data.json_files import read_content
from ensemble.data.readers import BenchmarkReader, Row
from ensemble.errors import BenchmarkError
from models import SearchSpace
from models.nas_bench_201 import NasBench201
from models.nas_bench_201.macro import DATASETS

PROXIES = (
    *("epe_nas", "fisher", "flops", "grad_norm", "grasp", "jacov", "l2_norm", "nwot", "params", "plain", "snip"),
    *("synflow", "zen"),
)
"""Published proxies; parameters and FLOPs in millions."""
LOGARITHMS = ("synflow",)
"""Proxies that were published as their natural logarithm, or as 0 where the score is 0."""
MAX_LOG = 709.0
"""Largest logarithm whose score is a number."""
FAILED = (-1e8, -math.inf)
"""Published in place of a score that could not be computed."""
ACCURACIES = "accuracy.csv"

Record = dict[str, str]


def read_rows(path: Path, space: SearchSpace[Any]) -> Iterator[Row]:
    """Read the rows of the space's data set as those of a JSON Lines benchmark.

    Args:
        path: the table.
        space: the search space.

    Yields:
        Name of a row in errors, and its fields.

    Raises:
        BenchmarkError: the table, or the one beside it, is missing or malformed, or has no row of the data set.
    """
    dataset = space.settings["dataset"]
    column = DATASETS[dataset].column
    records = _records(path)
    accuracies = {} if column in records[0][1] else _accuracies(path, column)
    found = False
    for place, record in records:
        if record.get("dataset", dataset).lower() not in (dataset, column):
            continue
        found = True
        ops = record["ops"]
        if accuracies and ops not in accuracies:
            raise BenchmarkError(f"{place}, ops", ops, f"an architecture that {ACCURACIES} has")
        percent = accuracies[ops] if accuracies else _number(record, column, place)
        if percent is None:
            raise BenchmarkError(f"{place}, {column}", record[column], "an accuracy in percent")
        yield place, {"architecture": {"digits": ops}, "accuracy": percent / 100, "scores": _scores(record, place)}
    if not found:
        raise BenchmarkError(f"{path.name}, dataset", dataset, "a data set that the table has rows of")


def _accuracies(path: Path, column: str) -> dict[str, float]:
    """Accuracies in percent by `ops`, from the file beside a table without them."""
    beside = path.with_name(ACCURACIES)
    if not beside.is_file():
        raise BenchmarkError(f"{path.name}, {column}", None, f"accuracies: the column, or {ACCURACIES} beside the file")
    accuracies = {}
    for place, record in _records(beside):
        percent = _number(record, column, place)
        if percent is None:
            raise BenchmarkError(f"{place}, {column}", record.get(column), "an accuracy in percent")
        if record["ops"] in accuracies:
            raise BenchmarkError(f"{place}, ops", record["ops"], "each architecture once")
        accuracies[record["ops"]] = percent
    return accuracies


def _scores(record: Record, place: str) -> Mapping[str, float | None]:
    scores = {name: _number(record, name, place) for name in PROXIES if name in record}
    scores = {name: None if score in FAILED else score for name, score in scores.items()}
    for name in LOGARITHMS:
        if (logarithm := scores.get(name)) is not None:
            if logarithm > MAX_LOG:
                raise BenchmarkError(f"{place}, {name}", logarithm, f"a logarithm up to {MAX_LOG:g}")
            scores[name] = math.exp(logarithm) if logarithm else None
    return scores


def _number(record: Record, column: str, place: str) -> float | None:
    """Number in a column; None for an empty cell."""
    text = record.get(column) or ""
    try:
        return float(text) if text else None
    except ValueError as error:
        raise BenchmarkError(f"{place}, {column}", text, "a number") from error


def _records(path: Path) -> list[tuple[str, Record]]:
    """Rows of a table by column, each with its name in errors."""
    try:
        text = read_content(path, path.name).decode()
        reader = csv.DictReader(io.StringIO(text), strict=True)
        records = [(f"{path.name} line {reader.line_num}", record) for record in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise BenchmarkError(path.name, str(error), "comma-separated values in UTF-8") from error
    columns = reader.fieldnames or ()
    if "ops" not in columns:
        raise BenchmarkError(f"{path.name} line 1, ops", reader.fieldnames, "a header line with the column ops")
    if len(set(columns)) < len(columns):
        raise BenchmarkError(f"{path.name} line 1", list(columns), "each column once")
    if not records:
        raise BenchmarkError(path.name, "no rows", "at least one")
    for place, record in records:
        if None in record or None in record.values():
            raise BenchmarkError(place, list(record.values()), f"{len(columns)} values")
    return records


def _reads(path: Path) -> bool:
    return path.suffix == ".csv" and path.is_file()


READER = BenchmarkReader(NasBench201.name, _reads, read_rows)
