"""Nodes whose labels a probe batch carries."""

import numpy as np
from numpy.typing import NDArray

LABELED_PER_CLASS = 20


def labeled_nodes(
    classes: NDArray[np.int64], candidates: NDArray[np.int64], limit: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw nodes to label: at most 20 per class, and the same number of each class as far as possible.

    Args:
        classes: class of each node.
        candidates: nodes to draw from.
        limit: maximum number of nodes.
        rng: source of randomness.

    Returns:
        Nodes in increasing order.
    """
    order = rng.permutation(candidates)
    members = [order[classes[order] == label][:LABELED_PER_CLASS] for label in np.unique(classes[candidates])]
    rounds = [nodes[i : i + 1] for i in range(LABELED_PER_CLASS) for nodes in members]
    return np.sort(np.concatenate(rounds)[:limit])
