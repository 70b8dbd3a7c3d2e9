"""The `gcn-nas` architecture: an L × 8 mask, and the three ways in which people write it down."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from common.errors import ArchitectureError
from models.base import Architecture

NAME = "gcn-nas"
FIXED_MODULES = ("L", "L4n", "L4", "L3", "L2")
DYNAMIC_MODULES = ("S", "T", "ST")
MODULES = FIXED_MODULES + DYNAMIC_MODULES
"""Column order of the mask: polynomials of the adjacency, then attention over space, time and both."""
THRESHOLD = 0.1
"""A published weight above this means that the module is there."""

SLOTS: dict[int, tuple[int, ...]] = {
    4: (1, 5, 8, 9),
    6: (1, 2, 5, 6, 8, 9),
    8: (1, 2, 4, 5, 6, 7, 8, 9),
    10: (1, 2, 3, 4, 5, 6, 7, 8, 9, 10),
}
"""Which slots of the ten-slot backbone a network of that depth uses."""
DEPTHS = tuple(SLOTS)
FORMS = ("layers", "mask", "weights")
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
"""The architecture that Peng et al. (2020) found."""

NUMPY = (np.ndarray, np.generic)
"""A tuple, as writing the union out would build it anew for every cell."""

Row = tuple[bool, ...]


@dataclass(frozen=True)
class GcnNasArchitecture(Architecture):
    """`mask[layer][column]` says whether module `MODULES[column]` is in that layer."""

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

    def _canonical(self) -> dict[str, Any]:
        return {"mask": [[int(cell) for cell in row] for row in self.mask]}


def has_dynamic(row: Sequence[bool]) -> bool:
    """Whether a layer holds an attention module, as every layer of the benchmark does."""
    return any(row[len(FIXED_MODULES) :])


def parse(obj: Any) -> GcnNasArchitecture:
    """Read `{"layers": [["L2", "S"], …]}`, `{"mask": [[0, 1, …], …]}`, `{"weights": [[0.07, …], …]}`, or the bare list.

    Raises `ArchitectureError` with the field, the value and what is allowed.
    """
    form, rows = _form(_plain(obj))
    rows = _plain(rows)
    if not isinstance(rows, list | tuple):
        raise ArchitectureError(form, rows, "a list with one entry a layer")
    if len(rows) not in DEPTHS:
        raise ArchitectureError(f"{form} (number of layers)", len(rows), "4, 6, 8 or 10")
    reader = {"layers": _names, "mask": _mask, "weights": _weights}[form]
    return GcnNasArchitecture(tuple(reader(row, f"{form}[{i}]") for i, row in enumerate(rows)))


def _form(obj: Any) -> tuple[str, Any]:
    """Which of the three forms it is, and its rows."""
    if not isinstance(obj, Mapping):
        if not isinstance(obj, list | tuple):
            raise ArchitectureError("architecture", obj, 'a JSON object with "layers", "mask" or "weights"')
        return _bare_form(obj), obj
    if obj.get("space", NAME) != NAME:
        raise ArchitectureError("space", obj["space"], f'"{NAME}"')
    for field in obj:
        if field != "space" and field not in FORMS:
            raise ArchitectureError("architecture (field)", field, "only space, layers, mask, weights")
    given = [form for form in FORMS if form in obj]
    if len(given) != 1:
        raise ArchitectureError("architecture", given, "exactly one of layers, mask, weights")
    return given[0], obj[given[0]]


def _bare_form(rows: Sequence[Any]) -> str:
    """A list without a name: names make it layers, any fraction makes it weights, else it is a mask."""
    lists = [row for row in map(_plain, rows[: max(DEPTHS)]) if isinstance(row, list | tuple)]
    cells = [_plain(cell) for row in lists for cell in row[: len(MODULES)]]
    if any(isinstance(cell, str) for cell in cells) or not cells:
        return "layers"
    return "weights" if any(isinstance(cell, float) for cell in cells) else "mask"


def _plain(value: Any) -> Any:
    """NumPy's arrays and numbers as Python's; anything else as it is."""
    return value.tolist() if isinstance(value, NUMPY) else value


def _row(row: Any, field: str) -> list[Any] | tuple[Any, ...]:
    row = _plain(row)
    if not isinstance(row, list | tuple):
        raise ArchitectureError(field, row, "a list")
    return row


def _wide_row(row: Any, field: str) -> list[Any]:
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
    row = _wide_row(row, field)
    for i, cell in enumerate(row):
        if not isinstance(cell, bool | int | float) or cell not in (0, 1):
            raise ArchitectureError(f"{field}[{i}]", cell, "0, 1, false or true")
    return tuple(bool(cell) for cell in row)


def _weights(row: Any, field: str) -> Row:
    row = _wide_row(row, field)
    for i, cell in enumerate(row):
        # A comparison, and not float(), as an integer may be too large for a float.
        if isinstance(cell, bool) or not isinstance(cell, int | float) or not -math.inf < cell < math.inf:
            raise ArchitectureError(f"{field}[{i}]", cell, f"a finite number; above {THRESHOLD} means present")
    return tuple(bool(cell > THRESHOLD) for cell in row)


def to_json(arch: GcnNasArchitecture) -> dict[str, Any]:
    """The form that people read: module names by layer."""
    layers = [[name for name, present in zip(MODULES, row, strict=True) if present] for row in arch.mask]
    return {"space": NAME, "layers": layers}
