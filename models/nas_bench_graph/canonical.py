"""Canonical form of cells: the map from all descriptions of a cell to the 26,206 keys of the benchmark.

A *raw* cell is an input for each of four nodes, which makes 24 topologies, and an operation for each. It becomes
canonical in three steps (`valid_hash` of the benchmark): skips move to the front, the topology becomes the isomorphic
one of nine, interchangeable nodes are sorted by operation. A cell of skips alone has no key.
"""

from functools import lru_cache
from itertools import permutations, product

import numpy as np
from numpy.typing import NDArray

from models.nas_bench_graph.datasets import OPERATIONS

Ints = NDArray[np.int64]
Link = tuple[int, int, int, int]

NODES = 4
LINKS: tuple[Link, ...] = (
    (0, 0, 0, 0),
    (0, 0, 0, 1),
    (0, 0, 1, 1),
    (0, 0, 1, 2),
    (0, 0, 1, 3),
    (0, 1, 1, 1),
    (0, 1, 1, 2),
    (0, 1, 2, 2),
    (0, 1, 2, 3),
)
"""Canonical topologies in the order of their digits in keys: input of each node, 0 for the cell's, k for node k."""
RAW_LINKS: tuple[Link, ...] = tuple(product(range(1), range(2), range(3), range(4)))
"""All topologies: the input of a node is the cell's or an earlier node."""
INTERCHANGEABLE: dict[Link, slice] = {
    (0, 0, 0, 0): slice(0, 4),
    (0, 0, 0, 1): slice(1, 3),
    (0, 0, 1, 1): slice(2, 4),
    (0, 1, 1, 1): slice(1, 4),
    (0, 1, 2, 2): slice(2, 4),
}
"""Leaves with the same input, by topology."""
TWO_CHAINS: Link = (0, 0, 1, 2)
"""The topology of two chains of two nodes, interchangeable as a whole."""
PLACES = 10 ** np.arange(NODES, -1, -1)
"""Value of each digit of a key."""
SKIP = OPERATIONS.index("skip")
ALL_SKIP = 88_888
"""The number that a cell of skips alone would have as a key."""


@lru_cache(maxsize=1)
def canonical_keys() -> Ints:
    """Return the key of every raw cell, (24, 9, 9, 9, 9): topology by its index in `RAW_LINKS`, then operations."""
    shape = (len(RAW_LINKS), *[len(OPERATIONS)] * NODES)
    raw = np.indices(shape).reshape(len(shape), -1).T
    keys = _keys(np.array(RAW_LINKS)[raw[:, 0]], raw[:, 1:]).reshape(shape)
    keys.flags.writeable = False
    return keys


@lru_cache(maxsize=1)
def all_keys() -> Ints:
    """Return all keys of the benchmark, increasing, (26206,)."""
    keys = np.setdiff1d(canonical_keys(), [ALL_SKIP])
    keys.flags.writeable = False
    return keys


def lookup(link: Ints, ops: Ints) -> Ints:
    """Return the keys of raw cells, (n,), those of skips alone as `ALL_SKIP`.

    Args:
        link: input of each node, (n, 4).
        ops: index of each node's operation, (n, 4).
    """
    keys: Ints = canonical_keys()[(_raw_index(link), *ops.T)]
    return keys


def link_and_ops(keys: Ints) -> tuple[Ints, Ints]:
    """Return inputs and operations of the nodes of keys, each (n, 4)."""
    digits = keys[:, None] // PLACES % 10
    return np.array(LINKS)[digits[:, 0]], digits[:, 1:]


def _raw_index(link: Ints) -> Ints:
    """Index of each topology in `RAW_LINKS`, (n,)."""
    index: Ints = link @ np.array([0, 12, 4, 1])
    return index


def _keys(link: Ints, ops: Ints) -> Ints:
    """Keys of raw cells: inputs and operations, each (n, 4)."""
    link, ops = _skips_first(link, ops)
    index, ops = _relabeled(link, ops)
    ops = _sorted(index, ops)
    return np.column_stack([index, ops]) @ PLACES


def _skips_first(link: Ints, ops: Ints) -> tuple[Ints, Ints]:
    """Move skips to the front, node by node.

    A skip moves if it has children or no sibling, or if its input is raw: the cell's, through skips alone. Its children
    get its input as their own, and all that read the cell's input read the skip.
    """
    for k in range(NODES):
        parent = link[:, k]
        has_child = (link == k + 1).any(axis=1)
        has_sibling = (link == parent[:, None]).sum(axis=1) > 1
        moves = (ops[:, k] == SKIP) & (has_child | ~has_sibling | _is_raw(link, ops)[np.arange(len(link)), parent])
        order = [k, *(j for j in range(NODES) if j != k)]
        # The nodes before k and the skip change places, and children of the skip read its input.
        moved = np.where(link == k + 1, parent[:, None] + 1, link + (link <= k))
        moved[:, k] = 0
        link = np.where(moves[:, None], moved[:, order], link)
        ops = np.where(moves[:, None], ops[:, order], ops)
    return link, ops


def _is_raw(link: Ints, ops: Ints) -> NDArray[np.bool_]:
    """Return true for the states that are the cell's input, itself or through skips alone, (n, 5)."""
    raw = np.ones((len(link), NODES + 1), dtype=bool)
    for k in range(NODES):
        raw[:, k + 1] = raw[np.arange(len(link)), link[:, k]] & (ops[:, k] == SKIP)
    return raw


def _relabeled(link: Ints, ops: Ints) -> tuple[Ints, Ints]:
    """Index of the isomorphic canonical topology, (n,), and the operations of its nodes, (n, 4)."""
    table = np.array([_relabeling(raw) for raw in RAW_LINKS])
    row = table[_raw_index(link)]
    return row[:, 0], np.take_along_axis(ops, row[:, 1:], axis=1)


def _relabeling(raw: Link) -> tuple[int, ...]:
    """Index of the canonical topology of a raw one, then the raw node (from 0) that each canonical node is."""
    for order in permutations(range(NODES)):
        place = {0: 0, **{node + 1: i + 1 for i, node in enumerate(order)}}
        relabeled = tuple(place[raw[node]] for node in order)
        if relabeled in LINKS:
            return LINKS.index(relabeled), *order
    raise AssertionError(raw)


def _sorted(index: Ints, ops: Ints) -> Ints:
    """Sort interchangeable nodes by operation."""
    ops = ops.copy()
    for link, nodes in INTERCHANGEABLE.items():
        rows = index == LINKS.index(link)
        ops[rows, nodes] = np.sort(ops[rows, nodes], axis=1)
    first, second = ops[:, [0, 2]] @ [10, 1], ops[:, [1, 3]] @ [10, 1]
    swapped = (index == LINKS.index(TWO_CHAINS)) & (first > second)
    ops[swapped] = ops[swapped][:, [1, 0, 3, 2]]
    return ops
