"""Architectures of `gcn-nas`: an L × 8 mask, and its three notations."""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any, ClassVar

import numpy as np

from common.errors import ArchitectureError
from models.base import Architecture

NAME = "gcn-nas"
FIXED_MODULES = ("L", "L4n", "L4", "L3", "L2")
DYNAMIC_MODULES = ("S", "T", "ST")
MODULES = FIXED_MODULES + DYNAMIC_MODULES
"""Columns of the mask: polynomials of the adjacency, then attention over space, time and both."""
THRESHOLD = 0.1
"""Published weights above this value mean that the module is present."""

SLOTS: dict[int, tuple[int, ...]] = {
    4: (1, 5, 8, 9),
    6: (1, 2, 5, 6, 8, 9),
    8: (1, 2, 4, 5, 6, 7, 8, 9),
    10: (1, 2, 3, 4, 5, 6, 7, 8, 9, 10),
}
"""Slots of the ten-slot backbone by depth."""
DEPTHS = tuple(SLOTS)
NOTATIONS = ("layers", "mask", "weights")
PENG: dict[str, Any] = {
    "space": NAME,
    "layers": [
        ["L2", "S", "T", "ST"],
        ["S", "T", "ST"],
        ["S", "T", "ST"],
        ["S", "T", "ST"],
        ["L2", "S", "T"],
        ["L2", "T"],
        ["L4n", "L2", "S", "T", "ST"],
        ["L2", "T"],
        ["L2", "T"],
        ["T"],
    ],
}
"""Architecture found by Peng et al. (2020)."""

NUMPY_TYPES = (np.ndarray, np.generic)
"""Constant, as a union would be constructed again for every cell."""

Row = tuple[bool, ...]
NAMES = {
    row: tuple(name for name, present in zip(MODULES, row, strict=True) if present)
    for row in product((False, True), repeat=len(MODULES))
}
"""Modules of each row, in the order of `MODULES`."""
ROWS: dict[tuple[Any, ...], Row] = {names: row for row, names in NAMES.items()}
ROW_TEXTS = {row: str(list(map(int, row))).replace(" ", "") for row in NAMES}
"""Each row as JSON, for the key of an architecture."""


@dataclass(frozen=True)
class GcnNasArchitecture(Architecture):
    """Architecture of the `gcn-nas` space.

    Attributes:
        mask: L × 8; `mask[layer][column]` is true if module `MODULES[column]` is present in the layer.
    """

    mask: tuple[Row, ...]
    space: ClassVar[str] = NAME

    @property
    def depth(self) -> int:
        """Number of layers."""
        return len(self.mask)

    @property
    def slots(self) -> tuple[int, ...]:
        """Backbone slot of each layer, counted from 1."""
        return SLOTS[self.depth]

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash(self.mask)  # of up to 80 values, and a request looks an architecture up in several dictionaries

    @cached_property
    def key(self) -> str:
        """Canonical JSON text, of the mask's rows as 0 and 1."""
        rows = ",".join(ROW_TEXTS[row] for row in self.mask)
        return f'{{"mask":[{rows}],"space":"{NAME}"}}'


def has_dynamic(row: Sequence[bool]) -> bool:
    """Return true if a layer has an attention module, as every layer of the benchmark does."""
    return any(row[len(FIXED_MODULES) :])


def parse(obj: Any) -> GcnNasArchitecture:
    """Read an architecture.

    Args:
        obj: `{"layers": [["L2", "S"], …]}`, `{"mask": [[0, 1, …], …]}`, `{"weights": [[0.07, …], …]}`, or the list
            alone.

    Returns:
        The architecture.

    Raises:
        ArchitectureError: the object is malformed; the error names field, value and allowed values.
    """
    notation, rows = _notation(_plain(obj))
    rows = _plain(rows)
    if not isinstance(rows, list | tuple):
        raise ArchitectureError(notation, rows, "a list with one entry per layer")
    if len(rows) not in DEPTHS:
        raise ArchitectureError(f"{notation} (number of layers)", len(rows), "4, 6, 8 or 10")
    if notation == "layers" and all(isinstance(row, list) and len(row) <= len(MODULES) for row in rows):
        with suppress(KeyError, TypeError):  # names in another order, or malformed
            return GcnNasArchitecture(tuple(ROWS[tuple(row)] for row in rows))
    read_row = {"layers": _names, "mask": _mask, "weights": _weights}[notation]
    return GcnNasArchitecture(tuple(read_row(row, f"{notation}[{i}]") for i, row in enumerate(rows)))


def _notation(obj: Any) -> tuple[str, Any]:
    """Notation and rows of an architecture."""
    if not isinstance(obj, Mapping):
        if not isinstance(obj, list | tuple):
            raise ArchitectureError("architecture", obj, 'a JSON object with "layers", "mask" or "weights"')
        return _infer_notation(obj), obj
    if obj.get("space", NAME) != NAME:
        raise ArchitectureError("space", obj["space"], f'"{NAME}"')
    for field in obj:
        if field != "space" and field not in NOTATIONS:
            raise ArchitectureError("architecture (field)", field, "only space, layers, mask, weights")
    notations = [notation for notation in NOTATIONS if notation in obj]
    if len(notations) != 1:
        raise ArchitectureError("architecture", notations, "exactly one of layers, mask, weights")
    return notations[0], obj[notations[0]]


def _infer_notation(rows: Sequence[Any]) -> str:
    """Infer the notation of a list: names mean layers, floats mean weights, anything else is a mask."""
    lists = [row for row in map(_plain, rows[: max(DEPTHS)]) if isinstance(row, list | tuple)]
    cells = [_plain(cell) for row in lists for cell in row[: len(MODULES)]]
    if any(isinstance(cell, str) for cell in cells) or not cells:
        return "layers"
    return "weights" if any(isinstance(cell, float) for cell in cells) else "mask"


def _plain(value: Any) -> Any:
    """Convert NumPy arrays and numbers to plain Python; return anything else unchanged."""
    return value.tolist() if isinstance(value, NUMPY_TYPES) else value


def _row(row: Any, field: str) -> list[Any] | tuple[Any, ...]:
    row = _plain(row)
    if not isinstance(row, list | tuple):
        raise ArchitectureError(field, row, "a list")
    return row


def _full_row(row: Any, field: str) -> list[Any]:
    cells = _row(row, field)
    if len(cells) != len(MODULES):
        raise ArchitectureError(f"{field} (width)", len(cells), f"{len(MODULES)} entries, for {', '.join(MODULES)}")
    return [_plain(cell) for cell in cells]


def _names(row: Any, field: str) -> Row:
    row = _row(row, field)
    if len(row) > len(MODULES):
        raise ArchitectureError(f"{field} (number of modules)", len(row), f"at most {len(MODULES)}, each named once")
    seen: set[str] = set()
    for i, name in enumerate(map(_plain, row)):
        if not isinstance(name, str) or name not in MODULES:
            raise ArchitectureError(f"{field}[{i}]", name, "one of " + ", ".join(MODULES))
        if name in seen:
            raise ArchitectureError(f"{field}[{i}]", name, "each module at most once in a layer")
        seen.add(name)
    return tuple(module in seen for module in MODULES)


def _mask(row: Any, field: str) -> Row:
    row = _full_row(row, field)
    for i, cell in enumerate(row):
        if not isinstance(cell, bool | int | float) or cell not in (0, 1):
            raise ArchitectureError(f"{field}[{i}]", cell, "0, 1, false or true")
    return tuple(bool(cell) for cell in row)


def _weights(row: Any, field: str) -> Row:
    row = _full_row(row, field)
    for i, cell in enumerate(row):
        # Compared instead of converted: an integer may be too large for a float.
        if isinstance(cell, bool) or not isinstance(cell, int | float) or not -math.inf < cell < math.inf:
            raise ArchitectureError(f"{field}[{i}]", cell, f"a finite number; above {THRESHOLD} means present")
    return tuple(bool(cell > THRESHOLD) for cell in row)


def to_json(arch: GcnNasArchitecture) -> dict[str, Any]:
    """Write an architecture as module names by layer."""
    return {"space": NAME, "layers": [list(NAMES[row]) for row in arch.mask]}


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of an architecture."""

    def rows(cell: dict[str, Any], **limits: int) -> dict[str, Any]:
        row = {"type": "array", "items": cell, **limits}
        return {"oneOf": [{"type": "array", "items": row, "minItems": depth, "maxItems": depth} for depth in DEPTHS]}

    full = {"minItems": len(MODULES), "maxItems": len(MODULES)}
    return {
        "type": "object",
        "title": f"Architecture of {NAME}",
        "description": "Exactly one of `layers` (module names), `mask` (0 or 1) and `weights`, one row per layer.",
        "properties": {
            "space": {"const": NAME},
            "layers": rows({"enum": list(MODULES)}, maxItems=len(MODULES)),
            "mask": rows({"enum": [0, 1, False, True]}, **full),
            "weights": rows({"type": "number"}, **full),
        },
        "oneOf": [{"required": [notation]} for notation in NOTATIONS],
        "additionalProperties": False,
    }
