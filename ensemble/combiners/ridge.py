"""Ridge regression on standardised columns."""

from typing import Self

import numpy as np

from ensemble.combiners.base import Array, Combiner, Standardiser
from ensemble.rowwise import row_sums

PENALTIES = np.logspace(-1, 5, 25)


class Ridge(Combiner):
    """Linear least squares with an L2 penalty, chosen by exact leave-one-out error (Allen 1974, PRESS).

    Attributes:
        mean_, scale_: (d,), the training columns' mean and standard deviation.
        coef_, intercept_: weights of the standardised columns, and the training rows' mean accuracy.
        penalty_: the penalty that was chosen.
    """

    fitted_arrays = ("mean_", "scale_", "coef_", "intercept_", "penalty_")
    additive = True

    mean_: Array
    scale_: Array
    coef_: Array
    intercept_: Array
    penalty_: Array

    def fit(self, X: Array, y: Array) -> Self:
        X, y = self._training_data(X, y)
        standardise = Standardiser.of(X)
        self.mean_, self.scale_ = standardise.mean, standardise.scale
        self.intercept_ = np.array(y.mean())
        U, s, Vt = np.linalg.svd(standardise(X), full_matrices=False)
        shrinkage = s**2 / (s**2 + PENALTIES[:, None])
        residual = (y - y.mean()) - (shrinkage * (U.T @ (y - y.mean()))) @ U.T
        leverage = shrinkage @ (U**2).T + 1 / len(y)  # the mean takes its share, too
        errors = ((residual / np.maximum(1 - leverage, 1e-9)) ** 2).mean(axis=1)
        best = int(errors.argmin())
        self.penalty_ = np.array(PENALTIES[best])
        self.coef_ = Vt.T @ (s / (s**2 + PENALTIES[best]) * (U.T @ (y - y.mean())))
        return self

    def predict(self, X: Array) -> Array:
        X = self._data(X)
        return row_sums(Standardiser(self.mean_, self.scale_)(X) * self.coef_) + self.intercept_

    def contributions(self, X: Array) -> Array:
        X = self._data(X)
        parts = Standardiser(self.mean_, self.scale_)(X) * self.coef_
        return np.column_stack([parts, np.full(len(X), self.intercept_)])
