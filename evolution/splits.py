"""Splits of architectures by group, the same in every benchmark."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from common.errors import InputError
from evolution.measurements import Measurements

Rows = NDArray[np.int64]


class Folds:
    """Seeded folds of the groups of several benchmarks: an architecture is in the same fold of each.

    Args:
        benchmarks: measurements.
        folds: number of folds.
        seed: seed of the split.

    Raises:
        InputError: there are fewer groups than folds.
    """

    def __init__(self, benchmarks: Sequence[Measurements], folds: int, seed: int) -> None:
        groups = sorted({group for each in benchmarks for group in each.groups})
        if len(groups) < folds:
            raise InputError("folds", folds, f"a whole number from 2 to {len(groups)}, the number of architectures")
        numbers = np.empty(len(groups), dtype=np.int64)
        numbers[np.random.default_rng(seed).permutation(len(groups))] = np.arange(len(groups)) % folds
        self._fold = dict(zip(groups, numbers.tolist(), strict=True))

    def train(self, measurements: Measurements, fold: int) -> Measurements:
        """Return the training rows of a fold."""
        return measurements.take(np.flatnonzero(self._of(measurements) != fold))

    def test(self, measurements: Measurements, fold: int) -> Measurements:
        """Return the test rows of a fold."""
        return measurements.take(np.flatnonzero(self._of(measurements) == fold))

    def _of(self, measurements: Measurements) -> Rows:
        return np.array([self._fold[group] for group in measurements.groups])
