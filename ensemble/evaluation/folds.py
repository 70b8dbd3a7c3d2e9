"""Seeded folds that belong to the rows, not to their order."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Split = tuple[NDArray[np.int64], NDArray[np.int64]]


def seeded_folds(X: Array, y: Array, folds: int, seed: int) -> list[Split]:
    """Pairs (training rows, test rows) of a seeded K-fold split; every row is in one test part.

    The rows are sorted by their values first, so that the same data give the same folds in whatever order they come.
    """
    canonical = np.lexsort((*np.nan_to_num(X, nan=-np.inf).T, y))
    shuffled = canonical[np.random.default_rng(seed).permutation(len(y))]
    parts = np.array_split(shuffled, min(folds, len(y)))
    return [(np.sort(np.concatenate(parts[:i] + parts[i + 1 :])), np.sort(part)) for i, part in enumerate(parts)]
