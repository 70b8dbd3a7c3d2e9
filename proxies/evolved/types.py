"""Types of expressions: what an operator takes and gives."""

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """Type of an expression that is no matrix."""

    SCALAR = "a number of the network"
    LAYERS = "a number of each layer"
    CONSTANT = "a constant"


@dataclass(frozen=True)
class Matrix:
    """Type of an expression that is a matrix of each layer. Equal names stand for equal lengths in a layer.

    Attributes:
        rows: name of the first dimension.
        columns: name of the second dimension.
    """

    rows: str
    columns: str


Type = Kind | Matrix


def describe(type_: Type) -> str:
    """Return a type in words."""
    return f"a matrix ({type_.rows} × {type_.columns}) of each layer" if isinstance(type_, Matrix) else type_.value
