"""Small changes of `nas-bench-graph` architectures: mutations, neighbors, crossovers."""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.nas_bench_graph.architecture import NasBenchGraphArchitecture, from_key
from models.nas_bench_graph.canonical import (
    ALL_SKIP,
    NODES,
    RAW_LINKS,
    SKIP,
    Ints,
    all_keys,
    canonical_keys,
    link_and_ops,
    lookup,
)
from models.nas_bench_graph.datasets import OPERATIONS
from models.nas_bench_graph.features import path_sums


def neighbor_keys(key: int, operations: tuple[str, ...]) -> Ints:
    """Return the keys of an architecture's neighbors, increasing.

    Two architectures are neighbors if one choice, the operation or the input of one node, turns the canonical form of
    one of them into a description of the other.

    Args:
        key: key of the architecture.
        operations: operations that neighbors may have.
    """
    forward = lookup(*_changed(*link_and_ops(np.array([key]))))
    index, *ops = np.nonzero(canonical_keys() == key)
    raw_cells = _changed(np.array(RAW_LINKS)[index], np.stack(ops, axis=1))
    backward = lookup(*raw_cells)
    is_canonical = (np.hstack(link_and_ops(backward)) == np.hstack(raw_cells)).all(axis=1)
    neighbors = np.setdiff1d(np.concatenate([forward, backward[is_canonical]]), [key, ALL_SKIP])
    return neighbors[has_operations(neighbors, operations)]


def _changed(link: Ints, ops: Ints) -> tuple[Ints, Ints]:
    """Inputs and operations of all cells that one choice makes of n cells, each (46 n, 4)."""
    links, operations = [], []
    for node in range(NODES):
        for op in range(len(OPERATIONS)):
            links.append(link)
            operations.append(_with(ops, node, op))
        for source in range(node + 1):
            links.append(_with(link, node, source))
            operations.append(ops)
    return np.concatenate(links), np.concatenate(operations)


def _with(cells: Ints, node: int, value: int) -> Ints:
    """Copy of inputs or operations, (n, 4), with one value for a node of all cells."""
    cells = cells.copy()
    cells[:, node] = value
    return cells


@lru_cache(maxsize=16)
def support(operations: tuple[str, ...], depth: int | None = None) -> Ints:
    """Return the keys with only some operations, increasing; those of one depth if it is given."""
    keys: Ints = all_keys()[has_operations(all_keys(), operations)]
    if depth is not None:
        link, ops = link_and_ops(keys)
        keys = keys[path_sums(link, ops != SKIP).max(axis=1) == depth]
    return keys


def has_operations(keys: Ints, operations: tuple[str, ...]) -> NDArray[np.bool_]:
    """Return true for the keys that have only some operations, (n,)."""
    _, ops = link_and_ops(keys)
    allowed = np.isin(ops, [OPERATIONS.index(op) for op in operations])
    has_only: NDArray[np.bool_] = np.logical_and.reduce(allowed, axis=1)
    return has_only


def mutate(
    arch: NasBenchGraphArchitecture, operations: tuple[str, ...], rng: np.random.Generator
) -> NasBenchGraphArchitecture:
    """Return a random neighbor."""
    return from_key(int(rng.choice(neighbor_keys(int(arch.digits), operations))))


def crossover(
    first: NasBenchGraphArchitecture, second: NasBenchGraphArchitecture, rng: np.random.Generator
) -> NasBenchGraphArchitecture:
    """Take input and operation of each node from a random parent; a cell of skips alone becomes the first parent."""
    link, ops = link_and_ops(np.array([int(first.digits), int(second.digits)]))
    parent, nodes = rng.integers(2, size=NODES), np.arange(NODES)
    key = int(lookup(link[parent, nodes][None], ops[parent, nodes][None])[0])
    return first if key == ALL_SKIP else from_key(key)


def describe_mutation(before: NasBenchGraphArchitecture, after: NasBenchGraphArchitecture) -> dict[str, Any]:
    """Describe a mutation: `{"node": 3, "from": "gcn", "to": "gat"}`, or the new cell if more than one node differs."""
    changed = [node for node in range(NODES) if before.ops[node] != after.ops[node]]
    if before.link == after.link and len(changed) == 1:
        return {"node": changed[0] + 1, "from": before.ops[changed[0]], "to": after.ops[changed[0]]}
    return {"link": list(after.link), "ops": list(after.ops)}
