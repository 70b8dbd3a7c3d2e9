"""Measurements of single fits."""

from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from benchmarks.transfer.sources import DATASETS, SOURCE, Array, Tables, features, source_scores, unfitted_ranker
from ensemble.combiners.transfer import Transfer

NUM_REFERENCE = 1000
"""Random architectures that show the distribution of the columns."""
MIN_COMPARED = 100
"""Smallest number of training rows with which `rank_trees` is fitted for comparison."""


@lru_cache
def load_tables(folder: Path) -> Tables:
    """Read the tables, once."""
    return Tables.load(folder)


@lru_cache(maxsize=2)
def _matrix(folder: Path, cache: Path, dataset: str, draw: int) -> Array:
    """Scores of the other data sets' sources, then structure and costs, of all architectures."""
    tables = load_tables(folder)
    scores = [source_scores(tables, other, draw, cache) for other in DATASETS if other != dataset]
    standardized = [(column - column.mean()) / column.std() for column in scores]
    return np.column_stack([*standardized, features(tables, dataset, cache)])


def measure(folder: Path, cache: Path, dataset: str, draw: int, size: int) -> dict[str, float]:
    """Spearman's ρ on the test architectures, by method.

    Args:
        folder: folder with `nas-bench-graph/<data set>.npz`.
        cache: folder with the sources' scores.
        dataset: the data set whose labels are scarce.
        draw: seed of the test and training rows.
        size: number of training rows, the first of the draw's pool.
    """
    tables, X = load_tables(folder), _matrix(folder, cache, dataset, draw)
    y, num_sources = tables.accuracy[:, DATASETS.index(dataset)], len(DATASETS) - 1
    test, pool = tables.split(draw)
    train = pool[:size]
    reference = X[np.random.default_rng(draw).permutation(len(X))[:NUM_REFERENCE]]
    predicted = {"transfer": Transfer(num_sources, reference=reference).fit(X[train], y[train]).predict(X[test])}
    if not size:
        predicted["sources alone"] = X[test, :num_sources].mean(axis=1)
    else:
        structure = X[:, num_sources:]
        alone = Transfer(reference=reference[:, num_sources:]).fit(structure[train], y[train])
        predicted["without sources"] = alone.predict(structure[test])
        if size >= MIN_COMPARED:
            trees = unfitted_ranker(SOURCE, dataset).fit(structure[train], y[train])
            predicted[SOURCE] = trees.predict(structure[test])
    return {name: float(spearmanr(values, y[test]).statistic) for name, values in predicted.items()}
