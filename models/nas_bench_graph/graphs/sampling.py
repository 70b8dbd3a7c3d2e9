"""Probe batches from a published graph: labeled nodes and a sample of their neighborhood."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from common.errors import check_seed
from models.nas_bench_graph.graphs.labels import labeled_nodes
from models.task import ProbeBatch


@dataclass(frozen=True, eq=False)
class GraphData:
    """Published graph.

    Attributes:
        features: (nodes, F), sparse.
        adjacency: (nodes, nodes), sparse and symmetric, without a diagonal.
        labels: class of each node, (nodes,).
        train, test: nodes of the published split; None if it is not published.
    """

    features: sparse.csr_array
    adjacency: sparse.csr_array
    labels: NDArray[np.int64]
    train: NDArray[np.int64] | None = None
    test: NDArray[np.int64] | None = None


def sample_batch(graph: GraphData, num_nodes: int, seed: int, source: str) -> ProbeBatch:
    """Sample a subgraph: labeled nodes, at most a quarter of all, and a neighborhood of them.

    Args:
        graph: the published graph.
        num_nodes: number of nodes, at most the graph's; 0: all nodes, with up to 20 labeled nodes a class.
        seed: seed of the sample.
        source: origin of the graph in words.

    Returns:
        A batch of dense features (nodes, F) and edges (2, E), with the labels of the labeled nodes.

    Raises:
        InputError: the seed is out of range.
    """
    check_seed(seed)
    size = len(graph.labels)
    rng = np.random.default_rng(seed)
    candidates = np.arange(size) if graph.train is None else graph.train
    labeled = labeled_nodes(graph.labels, candidates, num_nodes // 4 if num_nodes else size, rng)
    nodes = _neighborhood(graph.adjacency, labeled, num_nodes, rng) if num_nodes else np.arange(size)
    links = graph.adjacency[nodes][:, nodes].tocoo()
    edge_index = np.stack([links.row, links.col]).astype(np.int64)
    x = graph.features[nodes].toarray().astype(np.float32)
    return ProbeBatch(
        (torch.from_numpy(x), torch.from_numpy(edge_index)),
        torch.from_numpy(graph.labels[labeled]),
        f"{source}, {f'sample of {num_nodes} nodes, ' if num_nodes else ''}seed {seed}",
        torch.from_numpy(np.searchsorted(nodes, labeled)),
        sample_axis=None,
    )


def _neighborhood(
    adjacency: sparse.csr_array, start: NDArray[np.int64], size: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Nodes `start` and a sample of those around them, `size` in all, in increasing order.

    Eight rounds add neighbors, with rates in proportion to the square of their number of links to the nodes reached so
    far, which keeps the sample nearly as dense as the graph; further rounds add nodes at random once there are none.
    """
    reached = np.zeros(adjacency.shape[0], dtype=bool)
    reached[start] = True
    while (missing := size - int(reached.sum())) > 0:
        links = np.bincount(adjacency[np.flatnonzero(reached)].indices, minlength=len(reached))
        rates = np.where(reached, 0, links.astype(np.float64) ** 2)
        frontier = np.flatnonzero(rates if rates.any() else ~reached)
        order = np.argsort(rng.exponential(size=len(frontier)) / np.maximum(rates[frontier], 1), kind="stable")
        reached[frontier[order[: min(missing, size // 8 + 1)]]] = True
    return np.flatnonzero(reached)
