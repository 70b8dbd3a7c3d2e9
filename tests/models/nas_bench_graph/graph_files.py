"""Small graphs in the form of the published files."""

import pickle
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from models.nas_bench_graph.datasets import get_dataset
from models.nas_bench_graph.graphs.sampling import GraphData

CORA, PHOTO = get_dataset("cora"), get_dataset("photo")
TRAIN, OTHERS = 14, 40
TEST_INDEX = [44, 42, 40, 41, 43, 50, 49, 48, 47, 46]
"""Test nodes follow the others; node 45 has no features, and is left out."""


def ring(nodes: int) -> GraphData:
    """Ring of nodes whose features are their numbers, classes 0 and 1 in turn."""
    pairs = np.arange(nodes), (np.arange(nodes) + 1) % nodes
    half = sparse.csr_array((np.ones(nodes), pairs), shape=(nodes, nodes))
    features = sparse.csr_array(np.arange(1.0, nodes + 1)[:, None])
    return GraphData(features, sparse.csr_array(half + half.T), np.arange(nodes) % 2)


def photo_arrays() -> dict[str, NDArray[Any]]:
    """Graph of 40 nodes in a ring, in the form of the published files; the last node is in no component."""
    adjacency = ring(40).adjacency.tocsr()
    features = sparse.csr_array((np.random.default_rng(0).random((40, PHOTO.num_features)) < 0.1).astype(np.int8))
    return {
        "adj_indptr": adjacency.indptr.astype(np.int32),
        "adj_indices": adjacency.indices.astype(np.int32),
        "x_indptr": features.indptr.astype(np.int32),
        "x_indices": features.indices.astype(np.int16),
        "x_shape": np.array([40, PHOTO.num_features]),
        "y": (np.arange(40) % 8).astype(np.int8),
        "lcc": np.arange(40) < 39,
    }


def save(folder: Path, **changes: Any) -> Path:
    arrays = photo_arrays() | changes
    np.savez(folder / "photo.npz", **{name: array for name, array in arrays.items() if array is not None})
    return folder / "photo.npz"


def planetoid(folder: Path, **changes: Any) -> Path:
    """Write a small data set in the form of cora's files."""
    rng = np.random.default_rng(0)
    features = (rng.random((OTHERS + 10, CORA.num_features)) < 0.02).astype(np.float32)
    one_hot = np.eye(7, dtype=np.int32)[np.arange(OTHERS + 10) % 7]
    neighbors = defaultdict(list, {node: [(node + 1) % 51, (node - 1) % 51, node] for node in range(51)})
    parts: dict[str, Any] = {
        "x": sparse.csr_matrix(features[:TRAIN]),
        "allx": sparse.csr_matrix(features[:OTHERS]),
        "tx": sparse.csr_matrix(features[OTHERS:]),
        "y": one_hot[:TRAIN],
        "ally": one_hot[:OTHERS],
        "ty": one_hot[OTHERS:],
        "graph": neighbors,
    } | changes
    index = parts.pop("index", "\n".join(map(str, TEST_INDEX)).encode())
    (folder / "ind.cora.test.index").write_bytes(index)
    for part, value in parts.items():
        content = value if isinstance(value, bytes) else pickle.dumps(value, protocol=3)
        (folder / f"ind.cora.{part}").write_bytes(content)
    return folder
