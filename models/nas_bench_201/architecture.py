"""Architectures of `nas-bench-201`: one operation on each of a cell's six edges, and their four notations."""

import itertools
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, ClassVar

import numpy as np

from common.errors import ArchitectureError
from models.base import Architecture
from models.nas_bench_201.cell import EDGES, OPERATIONS, expression, live_edges

NAME = "nas-bench-201"
NOTATIONS = ("arch", "ops", "digits", "index")
NUM_ARCHITECTURES = len(OPERATIONS) ** len(EDGES)
ARCH_STRING = re.compile(r"\|(.*)~0\|\+\|(.*)~0\|(.*)~1\|\+\|(.*)~0\|(.*)~1\|(.*)~2\|")
ARCH_EXAMPLE = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|nor_conv_1x1~0|none~1|avg_pool_3x3~2|"
MAX_STRING = 256
"""Longest string that `parse` reads; the longest architecture has 112 characters."""
SHUFFLE_SEED = 88
"""Seed with which the authors shuffled the architectures before they numbered them."""

Operations = tuple[int, int, int, int, int, int]


@dataclass(frozen=True)
class NasBench201Architecture(Architecture):
    """Architecture of the `nas-bench-201` space.

    Attributes:
        ops: operation of each edge, an index into `OPERATIONS`, in the order of `EDGES`.
    """

    ops: Operations
    space: ClassVar[str] = NAME

    @property
    def arch(self) -> str:
        """The benchmark's string, e.g. `|nor_conv_3x3~0|+|none~0|skip_connect~1|+|…~0|…~1|…~2|`."""
        parts = [f"{name}~{source}" for name, (source, _) in zip(self.names, EDGES, strict=True)]
        return "+".join(f"|{'|'.join(group)}|" for group in (parts[:1], parts[1:3], parts[3:]))

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each edge's operation."""
        return tuple(OPERATIONS[op] for op in self.ops)

    @property
    def digits(self) -> str:
        """Operations as six digits, indices into `OPERATIONS`."""
        return "".join(map(str, self.ops))

    @property
    def index(self) -> int:
        """Number of the architecture in the benchmark, from 0 to 15,624."""
        return _index_by_ops()[self.ops]

    @cached_property
    def live_edges(self) -> tuple[int, ...]:
        """Indices of the edges on a path from input to output without `none`."""
        return live_edges(self.ops)

    @cached_property
    def isomorphism_class(self) -> str:
        """Canonical expression of the cell's output; equal for isomorphic cells (see `cell.expression`)."""
        return expression(self.ops)

    def _canonical(self) -> dict[str, Any]:
        return {"arch": self.arch}


def parse(obj: Any) -> NasBench201Architecture:
    """Read an architecture.

    Args:
        obj: `{"arch": "|nor_conv_3x3~0|+|…"}`, `{"ops": [six names]}`, `{"digits": "312401"}` or `{"index": 123}`; or
            the string, names or digits alone.

    Returns:
        The architecture.

    Raises:
        ArchitectureError: the object is malformed; the error names field, value and allowed values.
    """
    notation, value = _notation(_plain(obj))
    return NasBench201Architecture(_READERS[notation](_plain(value)))


def to_json(arch: NasBench201Architecture) -> dict[str, Any]:
    """Write an architecture as the benchmark's string."""
    return {"space": NAME, "arch": arch.arch}


def from_index(index: int) -> NasBench201Architecture:
    """Return the architecture of a number, from 0 to 15,624."""
    return NasBench201Architecture(_ops_by_index()[index])


def with_operation(arch: NasBench201Architecture, edge: int, op: int) -> NasBench201Architecture:
    """Return the architecture with another operation on one edge."""
    return NasBench201Architecture(_operations([*arch.ops[:edge], op, *arch.ops[edge + 1 :]]))


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of an architecture."""
    meanings = ", ".join(f"{number} {name}" for number, name in enumerate(OPERATIONS))
    name = f"({'|'.join(OPERATIONS)})"
    groups = "[+]".join("[|]" + "".join(f"{name}~{source}[|]" for source in range(node)) for node in (1, 2, 3))
    return {
        "type": "object",
        "title": f"Architecture of {NAME}",
        "description": f"Exactly one of {', '.join(NOTATIONS)}. Edges: {_edge_names()}.",
        "properties": {
            "space": {"const": NAME},
            "arch": {"type": "string", "pattern": f"^{groups}$", "description": f"e.g. {ARCH_EXAMPLE}"},
            "ops": {
                "type": "array",
                "items": {"enum": list(OPERATIONS)},
                "minItems": len(EDGES),
                "maxItems": len(EDGES),
                "description": "operation of each edge",
            },
            "digits": {"type": "string", "pattern": "^[0-4]{6}$", "description": f"one digit an edge: {meanings}"},
            "index": {
                "type": "integer",
                "minimum": 0,
                "maximum": NUM_ARCHITECTURES - 1,
                "description": "number of the architecture in the benchmark",
            },
        },
        "oneOf": [{"required": [notation]} for notation in NOTATIONS],
        "additionalProperties": False,
    }


def _notation(obj: Any) -> tuple[str, Any]:
    """Notation and value of an architecture."""
    if isinstance(obj, str):
        return ("digits" if obj.isdecimal() else "arch"), obj
    if isinstance(obj, list | tuple):
        return "ops", obj
    if not isinstance(obj, Mapping):
        raise ArchitectureError("architecture", obj, "a JSON object with arch, ops, digits or index")
    if obj.get("space", NAME) != NAME:
        raise ArchitectureError("space", obj["space"], f'"{NAME}"')
    for field in obj:
        if field != "space" and field not in NOTATIONS:
            raise ArchitectureError("architecture (field)", field, f"only space, {', '.join(NOTATIONS)}")
    notations = [notation for notation in NOTATIONS if notation in obj]
    if len(notations) != 1:
        raise ArchitectureError("architecture", notations, f"exactly one of {', '.join(NOTATIONS)}")
    return notations[0], obj[notations[0]]


def _plain(value: Any) -> Any:
    """Convert NumPy arrays and numbers to plain Python; return anything else unchanged."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _from_names(names: Any, field: str = "ops") -> Operations:
    if not isinstance(names, list | tuple) or len(names) != len(EDGES):
        raise ArchitectureError(field, names, f"a list of {len(EDGES)} operations, of edges {_edge_names()}")
    numbers = []
    for (source, target), name in zip(EDGES, map(_plain, names), strict=True):
        if not isinstance(name, str) or name not in OPERATIONS:
            raise ArchitectureError(f"{field} (edge {source}-{target})", name, f"one of {', '.join(OPERATIONS)}")
        numbers.append(OPERATIONS.index(name))
    return _operations(numbers)


def _from_string(text: Any) -> Operations:
    match = ARCH_STRING.fullmatch(text) if isinstance(text, str) and len(text) <= MAX_STRING else None
    if match is None:
        raise ArchitectureError("arch", text, f"a string like {ARCH_EXAMPLE}")
    return _from_names(match.groups(), "arch")


def _from_digits(digits: Any) -> Operations:
    if not isinstance(digits, str) or not re.fullmatch("[0-4]{6}", digits):
        meanings = ", ".join(f"{number} {name}" for number, name in enumerate(OPERATIONS))
        raise ArchitectureError("digits", digits, f"a string of six digits, of edges {_edge_names()}: {meanings}")
    return _operations([int(digit) for digit in digits])


def _from_index(index: Any) -> Operations:
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < NUM_ARCHITECTURES:
        raise ArchitectureError("index", index, f"a whole number from 0 to {NUM_ARCHITECTURES - 1}")
    return _ops_by_index()[index]


_READERS: dict[str, Callable[[Any], Operations]] = {
    "arch": _from_string,
    "ops": _from_names,
    "digits": _from_digits,
    "index": _from_index,
}


def _operations(numbers: list[int]) -> Operations:
    a, b, c, d, e, f = numbers
    return a, b, c, d, e, f


def _edge_names() -> str:
    return ", ".join(f"{source}-{target}" for source, target in EDGES)


@lru_cache(maxsize=1)
def _ops_by_index() -> tuple[Operations, ...]:
    """All architectures in the benchmark's order.

    The authors listed them with the last edge changing fastest, shuffled the list by Python's `random` with seed 88,
    and numbered it.
    """
    order = [_operations(list(ops)) for ops in itertools.product(range(len(OPERATIONS)), repeat=len(EDGES))]
    random.Random(SHUFFLE_SEED).shuffle(order)
    return tuple(order)


@lru_cache(maxsize=1)
def _index_by_ops() -> dict[Operations, int]:
    return {ops: index for index, ops in enumerate(_ops_by_index())}
