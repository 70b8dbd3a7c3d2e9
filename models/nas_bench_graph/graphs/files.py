"""Published graphs from files: an `.npz` of index arrays, or the folder of a Planetoid data set."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from common.errors import BatchError
from models.nas_bench_graph.datasets import Dataset
from models.nas_bench_graph.graphs.planetoid import load_planetoid
from models.nas_bench_graph.graphs.sampling import GraphData
from models.npz import load_npz

ARRAYS = ("adj_indptr", "adj_indices", "x_indptr", "x_indices", "x_shape", "y", "lcc")
LARGEST_COMPONENT = ("photo", "computers")
"""Data sets that the benchmark reduced to their largest component."""
NOT_PUBLISHED = ("arxiv", "proteins")
"""Data sets that no supported file format holds."""


def load_graph(dataset: Dataset, path: str | Path) -> GraphData:
    """Read the graph of a data set.

    Args:
        dataset: data set.
        path: an `.npz` file with binary features, or a folder with the files `ind.<data set>.*` of Planetoid.

    Returns:
        The graph; photo and computers reduced to their largest component.

    Raises:
        BatchError: a file is missing, malformed or a pickle of anything but arrays, or the graph is not the data set's.
    """
    if dataset.name in NOT_PUBLISHED:
        raise BatchError("source", "graph", f"synthetic, as the graph of {dataset.name} cannot be read")
    graph = load_planetoid(dataset.name, Path(path)) if Path(path).is_dir() else _load_npz(dataset, path)
    if graph.features.shape[1] != dataset.num_features:
        raise BatchError("data (features)", graph.features.shape[1], f"{dataset.num_features}, as of {dataset.name}")
    labels = np.unique(graph.labels)
    if not np.array_equal(labels, np.arange(dataset.num_outputs)):
        raise BatchError("data (labels)", labels.tolist(), f"each from 0 to {dataset.num_outputs - 1}")
    return graph


def _load_npz(dataset: Dataset, path: str | Path) -> GraphData:
    indptr, indices, x_indptr, x_indices, x_shape, labels, component = load_npz(path, ARRAYS)
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or len(labels) == 0:
        raise BatchError("y (shape)", (labels.shape, str(labels.dtype)), "whole numbers, one label per node")
    nodes = len(labels)
    if x_shape.shape != (2,) or x_shape.dtype.kind not in "iu" or x_shape[0] != nodes or not 0 < x_shape[1] < 2**31:
        raise BatchError("x_shape", x_shape, f"({nodes}, number of features)")
    if component.shape != (nodes,) or component.dtype != np.bool_ or not component.any():
        raise BatchError("lcc (shape)", (component.shape, str(component.dtype)), f"{nodes} booleans, one per node")
    adjacency = _binary_csr(indptr, indices, (nodes, nodes), "adj")
    if adjacency.diagonal().any() or abs(adjacency - adjacency.T).sum() > 0:
        raise BatchError("adj_indices", indices.shape, "a symmetric matrix without a diagonal")
    features = _binary_csr(x_indptr, x_indices, (nodes, int(x_shape[1])), "x")
    if dataset.name not in LARGEST_COMPONENT:
        return GraphData(features, adjacency, labels.astype(np.int64))
    kept = np.flatnonzero(component)
    return GraphData(features[kept], adjacency[kept][:, kept], labels[kept].astype(np.int64))


def _binary_csr(indptr: NDArray[Any], indices: NDArray[Any], shape: tuple[int, int], name: str) -> sparse.csr_array:
    """Binary matrix of sorted row pointers and column indices."""
    rows, columns = shape
    well_formed = indptr.dtype.kind in "iu" and indptr.shape == (rows + 1,) and indices.ndim == 1
    if not well_formed or indptr[0] != 0 or indptr[-1] != len(indices) or (indptr[1:] < indptr[:-1]).any():
        allowed = f"{rows + 1} whole numbers that increase from 0 to {len(indices.ravel())}"
        raise BatchError(f"{name}_indptr", (indptr.shape, str(indptr.dtype)), allowed)
    if indices.dtype.kind not in "iu" or (len(indices) and not 0 <= indices.min() <= indices.max() < columns):
        raise BatchError(f"{name}_indices", (indices.shape, str(indices.dtype)), f"columns from 0 to {columns - 1}")
    matrix = sparse.csr_array((np.ones(len(indices), np.float32), indices.astype(np.int64), indptr), shape=shape)
    matrix.sort_indices()
    if not matrix.has_canonical_format:
        raise BatchError(f"{name}_indices", (indices.shape, str(indices.dtype)), "no column twice in a row")
    return matrix
