"""Readers of the files in which benchmarks were published, by search space."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models import SearchSpace

Row = tuple[str, Mapping[str, Any]]
"""Name of a row in errors, and its fields as in a JSON Lines benchmark."""


def _no_settings(path: Path) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class BenchmarkReader:
    """Reader of a published format.

    Attributes:
        space: name of the search space of its architectures.
        reads: returns whether a path is of this format.
        rows: reads the rows of a path for a space.
        settings: settings of the space that a path implies.
    """

    space: str
    reads: Callable[[Path], bool]
    rows: Callable[[Path, SearchSpace[Any]], Iterator[Row]]
    settings: Callable[[Path], dict[str, Any]] = _no_settings
