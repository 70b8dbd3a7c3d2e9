"""Regression of the residuals from the stratum means."""

from typing import Self

import numpy as np
from sklearn.base import clone

from ensemble.combiners.base import Array, Combiner, MetaCombiner
from ensemble.combiners.forest import Forest


class StratumResidual(MetaCombiner):
    """Mean accuracy of the stratum plus an estimator fitted to the residuals.

    The stratum of an architecture is known and explains most of the variance: trees would spend most of their splits
    on finding it.

    Args:
        estimator: estimator of the residuals.
        stratum_column: index of the column that holds the stratum, a number.

    Attributes:
        strata_: (k,), strata of the training rows, increasing.
        means_: (k,), their mean accuracies, each shrunk towards the overall mean by the weight of one row. Means of
            strata in between are interpolated.
        y_mean_: mean accuracy of the training rows.
        estimator_: the fitted estimator.
    """

    fitted_arrays = ("strata_", "means_", "y_mean_")
    additive = True

    strata_: Array
    means_: Array
    y_mean_: Array

    def __init__(self, estimator: Combiner | None = None, stratum_column: int = 0) -> None:
        self.estimator = estimator
        self.stratum_column = stratum_column

    @property
    def base_estimator(self) -> Combiner:
        """The unfitted estimator of the residuals."""
        return self.estimator if self.estimator is not None else Forest()

    def fit(self, X: Array, y: Array) -> Self:
        """Compute the stratum means and fit the estimator to the residuals."""
        X, y = self._check_fit_input(X, y)
        self.strata_, group, counts = np.unique(X[:, self.stratum_column], return_inverse=True, return_counts=True)
        self.y_mean_ = np.array(y.mean())
        self.means_ = (np.bincount(group, y) + self.y_mean_) / (counts + 1)
        self.estimator_ = clone(self.base_estimator).fit(X, y - self.means_[group])
        return self

    def predict(self, X: Array) -> Array:
        """Predict accuracies, (m,)."""
        X = self._check_input(X)
        return self.estimator_.predict(X) + self._stratum_means(X)

    def contributions(self, X: Array) -> Array:
        """Contributions of the estimator, (m, d + 1); the stratum mean is added to the stratum's column."""
        X = self._check_input(X)
        contributions = self.estimator_.contributions(X)
        contributions[:, self.stratum_column] += self._stratum_means(X) - self.y_mean_
        contributions[:, -1] += self.y_mean_
        return contributions

    def _stratum_means(self, X: Array) -> Array:
        strata, index = np.unique(X[:, self.stratum_column], return_inverse=True)
        # One at a time: `np.interp` takes another path for at least as many values as knots.
        return np.array([np.interp(stratum, self.strata_, self.means_) for stratum in strata])[index]
