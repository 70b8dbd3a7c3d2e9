"""Tables of named columns, rounded on the page and at full precision in a CSV file."""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

Value = str | float | None
Style = Literal["text", "correlation", "count", "mean", "p", "points", "percent", "seconds"]
"""Number format: `points` for percentage points, `mean` for means of counts, `p` for p-values."""

NARROW_SPACE = "\u202f"
MINUS = "−"
NO_VALUE = "–"


@dataclass(frozen=True)
class Column:
    """Column of a table.

    Attributes:
        key: name in the CSV file.
        title: name on the page.
        values: one per row; None for no value.
        style: number format on the page.
        group: common heading of adjacent columns.
        std: standard deviations of the values, a separate column in the CSV file.
    """

    key: str
    title: str
    values: Sequence[Value]
    style: Style = "correlation"
    group: str = ""
    std: Sequence[float | None] | None = None

    def cell(self, row: int) -> str:
        """Return the text of a cell on the page."""
        value = self.values[row]
        if isinstance(value, str):
            return value
        std = self.std[row] if self.std is not None else None
        return format_number(value, self.style) + (f" ± {format_number(std, self.style)}" if std is not None else "")


@dataclass(frozen=True)
class Table:
    """Table of a page.

    Attributes:
        key: name of the CSV file, without its extension.
        title: title.
        columns: columns of equal length. The first holds the names of the rows.
    """

    key: str
    title: str
    columns: tuple[Column, ...]

    def __post_init__(self) -> None:
        parts = [values for column in self.columns for values in (column.values, column.std) if values is not None]
        lengths = {len(values) for values in parts}
        if len(lengths) > 1:
            raise ValueError(f"columns of {self.key} have different lengths: {sorted(lengths)}")

    def __len__(self) -> int:
        return len(self.columns[0].values)

    @property
    def file(self) -> str:
        """Name of the CSV file."""
        return f"{self.key}.csv"

    @property
    def groups(self) -> list[tuple[str, int]]:
        """Group headings and the number of columns under each; empty if there are none."""
        runs = [(title, len(list(run))) for title, run in groupby(column.group for column in self.columns)]
        return runs if any(title for title, _ in runs) else []

    @property
    def cells(self) -> list[list[str]]:
        """Texts on the page, row by row."""
        return [[column.cell(row) for column in self.columns] for row in range(len(self))]

    def csv(self) -> str:
        """Return the CSV file, numbers at full precision, empty fields for None."""
        header: list[str] = []
        fields: list[Sequence[Value]] = []
        for column in self.columns:
            header.append(column.key)
            fields.append(column.values)
            if column.std is not None:
                header.append(f"{column.key}_std")
                fields.append(column.std)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([_field(value) for value in row] for row in zip(*fields, strict=True))
        return text.getvalue()


def _field(value: Value) -> str | float:
    return "" if value is None else value if isinstance(value, str | int) else float(value)


def format_number(value: float | None, style: Style = "correlation") -> str:
    """Format a number for the page."""
    if value is None:
        return NO_VALUE
    text = _FORMATS[style](value)
    return (text if text.strip("-0.") else text.removeprefix("-")).replace("-", MINUS)


def _grouped(value: float) -> str:
    return f"{value:,.0f}".replace(",", NARROW_SPACE)


def _significant(value: float) -> str:
    """Format with three significant digits, never in scientific notation."""
    if value == 0:
        return "0"
    digits = max(0, 2 - int(f"{value:.2e}".partition("e")[2]))
    return f"{value:.{digits}f}" if digits else _grouped(value)


_FORMATS: Mapping[Style, Callable[[float], str]] = {
    "text": str,
    "correlation": "{:.3f}".format,
    "count": _grouped,
    "mean": "{:.1f}".format,
    "p": lambda p: f"{p:.3f}" if p >= 0.001 else f"{p:.1e}",
    "points": "{:.3f}".format,
    "percent": "{:.1f}".format,
    "seconds": _significant,
}


def names_column(key: str, title: str, names: Iterable[str]) -> Column:
    """Make the first column of a table, the names of its rows."""
    return Column(key, title, list(names), "text")


def summary_column(
    key: str, title: str, summaries: Iterable[Any], style: Style = "correlation", group: str = ""
) -> Column:
    """Make a column of metrics.

    Args:
        key: name in the CSV file.
        title: name on the page.
        summaries: numbers, `{"mean", "std"}` over repeats, or None.
        style: number format. Fractions are converted to percent or percentage points, in the CSV file as well.
        group: common heading of adjacent columns.
    """
    scale = 100.0 if style in ("points", "percent") else 1.0
    pairs = [mean_and_std(summary) for summary in summaries]
    means = [None if mean is None else scale * mean for mean, _ in pairs]
    stds = [None if std is None else scale * std for _, std in pairs]
    return Column(key, title, means, style, group, stds if any(std is not None for std in stds) else None)


def mean_and_std(summary: Any) -> tuple[float | None, float | None]:
    """Return both numbers of a summary; a plain number has no standard deviation."""
    if isinstance(summary, Mapping):
        return summary.get("mean"), summary.get("std")
    return (None if summary is None else float(summary)), None
