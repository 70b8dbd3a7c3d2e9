"""Seeded K-fold splits that do not depend on the order of the rows."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Split = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Indices of the training rows and of the test rows, each increasing."""


def seeded_folds(X: Array, y: Array, folds: int, seed: int) -> list[Split]:
    """Split rows into K folds; every row is a test row of exactly one.

    The rows are sorted by their values before they are shuffled. Unlike with scikit-learn's `KFold`, the same data in
    any order give the same folds.

    Args:
        X: features, shape (n, d); NaN sorts first.
        y: accuracies, shape (n,).
        folds: K, at most n.
        seed: seed of the shuffling.
    """
    canonical = np.lexsort((*np.nan_to_num(X, nan=-np.inf).T, y))
    shuffled = canonical[np.random.default_rng(seed).permutation(len(y))]
    parts = np.array_split(shuffled, min(folds, len(y)))
    return [(np.sort(np.concatenate(parts[:i] + parts[i + 1 :])), np.sort(part)) for i, part in enumerate(parts)]
