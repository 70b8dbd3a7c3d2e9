"""Baselines that combiners are compared with: predictions from a single structural feature."""

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ensemble.combiners import CombinerInfo
from ensemble.combiners.base import Combiner
from ensemble.combiners.ridge import Ridge

Array = NDArray[np.float64]


class DepthMean(Combiner):
    """Mean accuracy of the training rows with the same number of layers; the overall mean for a depth without rows."""

    def fit(self, X: Array, y: Array) -> Self:
        """Fit the means.

        Args:
            X: numbers of layers, shape (n, 1).
            y: accuracies, shape (n,).
        """
        X, y = self._check_fit_input(X, y)
        self.means_ = {float(depth): float(y[X[:, 0] == depth].mean()) for depth in np.unique(X[:, 0])}
        self.mean_ = float(y.mean())
        return self

    def predict(self, X: Array) -> Array:
        """Predict accuracies, shape (m,)."""
        return np.array([self.means_.get(float(depth), self.mean_) for depth in self._check_input(X)[:, 0]])


class SingleColumn(CombinerInfo):
    """Combiner that is fitted on one feature only."""

    def columns(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return the feature of this baseline."""
        return ({"depth": "depth", "params": "cost.log_params"}[self.name],)


BASELINES = (
    SingleColumn("depth", lambda _, seed: DepthMean(), "structure", "accuracy"),
    SingleColumn("params", lambda _, seed: Ridge(), "structure", "accuracy"),
)
