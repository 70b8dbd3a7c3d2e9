"""Observations in JSON and in files, as users write them."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common.errors import InputError
from common.files import parse_json, read_file
from ensemble.data.benchmark import as_finite
from models import Architecture, SearchSpace
from study.definition import StudyMetric, Unit
from study.observation import Observation

FIELDS = ("architecture", "value", "error", "seconds", "epochs", "curve")
"""Fields of an observation; the first two are required."""
MAX_ERROR_LENGTH = 2000
LAYOUT = str.maketrans("\n\r\t", "   ")
"""Characters of an error that are not printable but allowed, as in a traceback."""
MAX_CURVE_LENGTH = 10_000
MAX_EPOCHS = 2**31


def parse_observations(
    space: SearchSpace[Any], metric: StudyMetric, data: Any, field: str = "observations"
) -> list[Observation]:
    """Validate observations.

    Args:
        space: search space of the study.
        metric: its metric.
        data: list of objects with the `FIELDS`: `{"architecture": …, "value": 0.93, "seconds": 71.5}`, or
            `{"architecture": …, "value": null, "error": "out of memory"}` for a failed training, or
            `{"architecture": …, "value": null, "curve": [0.41, 0.55]}` for one that still runs.
        field: name of the list in errors.

    Raises:
        InputError: an observation is malformed; the error names it and its field, as `observations[3].value`.
    """
    if not isinstance(data, list):
        raise InputError(field, data, "a list of observations")
    return [parse_observation(space, metric, row, f"{field}[{i}]") for i, row in enumerate(data)]


def parse_observation(space: SearchSpace[Any], metric: StudyMetric, row: Any, place: str) -> Observation:
    """Validate one observation; `place` is its name in errors.

    Raises:
        InputError: it is malformed.
    """
    if not isinstance(row, dict):
        raise InputError(place, row, "an object with the fields " + ", ".join(FIELDS))
    for name in row:
        if name not in FIELDS:
            raise InputError(f"{place}.{name}", row[name], "only the fields " + ", ".join(FIELDS))
    for name in FIELDS[:2]:
        if name not in row:
            allowed = (
                "an architecture"
                if name == "architecture"
                else "a number, or null for a training that failed or still runs"
            )
            raise InputError(f"{place}.{name}", None, f"{allowed}: the field is missing")
    value, error = row["value"], row.get("error")
    if value is not None:
        value = metric.check(value, f"{place}.value")
    if error is not None:
        if value is not None:
            raise InputError(f"{place}.error", error, "null for a training with a value")
        _check_error(error, f"{place}.error")
    return Observation(
        _architecture(space, row["architecture"], f"{place}.architecture"),
        value,
        error,
        _seconds(row.get("seconds"), f"{place}.seconds"),
        _epochs(row.get("epochs"), f"{place}.epochs"),
        _curve(row.get("curve"), metric, f"{place}.curve"),
    )


def read_observations(path: str | Path, unit: Unit = "fraction") -> list[Any]:
    """Read the rows of a file of observations for `parse_observations`.

    Args:
        path: JSON Lines, one observation or row of a benchmark's table a line; or CSV (`.csv`) with a header of
            `FIELDS`, architectures in JSON and empty cells for unknown values.
        unit: unit of the study's metric, to which the accuracies of a benchmark's table, fractions, are converted.

    Raises:
        InputError: the file is missing or malformed, or holds accuracies and the unit is `number`; the error names the
            line.
    """
    path = Path(path)
    content = read_file(path, "file", pipe=True)
    if path.suffix.lower() == ".csv":
        return _csv_rows(content, path.name)
    lines = enumerate(content.split(b"\n"), start=1)
    rows = [parse_json(line, f"{path.name} line {number}") for number, line in lines if line.strip()]
    return [observation for row in rows for observation in _table_observations(row, unit)]


def _architecture(space: SearchSpace[Any], data: Any, place: str) -> Architecture:
    try:
        architecture: Architecture = space.parse(data)
    except InputError as error:
        if error.field.startswith("architecture"):  # the whole, not one of its fields
            raise error.renamed(place + error.field.removeprefix("architecture"), InputError) from error
        raise error.within(place) from error
    return architecture


def _check_error(value: Any, place: str) -> None:
    if (
        not isinstance(value, str)
        or not 1 <= len(value) <= MAX_ERROR_LENGTH
        or not value.translate(LAYOUT).isprintable()
    ):
        raise InputError(
            place, value, f"a printable text of 1 to {MAX_ERROR_LENGTH} characters, line breaks and tabs included"
        )


def _seconds(value: Any, place: str) -> float | None:
    if value is None:
        return None
    seconds = as_finite(value)
    if seconds is None or seconds < 0:
        raise InputError(place, value, "a number of seconds from 0 on")
    return seconds + 0.0


def _epochs(value: Any, place: str) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_EPOCHS):
        raise InputError(place, value, f"a whole number from 0 to {MAX_EPOCHS}")
    return value


def _curve(value: Any, metric: StudyMetric, place: str) -> tuple[float, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > MAX_CURVE_LENGTH:
        raise InputError(place, value, f"a list of at most {MAX_CURVE_LENGTH} values of the metric")
    return tuple(metric.check(item, f"{place}[{i}]") for i, item in enumerate(value))


def _table_observations(row: Any, unit: Unit) -> list[Any]:
    """Observations of a row of a benchmark's table, one for each of its trainings; any other row is one already."""
    if not isinstance(row, dict) or "accuracy" not in row or "value" in row:
        return [row]
    if unit == "number":
        raise InputError("accuracy", row["accuracy"], "observations with a value: the unit of the metric is number")
    shared = {name: row[name] for name in ("architecture", "seconds", "epochs") if name in row}
    trainings = row.get("trainings") or [row]
    if not isinstance(trainings, list) or not all(isinstance(training, dict) for training in trainings):
        raise InputError("trainings", trainings, "a list of objects")
    observations = []
    for training in trainings:
        curve = training.get("curve") or {}
        values = curve.get("accuracy") if isinstance(curve, dict) else curve
        if isinstance(values, list):
            values = [_in_unit(value, unit) for value in values]
        observations.append({**shared, "value": _in_unit(training.get("accuracy"), unit), "curve": values})
    return observations


def _in_unit(fraction: Any, unit: Unit) -> Any:
    """Convert a fraction; anything but a number is left to `parse_observations`."""
    is_number = isinstance(fraction, int | float) and not isinstance(fraction, bool)
    return 100 * fraction if is_number and unit == "percent" else fraction


def _csv_rows(content: bytes, name: str) -> list[Any]:
    try:
        reader = csv.reader(io.StringIO(content.decode()), strict=True)
        header, *rows = [row for row in reader if row] or [[]]
    except UnicodeDecodeError as error:
        raise InputError(name, f"byte 0x{content[error.start]:02x} at {error.start}", "UTF-8 text") from error
    except csv.Error as error:
        raise InputError(f"{name} line {reader.line_num}", str(error), "a row of CSV") from error
    for column in header:
        if column not in FIELDS or header.count(column) > 1:
            raise InputError(f"{name} line 1", column, "each of the columns once: " + ", ".join(FIELDS))
    return [_csv_row(header, row, f"{name} row {number}") for number, row in enumerate(rows, start=1)]


def _csv_row(header: Sequence[str], row: Sequence[str], place: str) -> dict[str, Any]:
    if len(row) != len(header):
        raise InputError(place, f"{len(row)} cells", f"one for each of the {len(header)} columns")
    cells = dict(zip(header, row, strict=True))
    return {
        column: text if column == "error" else parse_json(text.encode(), f"{place}, {column}")
        for column, text in cells.items()
        if text.strip()
    } | ({"value": None} if not cells.get("value", "-").strip() else {})
