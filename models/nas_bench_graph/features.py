"""Structural features of a `nas-bench-graph` architecture.

The *depth* of a node is the number of operations on the path from the cell's input to it, itself included and skips
left out; the depth of an architecture is that of its deepest leaf. A *leaf* is a node that no other reads.

Names by group: `link=8` (one-hot topology), `node2.gat` (operation by node of the canonical form), `all.gat`,
`leaf.gat`, `input.gat` and `depth2.gat` (number of nodes with an operation: anywhere, among the leaves, reading the
cell's input, at a depth), `pair.gcn.gat` (number of gat that read a gcn), `sum.nodes`, `sum.path_max`, `sum.path_min`
and `sum.path_mean` (number of operations of a kind, in the cell and on the paths to its leaves), and the cell's shape.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.nas_bench_graph.architecture import NasBenchGraphArchitecture
from models.nas_bench_graph.canonical import LINKS, NODES, SKIP, Ints
from models.nas_bench_graph.datasets import OPERATIONS

Array = NDArray[np.float64]

LAYERS = OPERATIONS[:SKIP]
"""Operations that are layers: all but the skip."""
KINDS: dict[str, tuple[str, ...]] = {
    "sum": ("gin", "graph"),
    "mean": ("sage",),
    "attention": ("gat",),
    "normalized": ("gcn", "cheb", "arma"),
    "message": ("gat", "gcn", "gin", "cheb", "sage", "arma", "graph"),
    "root": ("cheb", "sage", "arma", "graph"),
    "fc": ("fc",),
}
"""Kinds of operations: by aggregation, all that pass messages, those with a weight for the node itself, the rest."""
DEPTHS = range(1, NODES + 1)
POSITIONS = ("all", "leaf", "input", *(f"depth{depth}" for depth in DEPTHS))
PATH_STATISTICS = ("nodes", "path_max", "path_min", "path_mean")
SHAPE = ("depth", "depth_min", "depth_mean", "leaves", "inputs", "leading_skips", "leaf_skips")

FEATURE_NAMES: tuple[str, ...] = (
    *(f"link={index}" for index in range(len(LINKS))),
    *(f"node{node + 1}.{op}" for node in range(NODES) for op in OPERATIONS),
    *(f"{position}.{op}" for position in POSITIONS for op in OPERATIONS),
    *(f"pair.{parent}.{op}" for parent in LAYERS for op in OPERATIONS),
    *(f"{kind}.{statistic}" for kind in KINDS for statistic in PATH_STATISTICS),
    *SHAPE,
)

_INPUTS = np.array(LINKS)
_KINDS = [[OPERATIONS.index(op) for op in kind] for kind in KINDS.values()]
_IS_LEAF = np.array([[node + 1 not in link for node in range(NODES)] for link in LINKS])


def feature_values(archs: Sequence[NasBenchGraphArchitecture]) -> Array:
    """Compute the features of n architectures, (n, len(FEATURE_NAMES)), vectorized."""
    index = np.array([LINKS.index(arch.link) for arch in archs], dtype=np.int64)
    ops = np.array([[OPERATIONS.index(op) for op in arch.ops] for arch in archs], dtype=np.int64).reshape(-1, NODES)
    link, is_leaf, is_skip = _INPUTS[index], _IS_LEAF[index], ops == SKIP
    one_hot = np.eye(len(OPERATIONS))[ops]
    depth, rows = path_sums(link, ~is_skip), np.arange(len(ops))[:, None]
    is_input = depth[rows, link] == 0
    operation = np.column_stack([np.full(len(ops), SKIP), ops])
    parents = np.where(is_input, SKIP, operation[rows, link])
    at_depth = [depth[:, 1:] == level for level in DEPTHS]
    positions = np.stack([np.ones_like(is_leaf), is_leaf, is_input, *at_depth], axis=1)
    pairs = np.einsum("nkp,nko->npo", np.eye(len(OPERATIONS))[parents], one_hot)[:, :SKIP]
    return np.hstack(
        [
            np.eye(len(LINKS))[index],
            _flat(one_hot),
            _flat(positions.astype(np.float64) @ one_hot),
            _flat(pairs),
            *(_kind_statistics(link, is_leaf, np.isin(ops, kind)) for kind in _KINDS),
            _leaf_statistics(depth[:, 1:], is_leaf),
            *(_count(nodes) for nodes in (is_leaf, is_input & ~is_skip, is_input & is_skip, is_leaf & is_skip)),
        ]
    )


def _count(nodes: NDArray[np.bool_]) -> Ints:
    """Number of true nodes, (n, 4) to (n, 1)."""
    return np.count_nonzero(nodes, axis=1, keepdims=True)


def path_sums(link: Ints, values: NDArray[np.bool_]) -> Array:
    """Sum values of nodes, (n, 4), along the path from the cell's input to each state, (n, 5)."""
    sums, rows = np.zeros((len(link), NODES + 1)), np.arange(len(link))
    for node in range(NODES):
        sums[:, node + 1] = sums[rows, link[:, node]] + values[:, node]
    return sums


def _leaf_statistics(values: Array, is_leaf: NDArray[np.bool_]) -> Array:
    """Maximum, minimum and mean of values of nodes, (n, 4), over the leaves: (n, 3)."""
    highest = np.where(is_leaf, values, -np.inf).max(axis=1)
    lowest = np.where(is_leaf, values, np.inf).min(axis=1)
    return np.column_stack([highest, lowest, (values * is_leaf).sum(axis=1) / is_leaf.sum(axis=1)])


def _kind_statistics(link: Ints, is_leaf: NDArray[np.bool_], is_kind: NDArray[np.bool_]) -> Array:
    """`PATH_STATISTICS` of a kind of operations, (n, 4)."""
    paths = path_sums(link, is_kind)[:, 1:]
    return np.column_stack([is_kind.sum(axis=1), _leaf_statistics(paths, is_leaf)])


def _flat(values: Array) -> Array:
    return values.reshape(len(values), values.shape[1] * values.shape[2])
