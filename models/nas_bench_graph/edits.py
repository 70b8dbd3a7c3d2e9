"""Small changes of `nas-bench-graph` architectures: mutations, neighbors, crossovers."""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.nas_bench_graph.architecture import NasBenchGraphArchitecture, from_key
from models.nas_bench_graph.canonical import ALL_SKIP, LINKS, NODES, RAW_LINKS, Ints, all_keys, canonical_keys, digits
from models.nas_bench_graph.datasets import OPERATIONS


def neighbor_keys(key: int, operations: tuple[str, ...]) -> Ints:
    """Return the keys of an architecture's neighbors, increasing.

    Two architectures are neighbors if one choice, the operation or the input of one node, turns the canonical form of
    one of them into a cell of the other.

    Args:
        key: key of the architecture.
        operations: operations that neighbors may have.
    """
    keys, starts, neighbors = _adjacency()
    row = int(np.searchsorted(keys, key))
    found = neighbors[starts[row] : starts[row + 1]]
    return found[has_operations(found, operations)]


def has_operations(keys: Ints, operations: tuple[str, ...]) -> NDArray[np.bool_]:
    """Return true for the keys that have only some operations, (n,)."""
    return np.isin(digits(keys)[:, 1:], [OPERATIONS.index(op) for op in operations]).all(axis=1)


@lru_cache(maxsize=1)
def _adjacency() -> tuple[Ints, Ints, Ints]:
    """All keys, increasing, the start of each key's neighbors, and the neighbors of all keys one after another."""
    keys, table = all_keys(), canonical_keys()
    cells = digits(keys)
    cells[:, 0] = np.array([RAW_LINKS.index(link) for link in LINKS])[cells[:, 0]]
    changed = [table[tuple(cells.T)]]
    for node in range(NODES):
        for op in range(len(OPERATIONS)):
            changed.append(table[tuple(_with(cells, node + 1, np.array(op)).T)])
        for source in range(node + 1):
            raw = [RAW_LINKS.index((*link[:node], source, *link[node + 1 :])) for link in RAW_LINKS]
            changed.append(table[tuple(_with(cells, 0, np.array(raw)[cells[:, 0]]).T)])
    after = np.concatenate(changed)
    before = np.tile(keys, len(changed))
    different = (after != before) & (after != ALL_SKIP)
    before, after = before[different], after[different]
    edges = np.unique(np.concatenate([before * 10**5 + after, after * 10**5 + before]))
    return keys, np.searchsorted(edges, np.append(keys, 10**5) * 10**5), edges % 10**5


def _with(cells: Ints, column: int, values: Ints) -> Ints:
    cells = cells.copy()
    cells[:, column] = values
    return cells


def mutate(
    arch: NasBenchGraphArchitecture, operations: tuple[str, ...], rng: np.random.Generator
) -> NasBenchGraphArchitecture:
    """Return a random neighbor."""
    return from_key(int(rng.choice(neighbor_keys(int(arch.digits), operations))))


def crossover(
    first: NasBenchGraphArchitecture, second: NasBenchGraphArchitecture, rng: np.random.Generator
) -> NasBenchGraphArchitecture:
    """Take input and operation of each node from a random parent; a cell of skips alone becomes the first parent."""
    parents = [(arch.link, [OPERATIONS.index(op) for op in arch.ops]) for arch in (first, second)]
    chosen = [parents[int(index)] for index in rng.integers(2, size=NODES)]
    link = tuple(parent[0][node] for node, parent in enumerate(chosen))
    ops = [parent[1][node] for node, parent in enumerate(chosen)]
    index = next(i for i, raw in enumerate(RAW_LINKS) if raw == link)
    key = int(canonical_keys()[(index, *ops)])
    return first if key == ALL_SKIP else from_key(key)


def describe_mutation(before: NasBenchGraphArchitecture, after: NasBenchGraphArchitecture) -> dict[str, Any]:
    """Describe a mutation: `{"node": 3, "from": "gcn", "to": "gat"}`, or the new cell if more than one node differs."""
    changed = [node for node in range(NODES) if before.ops[node] != after.ops[node]]
    if before.link == after.link and len(changed) == 1:
        return {"node": changed[0] + 1, "from": before.ops[changed[0]], "to": after.ops[changed[0]]}
    return {"link": list(after.link), "ops": list(after.ops)}
