"""Architectures of `nas-bench-graph`: four nodes, each with one input and one operation, and their notations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from common.errors import ArchitectureError
from models.base import Architecture
from models.nas_bench_graph.canonical import ALL_SKIP, LINKS, NODES, RAW_LINKS, SKIP, Link, canonical_keys
from models.nas_bench_graph.datasets import OPERATIONS

NAME = "nas-bench-graph"
NOTATION = '{"key": "88811"} or {"link": [0, 1, 2, 3], "ops": ["skip", "skip", "gcn", "gcn"]}'
NUMPY_TYPES = (np.ndarray, np.generic)

Ops = tuple[str, str, str, str]


@dataclass(frozen=True)
class NasBenchGraphArchitecture(Architecture):
    """Architecture of the `nas-bench-graph` space, in canonical form.

    Attributes:
        link: input of each node: 0 for the cell's input, k for node k. One of `LINKS`.
        ops: operation of each node, of `OPERATIONS`.
    """

    link: Link
    ops: Ops
    space: ClassVar[str] = NAME

    @property
    def digits(self) -> str:
        """Key in the benchmark: index of the topology, then of each operation."""
        return "".join(map(str, (LINKS.index(self.link), *map(OPERATIONS.index, self.ops))))

    def _canonical(self) -> dict[str, Any]:
        return {"key": self.digits}


def from_key(key: int) -> NasBenchGraphArchitecture:
    """Return the architecture of a canonical key.

    Args:
        key: one of `all_keys()`.
    """
    link, *ops = map(int, f"{key:05d}")
    first, second, third, fourth = (OPERATIONS[op] for op in ops)
    return NasBenchGraphArchitecture(LINKS[link], (first, second, third, fourth))


def parse(obj: Any, operations: Sequence[str] = OPERATIONS) -> NasBenchGraphArchitecture:
    """Read an architecture, in any form, canonical or not.

    Args:
        obj: `{"key": "88811"}`, `{"link": [0, 1, 2, 3], "ops": ["skip", "skip", "gcn", "gcn"]}`, or the key alone.
            Operations may be given by index.
        operations: operations that the data set has.

    Returns:
        The architecture in canonical form.

    Raises:
        ArchitectureError: the object is malformed; the error names field, value and allowed values.
    """
    obj = _plain(obj)
    if isinstance(obj, str):
        obj = {"key": obj}
    if not isinstance(obj, Mapping):
        raise ArchitectureError("architecture", obj, f"a JSON object, {NOTATION}")
    if obj.get("space", NAME) != NAME:
        raise ArchitectureError("space", obj["space"], f'"{NAME}"')
    fields = [field for field in obj if field != "space"]
    if fields == ["key"]:
        link, ops = _key(_plain(obj["key"]))
    elif sorted(map(str, fields)) == ["link", "ops"]:
        link, ops = _link(_plain(obj["link"])), _ops(_plain(obj["ops"]))
    else:
        raise ArchitectureError("architecture (fields)", fields, f"key, or link and ops: {NOTATION}")
    for i, op in enumerate(ops):
        if OPERATIONS[op] not in operations:
            raise ArchitectureError(f"ops[{i}]", OPERATIONS[op], "one of " + ", ".join(operations))
    key = int(canonical_keys()[(RAW_LINKS.index(link), *ops)])
    if key == ALL_SKIP:
        raise ArchitectureError("ops", [OPERATIONS[op] for op in ops], "at least one operation other than skip")
    return from_key(key)


def to_json(arch: NasBenchGraphArchitecture) -> dict[str, Any]:
    """Write an architecture as inputs and operations by node."""
    return {"space": NAME, "link": list(arch.link), "ops": list(arch.ops)}


def json_schema(operations: Sequence[str] = OPERATIONS) -> dict[str, Any]:
    """Return the JSON Schema of an architecture."""
    indices = [OPERATIONS.index(op) for op in operations]
    layers = [op for op in (*operations, *indices) if op not in ("skip", SKIP)]
    four = {"type": "array", "minItems": NODES, "maxItems": NODES}
    inputs = [{"type": "integer", "minimum": 0, "maximum": node} for node in range(NODES)]
    only_skips, digit = str(SKIP) * NODES, "".join(map(str, indices))
    return {
        "type": "object",
        "title": f"Architecture of {NAME}",
        "description": "Either `key`, the five digits of the benchmark, or `link`, the input of each node (0 for the "
        "cell's input, k for node k), and `ops`, its operation; at least one other than skip.",
        "properties": {
            "space": {"const": NAME},
            "key": {"type": "string", "pattern": f"^[0-{len(LINKS) - 1}](?!{only_skips})[{digit}]{{{NODES}}}$"},
            "link": {**four, "prefixItems": inputs, "items": False},
            "ops": {**four, "items": {"enum": [*operations, *indices]}, "contains": {"enum": layers}},
        },
        "oneOf": [{"required": ["key"]}, {"required": ["link", "ops"]}],
        "additionalProperties": False,
    }


def _plain(value: Any) -> Any:
    """Convert NumPy arrays and numbers to plain Python; return anything else unchanged."""
    return value.tolist() if isinstance(value, NUMPY_TYPES) else value


def _is_integer(value: Any, end: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < end


def _key(key: Any) -> tuple[Link, list[int]]:
    if not isinstance(key, str) or len(key) != NODES + 1 or not set(key) <= set("012345678"):
        allowed = f"a text of five digits, each from 0 to {len(OPERATIONS) - 1}: topology, then four operations"
        raise ArchitectureError("key", key, allowed)
    return LINKS[int(key[0])], [int(digit) for digit in key[1:]]


def _four(values: Any, field: str) -> list[Any]:
    if not isinstance(values, list | tuple) or len(values) != NODES:
        raise ArchitectureError(field, values, f"a list of {NODES}, one for each node")
    return [_plain(value) for value in values]


def _link(values: Any) -> Link:
    link = _four(values, "link")
    for node, source in enumerate(link):
        if not _is_integer(source, node + 1):
            allowed = "0, the cell's input" + (f", or an earlier node, to {node}" if node else "")
            raise ArchitectureError(f"link[{node}]", source, allowed)
    first, second, third, fourth = link
    return first, second, third, fourth


def _ops(values: Any) -> list[int]:
    ops = _four(values, "ops")
    for i, op in enumerate(ops):
        if not _is_integer(op, len(OPERATIONS)) and not (isinstance(op, str) and op in OPERATIONS):
            raise ArchitectureError(f"ops[{i}]", op, "one of " + ", ".join(OPERATIONS) + ", or its index")
    return [op if isinstance(op, int) else OPERATIONS.index(op) for op in ops]
