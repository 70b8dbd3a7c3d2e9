"""Weighted mean of normalized proxies."""

from typing import ClassVar, Self

import numpy as np

from ensemble.combiners.base import Array, Combiner, spearman
from ensemble.rowwise import row_sums


class WeightedMean(Combiner):
    """Weighted mean of proxies scaled to 0 … 1 over the training rows, with their Spearman ρ as weights.

    New values are not clipped to 0 … 1, so that a new maximum ranks above the old one. Missing scores are left out, and
    the weights of the remaining proxies are divided by the sum of their absolute values.

    Attributes:
        weights_: (p,), Spearman ρ with the accuracy on the training rows.
        data_min_, data_range_: (p,), smallest training value, and difference between the largest and the smallest.
    """

    fitted_arrays: ClassVar[tuple[str, ...]] = ("weights_", "data_min_", "data_range_")
    accepts_missing = True

    weights_: Array
    data_min_: Array
    data_range_: Array

    def fit(self, X: Array, y: Array) -> Self:
        """Compute weights and ranges."""
        X, y = self._check_fit_input(X, y)
        present = ~np.isnan(X)
        low = np.min(X, axis=0, where=present, initial=np.inf)
        high = np.max(X, axis=0, where=present, initial=-np.inf)
        varies = high > low
        self.data_min_ = np.where(varies, low, 0.0)
        self.data_range_ = np.subtract(high, low, where=varies, out=np.ones(X.shape[1]))
        self.weights_ = self._fit_weights(X, y)
        return self

    def predict(self, X: Array) -> Array:
        """Weighted means, (m,), larger is better; NaN for a row without any score."""
        return self._means(self._check_input(X), self.weights_)

    def _fit_weights(self, X: Array, y: Array) -> Array:
        """Weights of the proxies, (p,)."""
        return np.array([spearman(column, y) for column in X.T])

    def _means(self, X: Array, weights: Array) -> Array:
        used = ~np.isnan(X) & (weights != 0)
        scaled = np.where(used, (X - self.data_min_) / self.data_range_, 0.0)
        total, weighted = row_sums(used * np.abs(weights)), row_sums(scaled * weights)
        return np.asarray(np.divide(weighted, total, where=total > 0, out=np.full(len(X), np.nan)))
