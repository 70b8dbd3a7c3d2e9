"""A small graph, and workers that do not train."""

from pathlib import Path

import numpy as np
import pytest

from models.nas_bench_graph import NasBenchGraph

NODES = 480
NUM_FEATURES, CLASSES = 745, 8


@pytest.fixture(scope="session")
def photo() -> NasBenchGraph:
    return NasBenchGraph("photo")


@pytest.fixture(scope="session")
def graph_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ring of nodes whose class is partly in their features, in the format of the graph of photo."""
    rng, numbers = np.random.default_rng(0), np.arange(NODES)
    labels = numbers % CLASSES
    neighbors = np.sort(np.stack([(numbers - CLASSES) % NODES, (numbers + CLASSES) % NODES], axis=1), axis=1)
    words = CLASSES + rng.integers(0, 350, NODES), CLASSES + 350 + rng.integers(0, 350, NODES)
    features = np.stack([labels, *words], axis=1)
    path = tmp_path_factory.mktemp("graph") / "photo.npz"
    np.savez(
        path,
        adj_indptr=2 * np.arange(NODES + 1),
        adj_indices=neighbors.ravel(),
        x_indptr=3 * np.arange(NODES + 1),
        x_indices=features.ravel(),
        x_shape=np.array([NODES, NUM_FEATURES]),
        y=labels,
        lcc=np.ones(NODES, dtype=bool),
    )
    return path
