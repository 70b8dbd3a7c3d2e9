"""Sizes of probe graphs."""

from common.errors import BatchError
from models.nas_bench_graph.datasets import Dataset

NUM_COMMUNITIES = 8
"""Communities of a graph with independent targets, in the place of classes."""
NODES_PER_CLASS = 4
"""Smallest number of nodes per class, of which a half or a quarter are labeled."""
DEFAULT_NUM_NODES = 64
"""Default size, unless the number of classes requires more: all proxies take at most 0.3 s on two cores."""


def num_communities(dataset: Dataset) -> int:
    """Return the number of classes, or of communities where targets are independent."""
    return NUM_COMMUNITIES if dataset.is_multilabel else dataset.num_outputs


def default_num_nodes(dataset: Dataset) -> int:
    """Return the default number of nodes of a probe graph."""
    return max(DEFAULT_NUM_NODES, NODES_PER_CLASS * num_communities(dataset))


def check_num_nodes(dataset: Dataset, num_nodes: int, maximum: int) -> None:
    """Check the number of nodes of a probe graph. Raises `BatchError`."""
    minimum = NODES_PER_CLASS * num_communities(dataset)
    if type(num_nodes) is not int or not minimum <= num_nodes <= maximum:
        raise BatchError("num_nodes", num_nodes, f"a whole number from {minimum} to {maximum}")
