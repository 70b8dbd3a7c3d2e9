"""What a page is made of: sections of paragraphs, tables and figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ensemble.report.palette import CSS_VARIABLES
from ensemble.report.tables import Table


@dataclass(frozen=True)
class Key:
    """One entry of a legend: what a colour and a marker or line mean. `dash` is an index into the dash patterns."""

    label: str
    colour: str
    marker: str | None = "o"
    dash: int | None = None

    @property
    def variable(self) -> str:
        return CSS_VARIABLES[self.colour]


@dataclass(frozen=True)
class Figures:
    """One figure, or several that share a caption and a legend.

    Attributes:
        caption: what is shown, and what to read from it.
        drawings: SVG elements.
        legend: what the colours mean.
        size: `wide` for one or two in a row, `small` for small multiples.
    """

    caption: str
    drawings: Sequence[str]
    legend: Sequence[Key] = ()
    size: Literal["wide", "small"] = "wide"


@dataclass(frozen=True)
class Missing:
    """Said in the place of what cannot be shown."""

    reason: str


@dataclass(frozen=True)
class Folded:
    """Tables that a reader opens if wanted."""

    title: str
    tables: Sequence[Table]


Block = str | Table | Figures | Missing | Folded
"""A text is a paragraph."""


@dataclass(frozen=True)
class Section:
    """A numbered part of the page. `key` is its anchor."""

    key: str
    title: str
    blocks: tuple[Block, ...]

    @property
    def tables(self) -> list[Table]:
        """Its tables, folded ones too."""
        folded = [table for block in self.blocks if isinstance(block, Folded) for table in block.tables]
        return [*(block for block in self.blocks if isinstance(block, Table)), *folded]


def listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
