"""Structural features of a `nas-bench-201` architecture, computed from the live edges of its cell.

Edges that are not live count as `none`, so that an operation without effect changes no feature. Names by group:
`edge0-1=none` (one-hot), `count.nor_conv_3x3` (number on live edges), `paths.…` (paths from input to output: their
number, those with k convolutions, the most, fewest and all operations of a kind on them, those with only some
operations), `node3.in.nor_conv_3x3` (operations into and out of a node).
"""

import itertools
import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from common.errors import UnknownNameError
from models.base import FeatureGroup
from models.nas_bench_201.architecture import NasBench201Architecture, Operations
from models.nas_bench_201.cell import (
    AVG_POOL,
    CONV_1X1,
    CONV_3X3,
    EDGES,
    NONE,
    OPERATIONS,
    PATHS,
    SKIP,
    live_edges,
    live_paths,
)

Array = NDArray[np.float64]
KINDS = {
    "skip_connect": (SKIP,),
    "nor_conv_1x1": (CONV_1X1,),
    "nor_conv_3x3": (CONV_3X3,),
    "avg_pool_3x3": (AVG_POOL,),
    "convolution": (CONV_1X1, CONV_3X3),
    "spatial": (CONV_3X3, AVG_POOL),
    "layer": (CONV_1X1, CONV_3X3, AVG_POOL),
}
"""Kinds of operations that are counted on a path."""
KIND_WORDS = {
    "convolution": "convolutions",
    "spatial": "3×3 convolutions and poolings",
    "layer": "convolutions and poolings",
}
OPERATED = tuple(range(1, len(OPERATIONS)))
"""Operations other than `none`."""
SUBSETS = tuple(itertools.chain.from_iterable(itertools.combinations(OPERATED, size) for size in (1, 2, 3)))
"""Sets of one to three operations other than `none`."""
NODE_SIDES = ((0, "out"), (1, "out"), (2, "in"), (3, "in"))
"""Nodes and sides with more than one edge."""
MAX_PATH = max(map(len, PATHS))
STRATUM = "count.convolution"


def _row(cell: Sequence[int]) -> dict[str, float]:
    """Return the features of one architecture by name."""
    live = live_edges(cell)
    ops = [op if edge in live else NONE for edge, op in enumerate(cell)]
    paths = [[ops[edge] for edge in path] for path in live_paths(ops)]
    convolutions = [sum(op in KINDS["convolution"] for op in path) for path in paths]
    row: dict[str, float] = {STRATUM: sum(op in KINDS["convolution"] for op in ops)}
    row |= {f"count.{OPERATIONS[op]}": ops.count(op) for op in range(len(OPERATIONS))}
    row |= {f"edge{a}-{b}={name}": ops[i] == op for i, (a, b) in enumerate(EDGES) for op, name in enumerate(OPERATIONS)}
    row["paths"] = len(paths)
    row |= {
        f"paths.convolutions={number}": convolutions.count(number) for number in range(len(max(PATHS, key=len)) + 1)
    }
    for kind, members in KINDS.items():
        # A cell without a path is told apart from one whose paths have none of the kind.
        numbers = [sum(op in members for op in path) for path in paths] or [-1]
        row |= {f"paths.{kind}.{name}": reduce(numbers) for name, reduce in (("max", max), ("min", min), ("sum", sum))}
    lengths = [len(path) for path in paths] or [0]
    row |= {"paths.length.max": max(lengths), "paths.length.min": min(lengths)}
    row |= {_only(subset): sum(set(path) <= set(subset) for path in paths) for subset in SUBSETS}
    for node, side in NODE_SIDES:
        at_node = [ops[i] for i, edge in enumerate(EDGES) if edge[side == "in"] == node]
        row |= {f"node{node}.{side}.{OPERATIONS[op]}": at_node.count(op) for op in OPERATED}
    return row


def _only(subset: Sequence[int]) -> str:
    return f"paths.only.{'+'.join(OPERATIONS[op] for op in subset)}"


FEATURE_NAMES = tuple(_row((NONE,) * len(EDGES)))
FEATURE_GROUPS = (
    *(FeatureGroup(f"edge{a}-{b}", indicators=tuple(f"edge{a}-{b}={name}" for name in OPERATIONS)) for a, b in EDGES),
    FeatureGroup("operations", measures=tuple(name for name in FEATURE_NAMES if name.startswith("count."))),
    FeatureGroup("paths", measures=tuple(name for name in FEATURE_NAMES if name.startswith("paths"))),
    FeatureGroup("nodes", measures=tuple(name for name in FEATURE_NAMES if name.startswith("node"))),
)


@lru_cache(maxsize=15_625)
def _values(ops: Operations) -> tuple[float, ...]:
    return tuple(map(float, _row(ops).values()))


def feature_values(archs: Sequence[NasBench201Architecture]) -> Array:
    """Compute the features of m architectures, (m, len(FEATURE_NAMES))."""
    return np.array([_values(arch.ops) for arch in archs]).reshape(len(archs), len(FEATURE_NAMES))


DESCRIPTIONS: tuple[tuple[str, str], ...] = (
    (r"count\.convolution", "number of convolutions"),
    (r"count\.(\w+)", r"number of edges with \1"),
    (r"edge(\d-\d)=(\w+)", r"\2 on edge \1"),
    (r"paths", "number of paths from input to output"),
    (r"paths\.convolutions=(\d)", r"number of paths with exactly \1 convolutions"),
    (r"paths\.length\.max", "number of edges of the longest path"),
    (r"paths\.length\.min", "number of edges of the shortest path"),
    (r"paths\.only\.(.+)", r"number of paths with only \1"),
    (r"paths\.(\w+)\.max", r"most \1 on a path (-1 without a path)"),
    (r"paths\.(\w+)\.min", r"fewest \1 on a path (-1 without a path)"),
    (r"paths\.(\w+)\.sum", r"number of \1 on all paths together (-1 without a path)"),
    (r"node(\d)\.in\.(\w+)", r"number of \2 into node \1"),
    (r"node(\d)\.out\.(\w+)", r"number of \2 out of node \1"),
)
"""Patterns of feature names and their descriptions."""


def describe_feature(feature: str) -> str:
    """Return the description of a structural feature.

    Raises:
        UnknownNameError: there is no such feature.
    """
    for pattern, description in DESCRIPTIONS:
        if feature in FEATURE_NAMES and (match := re.fullmatch(pattern, feature)):
            words = match.expand(description)
            return re.sub(r"\b(convolution|spatial|layer)\b", lambda kind: KIND_WORDS[kind[0]], words)
    raise UnknownNameError("feature", feature, FEATURE_NAMES)


def feature_group(arch: NasBench201Architecture, feature: str) -> str:
    """Return the edge or node that a feature describes, with its operations, or the paths, or all operations."""
    if edge := re.match(r"edge(\d)-(\d)", feature):
        name = arch.names[EDGES.index((int(edge[1]), int(edge[2])))]
        return f"edge {edge[1]}-{edge[2]} ({name})"
    if node := re.match(r"node(\d)\.(in|out)", feature):
        names = [name for name, ends in zip(arch.names, EDGES, strict=True) if ends[node[2] == "in"] == int(node[1])]
        return f"{'into' if node[2] == 'in' else 'out of'} node {node[1]} ({', '.join(names)})"
    return "paths" if feature.startswith("paths") else "all operations together"
