"""Cells of `nas-bench-201` as graphs: four nodes, an operation on each of six edges.

Node 0 is the input and node 3 the output; a node is the sum of its edges. An edge is *live* if it lies on a path from
input to output without `none`. Other edges do not change the output.
"""

from collections.abc import Sequence

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
NONE, SKIP, CONV_1X1, CONV_3X3, AVG_POOL = range(len(OPERATIONS))
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""Edges (source, target) in the order of the benchmark's strings."""
OUTPUT = 3
PATHS = ((3,), (0, 4), (1, 5), (0, 2, 5))
"""Indices of the edges of each path from input to output."""


def live_paths(ops: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """Return the paths from input to output without `none`, as indices of edges."""
    return tuple(path for path in PATHS if all(ops[edge] != NONE for edge in path))


def live_edges(ops: Sequence[int]) -> tuple[int, ...]:
    """Return the indices of the live edges, increasing."""
    return tuple(sorted({edge for path in live_paths(ops) for edge in path}))


def expression(ops: Sequence[int]) -> str:
    """Return the expression of the output that identifies isomorphic cells.

    A node is the sorted sum of its terms, `0` for the input. `none`, and an operation on a node without terms, adds no
    term; a skip connection adds its source's sum as one term; another operation adds `(…)@operation`. The cells have
    5,390 expressions. These are the classes of NATS-Bench (Dong et al. 2021); they are not exactly the cells that are
    equal as functions: a skipped sum is not merged into the sum that it joins, and a shared result is written twice.
    """
    nodes = ["0"]
    for node in range(1, OUTPUT + 1):
        terms = []
        for op, (source, target) in zip(ops, EDGES, strict=True):
            if target == node and op != NONE and nodes[source]:
                terms.append(nodes[source] if op == SKIP else f"({nodes[source]})@{OPERATIONS[op]}")
        nodes.append("+".join(sorted(terms)))
    return nodes[OUTPUT]
