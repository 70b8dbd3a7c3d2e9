"""Tables of NAS-Bench-Graph, and predictions of sources for all of their architectures, computed once.

Of each draw, the test architectures and the pool of training rows are the same for all data sets, and hidden from every
source: predictions for architectures that a source was fitted to would be better than those for the rest.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ensemble import get_combiner, load_benchmark
from ensemble.combiners.base import Combiner
from ensemble.combiners.calibrated import Calibrated
from ensemble.data.columns import Columns
from ensemble.data.features import feature_table
from models import Architecture
from models.nas_bench_graph import NasBenchGraph

Array = NDArray[np.float64]
DATASETS = ("cora", "citeseer", "pubmed", "cs", "physics", "photo", "computers", "arxiv")
"""Data sets whose tables have the whole space; proteins has only some of its operations."""
NUM_TEST, POOL_SIZE = 5000, 2000
SOURCE = "rank_trees"


@dataclass(frozen=True)
class Tables:
    """Labels of N architectures on every data set.

    Attributes:
        architectures: all that are labelled on some data set, sorted by fingerprint.
        accuracy: (N, 8), NaN where there is no label.
    """

    architectures: list[Architecture]
    accuracy: Array

    @classmethod
    def load(cls, folder: Path) -> "Tables":
        """Read the tables `nas-bench-graph/<data set>.npz` of a folder."""
        benchmarks = [
            load_benchmark(folder / "nas-bench-graph" / f"{name}.npz", "nas-bench-graph") for name in DATASETS
        ]
        union = {arch.fingerprint: arch for benchmark in benchmarks for arch in benchmark.architectures}
        position = {fingerprint: i for i, fingerprint in enumerate(sorted(union))}
        accuracy = np.full((len(union), len(DATASETS)), np.nan)
        for j, benchmark in enumerate(benchmarks):
            rows = [position[arch.fingerprint] for arch in benchmark.architectures]
            accuracy[rows, j] = benchmark.accuracy
        return cls([union[fingerprint] for fingerprint in position], accuracy)

    def split(self, draw: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows of a draw, labelled on every data set: those of the test, and the pool of training rows in their order.

        Args:
            draw: seed of the draw.
        """
        labelled = np.flatnonzero(~np.isnan(self.accuracy).any(axis=1))
        rows = np.random.default_rng(draw).permutation(labelled)[: NUM_TEST + POOL_SIZE]
        return np.sort(rows[:NUM_TEST]), rows[NUM_TEST:]


def columns_of(dataset: str) -> Columns:
    """Describe the feature table of a data set."""
    return Columns.from_space(NasBenchGraph(dataset))


def features(tables: Tables, dataset: str, cache: Path) -> Array:
    """Structure and costs of all architectures, (N, d), from the cache where it has them."""
    path = cache / f"features-{dataset}.npy"
    if not path.is_file():
        _save(path, feature_table(NasBenchGraph(dataset), tables.architectures).values)
    return np.asarray(np.load(path))


def source_scores(tables: Tables, dataset: str, draw: int, cache: Path) -> Array:
    """Ranking scores of all architectures, (N,), by a source, from the cache where it has them.

    Args:
        tables: labels.
        dataset: the source's data set, to whose labels it is fitted, those of the draw's test and pool excepted.
        draw: seed of the draw.
        cache: folder for results.
    """
    path = cache / f"scores-{draw}-{dataset}.npy"
    if not path.is_file():
        X, y = features(tables, dataset, cache), tables.accuracy[:, DATASETS.index(dataset)]
        known = ~np.isnan(y)
        known[np.concatenate(tables.split(draw))] = False
        _save(path, unfitted_ranker(SOURCE, dataset).fit(X[known], y[known]).predict(X))
    return np.asarray(np.load(path))


def unfitted_ranker(name: str, dataset: str) -> Combiner:
    """Make a combiner for the feature table of a data set, without the calibration to accuracies."""
    estimator = get_combiner(name).build(columns_of(dataset))
    return estimator.base_estimator if isinstance(estimator, Calibrated) else estimator


def _save(path: Path, array: NDArray[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.stem}.{os.getpid()}.partial.npy")
    np.save(partial, array)
    partial.replace(path)
