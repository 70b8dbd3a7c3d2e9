"""Content of a page: sections of paragraphs, tables and figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ensemble.report.palette import CSS_VARIABLES
from ensemble.report.tables import Table


@dataclass(frozen=True)
class LegendEntry:
    """Entry of a legend.

    Attributes:
        label: meaning of the color.
        color: color, of the palette `THEME`.
        marker: matplotlib marker; None for a line alone.
        dash: index of the dash pattern; None for a marker alone.
    """

    label: str
    color: str
    marker: str | None = "o"
    dash: int | None = None

    @property
    def css_variable(self) -> str:
        """CSS variable of the color."""
        return CSS_VARIABLES[self.color]


@dataclass(frozen=True)
class Figures:
    """One or more figures with a common caption and legend.

    Attributes:
        caption: content of the figures and how to read them.
        drawings: SVG elements.
        legend: meaning of the colors.
        size: `wide` for one or two per row, `small` for small multiples.
    """

    caption: str
    drawings: Sequence[str]
    legend: Sequence[LegendEntry] = ()
    size: Literal["wide", "small"] = "wide"


@dataclass(frozen=True)
class Missing:
    """Notice in place of content that there is no data for.

    Attributes:
        reason: a sentence.
    """

    reason: str


@dataclass(frozen=True)
class Folded:
    """Collapsed tables.

    Attributes:
        title: title of the control that expands them.
        tables: the tables.
    """

    title: str
    tables: Sequence[Table]


Block = str | Table | Figures | Missing | Folded
"""A string is a paragraph."""


@dataclass(frozen=True)
class Section:
    """Numbered section of the page.

    Attributes:
        key: anchor.
        title: heading.
        blocks: content.
    """

    key: str
    title: str
    blocks: tuple[Block, ...]

    @property
    def tables(self) -> list[Table]:
        """All tables of the section, collapsed ones included."""
        folded = [table for block in self.blocks if isinstance(block, Folded) for table in block.tables]
        return [*(block for block in self.blocks if isinstance(block, Table)), *folded]


def enumerated(names: Sequence[str]) -> str:
    """Join names to `a`, `a and b` or `a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
