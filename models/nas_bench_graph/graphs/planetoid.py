"""The Planetoid citation graphs (Yang et al., ICML 2016) from their published files `ind.<name>.*`."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from common.errors import BatchError, InputError
from common.files import read_file
from models.nas_bench_graph.graphs.array_pickle import PickleError, read_pickle
from models.nas_bench_graph.graphs.sampling import GraphData

MATRICES, LABELS = ("x", "tx", "allx"), ("y", "ty", "ally")


def load_planetoid(name: str, folder: Path) -> GraphData:
    """Read a citation graph, with its public split: the nodes of `x`, which come first, and those of `tx`.

    `allx` holds the features of all nodes but the test nodes, `tx` those of the test nodes in the order of
    `test.index`. Test nodes that the index leaves out have no features, and label 0, which no split uses.

    Args:
        name: name of the data set.
        folder: folder of its files.

    Returns:
        The graph. Features are not normalized.

    Raises:
        BatchError: a file is missing or malformed, or they do not fit each other.
    """
    files = {part: folder / f"ind.{name}.{part}" for part in (*MATRICES, *LABELS, "graph", "test.index")}
    x, tx, allx = (_matrix(files[part]) for part in MATRICES)
    y, ty, ally = (_labels(files[part]) for part in LABELS)
    test = _test_index(files["test.index"])
    for part, matrix, labels in (("x", x, y), ("tx", tx, ty), ("allx", allx, ally)):
        if matrix.shape != (len(labels), allx.shape[1]):
            raise BatchError(str(files[part]), matrix.shape, f"({len(labels)}, {allx.shape[1]})")
    if len(x.indptr) > len(allx.indptr):
        raise BatchError(str(files["x"]), x.shape, f"at most {allx.shape[0]} nodes")
    first = allx.shape[0]
    if len(test) != len(ty) or test.min() != first or len(np.unique(test)) != len(test) or test.max() > 2 * first:
        allowed = f"{len(ty)} different numbers from {first}, the number of other nodes"
        raise BatchError(str(files["test.index"]), (len(test), int(test.min()), int(test.max())), allowed)
    nodes = int(test.max()) + 1
    order = np.full(nodes - first, len(test))
    order[test - first] = np.arange(len(test))
    with_empty_row = sparse.vstack([tx, sparse.csr_array((1, tx.shape[1]), dtype=tx.dtype)], format="csr")
    features = sparse.vstack([allx, with_empty_row[order]], format="csr")
    labels = np.concatenate([ally, np.append(ty, 0)[order]])
    adjacency = _adjacency(files["graph"], nodes)
    return GraphData(sparse.csr_array(features), adjacency, labels, np.arange(len(y)), np.sort(test))


def _read(path: Path) -> Any:
    try:
        return read_pickle(read_file(path, "data"))
    except PickleError as error:
        raise BatchError("data", str(path), f"a pickle of arrays ({error})") from error
    except InputError as error:
        raise error.renamed("data", BatchError) from error
    except OSError as error:
        raise BatchError("data", str(path), f"a readable file ({error.strerror})") from error


def _matrix(path: Path) -> sparse.csr_array:
    matrix = _read(path)
    if not isinstance(matrix, sparse.csr_array) or not np.isfinite(matrix.data).all():
        raise BatchError("data", str(path), "a CSR matrix of finite numbers")
    return matrix


def _labels(path: Path) -> NDArray[np.int64]:
    """Classes of one-hot rows."""
    one_hot = _read(path)
    if not isinstance(one_hot, np.ndarray) or one_hot.ndim != 2 or 0 in one_hot.shape:
        raise BatchError("data", str(path), "an array (nodes, classes)")
    labels: NDArray[np.int64] = one_hot.argmax(axis=1)
    return labels


def _test_index(path: Path) -> NDArray[np.int64]:
    try:
        index = np.array([int(line) for line in read_file(path, "data").split()], dtype=np.int64)
    except InputError as error:
        raise error.renamed("data", BatchError) from error
    except (OSError, ValueError, OverflowError) as error:
        raise BatchError("data", str(path), f"a whole number per line ({error})") from error
    if len(index) == 0:
        raise BatchError("data", str(path), "a whole number per line")
    return index


def _adjacency(path: Path, nodes: int) -> sparse.csr_array:
    """Symmetric matrix of the links in either direction, without self-loops."""
    lists = _read(path)
    if not isinstance(lists, dict) or not all(isinstance(neighbors, list) for neighbors in lists.values()):
        raise BatchError("data", str(path), "lists of neighbors by node")
    pairs = [(node, neighbor) for node, neighbors in lists.items() for neighbor in neighbors]
    if not all(type(node) is int and 0 <= node < nodes for pair in pairs for node in pair):
        raise BatchError("data", str(path), f"nodes from 0 to {nodes - 1}")
    source, target = np.array([pair for pair in pairs if pair[0] != pair[1]], dtype=np.int64).reshape(-1, 2).T
    ones = np.ones(2 * len(source), dtype=np.float32)
    ends = np.concatenate([source, target]), np.concatenate([target, source])
    adjacency = sparse.csr_array((ones, ends), shape=(nodes, nodes))
    adjacency.sum_duplicates()
    adjacency.data[:] = 1
    return adjacency
