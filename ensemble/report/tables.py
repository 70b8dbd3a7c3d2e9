"""Tables of named columns: rounded on the page, in full in a CSV file."""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

Value = str | float | None
Style = Literal["text", "correlation", "count", "mean", "p", "points", "percent", "seconds"]
"""How a number is written: `points` are percentage points, `mean` is a mean of counts, `p` a p-value."""

NARROW_SPACE = "\u202f"
MINUS = "−"
NONE = "–"


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        key: its name in the CSV file.
        title: its name on the page.
        values: one a row; None where there is none.
        style: how numbers are written on the page.
        group: title of a heading that it shares with its neighbours of the same group.
        sd: standard deviations of the values, a column of their own in the CSV file.
    """

    key: str
    title: str
    values: Sequence[Value]
    style: Style = "correlation"
    group: str = ""
    sd: Sequence[float | None] | None = None

    def cell(self, row: int) -> str:
        """What the page shows."""
        value = self.values[row]
        if isinstance(value, str):
            return value
        sd = self.sd[row] if self.sd is not None else None
        return written(value, self.style) + (f" ± {written(sd, self.style)}" if sd is not None else "")


@dataclass(frozen=True)
class Table:
    """A table. The first column names the rows. `key` is the name of the CSV file, without its ending."""

    key: str
    title: str
    columns: tuple[Column, ...]

    def __post_init__(self) -> None:
        parts = [values for column in self.columns for values in (column.values, column.sd) if values is not None]
        lengths = {len(values) for values in parts}
        if len(lengths) > 1:
            raise ValueError(f"columns of {self.key} have different lengths: {sorted(lengths)}")

    def __len__(self) -> int:
        return len(self.columns[0].values)

    @property
    def file(self) -> str:
        return f"{self.key}.csv"

    @property
    def groups(self) -> list[tuple[str, int]]:
        """Headings above the columns with the number of columns under each; empty if no column has one."""
        runs = [(title, len(list(run))) for title, run in groupby(column.group for column in self.columns)]
        return runs if any(title for title, _ in runs) else []

    @property
    def cells(self) -> list[list[str]]:
        """What the page shows, row by row."""
        return [[column.cell(row) for column in self.columns] for row in range(len(self))]

    def csv(self) -> str:
        """Every number in full; an empty field is no number."""
        header: list[str] = []
        fields: list[Sequence[Value]] = []
        for column in self.columns:
            header.append(column.key)
            fields.append(column.values)
            if column.sd is not None:
                header.append(f"{column.key}_sd")
                fields.append(column.sd)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([_field(value) for value in row] for row in zip(*fields, strict=True))
        return text.getvalue()


def _field(value: Value) -> str | float:
    return "" if value is None else value if isinstance(value, str | int) else float(value)


def written(value: float | None, style: Style = "correlation") -> str:
    """A number for people."""
    if value is None:
        return NONE
    text = _FORMATS[style](value)
    return (text if text.strip("-0.") else text.removeprefix("-")).replace("-", MINUS)


def _grouped(value: float) -> str:
    return f"{value:,.0f}".replace(",", NARROW_SPACE)


def _significant(value: float) -> str:
    """Three digits, never in scientific notation."""
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
    """The first column of a table."""
    return Column(key, title, list(names), "text")


def summary_column(
    key: str, title: str, summaries: Iterable[Any], style: Style = "correlation", group: str = ""
) -> Column:
    """A column of the evaluation's numbers: plain ones, `{"mean", "sd"}` over repeats, or None.

    Fractions that are shown in percent or in percentage points are such in the CSV file too.
    """
    scale = 100.0 if style in ("points", "percent") else 1.0
    pairs = [mean_and_sd(summary) for summary in summaries]
    means = [None if mean is None else scale * mean for mean, _ in pairs]
    sds = [None if sd is None else scale * sd for _, sd in pairs]
    return Column(key, title, means, style, group, sds if any(sd is not None for sd in sds) else None)


def mean_and_sd(summary: Any) -> tuple[float | None, float | None]:
    """Both numbers of a summary; a plain number has no standard deviation."""
    if isinstance(summary, Mapping):
        return summary.get("mean"), summary.get("sd")
    return (None if summary is None else float(summary)), None
