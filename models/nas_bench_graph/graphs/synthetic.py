"""Synthetic graphs with class structure: probe batches that need no download.

Links follow a degree-corrected stochastic block model (Karrer & Newman, Phys. Rev. E 2011): two nodes are linked in
proportion to their propensities, which have a heavy tail, and more often within a class. Features are binary words,
whose frequencies depend on the class; for arxiv and proteins they are real numbers, as in the data sets.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from common.errors import check_seed
from models.nas_bench_graph.datasets import Dataset
from models.nas_bench_graph.graphs.labels import labeled_nodes
from models.nas_bench_graph.graphs.sizes import NUM_COMMUNITIES, check_num_nodes, num_communities
from models.task import ProbeBatch

MAX_NUM_NODES = 2048
"""Largest size, as all pairs of nodes are drawn at once."""
HOMOPHILY = 0.8
"""Share of the links that are within a class; .65 to .93 in the data sets."""
TAIL_EXPONENT = 2.5
"""Exponent of the propensities' Pareto distribution."""
MAX_DENSITY = 1 / 8
"""Largest mean degree, relative to the number of nodes: where a data set's graph has more, its sample has less."""
WORDS = {"cora": 18, "citeseer": 32, "pubmed": 50, "cs": 60, "physics": 33, "photo": 259, "computers": 267}
"""Mean number of features of a node that are not 0, in the data sets with binary features or word frequencies."""


def num_links(dataset: Dataset, num_nodes: int) -> int:
    """Number of links of a synthetic graph: the data set's per node, at most `MAX_DENSITY`, at least one per node."""
    degree = min(dataset.num_edges / dataset.num_nodes, MAX_DENSITY * num_nodes)
    return max(num_nodes, round(num_nodes * degree / 2))


def synthetic_batch(dataset: Dataset, num_nodes: int, seed: int) -> ProbeBatch:
    """Generate a graph in the likeness of a data set.

    Classes have the same size within one node. Of each, 20 nodes are labeled, or half if there are fewer than 40.

    Args:
        dataset: data set, which sets numbers of features, outputs, and links per node.
        num_nodes: number of nodes.
        seed: seed of the graph; the same seed gives the same graph on every machine.

    Returns:
        A batch of features (nodes, F) and edges (2, E), with targets of the labeled nodes.

    Raises:
        BatchError: the number of nodes is out of range.
        InputError: the seed is out of range.
    """
    check_num_nodes(dataset, num_nodes, MAX_NUM_NODES)
    check_seed(seed)
    links_rng, features_rng, rows_rng = (np.random.default_rng((seed, stream)) for stream in range(3))
    communities = links_rng.permutation(np.arange(num_nodes) % num_communities(dataset))
    links = _links(communities, num_links(dataset, num_nodes), links_rng)
    if dataset.is_multilabel:
        x, targets = _multilabel(communities, dataset, features_rng)
    else:
        x, targets = _features(communities, dataset, features_rng), communities
    rows = labeled_nodes(communities, np.arange(num_nodes), num_nodes // 2, rows_rng)
    return ProbeBatch(
        (torch.from_numpy(x.astype(np.float32)), torch.from_numpy(np.concatenate([links, links[::-1]], axis=1))),
        torch.from_numpy(targets[rows]),
        f"synthetic {dataset.name} graph of {num_nodes} nodes, seed {seed}",
        torch.from_numpy(rows),
        sample_axis=None,
    )


def _links(communities: NDArray[np.int64], number: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw links (2, number) without repetition, one for each node at least."""
    nodes = len(communities)
    propensity = 1 + rng.pareto(TAIL_EXPONENT - 1, nodes)
    first, second = np.triu_indices(nodes, 1)
    weights = propensity[first] * propensity[second]
    odds = HOMOPHILY / (1 - HOMOPHILY) * communities.max()  # against a link to each of the other communities
    weights *= np.where(communities[first] == communities[second], odds, 1.0)
    # The smallest of exponential variables with these rates are a weighted sample without replacement.
    order = np.argsort(rng.exponential(size=len(weights)) / weights, kind="stable")
    ends = np.stack([first[order], second[order]])
    earliest = np.empty(nodes, dtype=np.int64)
    earliest[ends.T.ravel()[::-1]] = np.arange(ends.size)[::-1] // 2  # of equal indices the last, so the first link
    is_chosen = np.zeros(len(order), dtype=bool)
    is_chosen[earliest] = True
    is_chosen[np.flatnonzero(~is_chosen)[: number - int(is_chosen.sum())]] = True
    return ends[:, is_chosen]


def _features(classes: NDArray[np.int64], dataset: Dataset, rng: np.random.Generator) -> NDArray[np.floating]:
    """Features (nodes, F) that depend on the class."""
    shape = dataset.num_outputs, dataset.num_features
    if dataset.name not in WORDS:
        return rng.normal(size=shape)[classes] + rng.normal(size=(len(classes), dataset.num_features))
    popularity = rng.lognormal(sigma=1.0, size=dataset.num_features)
    frequencies = popularity * rng.lognormal(sigma=1.0, size=shape)
    for _ in range(20):  # to the mean number of words, with frequencies of at most 1
        frequencies *= WORDS[dataset.name] / frequencies.sum(axis=1, keepdims=True)
        frequencies = np.minimum(frequencies, 1)
    words = rng.random((len(classes), dataset.num_features)) < frequencies[classes]
    return words.astype(np.float32)


def _multilabel(
    communities: NDArray[np.int64], dataset: Dataset, rng: np.random.Generator
) -> tuple[NDArray[np.floating], NDArray[np.float32]]:
    """Features in (0, 1), (nodes, F), and targets 0 or 1, (nodes, C), from latent positions of the nodes."""
    latent = rng.normal(size=(NUM_COMMUNITIES, dataset.num_features))[communities]
    latent = latent + rng.normal(scale=0.5, size=latent.shape)
    scores = latent @ rng.normal(size=(dataset.num_features, dataset.num_outputs))
    targets = scores > np.quantile(scores, 0.7, axis=0)
    return 1 / (1 + np.exp(-latent)), targets.astype(np.float32)
