"""Weighted mean of normalised proxies."""

from typing import Self

import numpy as np

from ensemble.combiners.base import Array, Combiner, spearman
from ensemble.rowwise import row_sums


class WeightedMean(Combiner):
    """Proxies scaled to 0 … 1 by their smallest and largest training value, weighted by their Spearman ρ.

    New values are not clipped to 0 … 1: a record score should rank above the record. Missing scores are left out and
    the absolute weights of the others divided by their sum.

    Attributes:
        weights_: (p,), Spearman ρ with accuracy on the training rows.
        low_, range_: (p,), smallest training value, and largest less smallest.
    """

    fitted_arrays = ("weights_", "low_", "range_")
    accepts_missing = True

    weights_: Array
    low_: Array
    range_: Array

    def fit(self, X: Array, y: Array) -> Self:
        X, y = self._training_data(X, y)
        self.weights_ = np.array([spearman(column, y) for column in X.T])
        there = ~np.isnan(X)
        low = np.min(X, axis=0, where=there, initial=np.inf)
        high = np.max(X, axis=0, where=there, initial=-np.inf)
        useful = high > low
        self.low_ = np.where(useful, low, 0.0)
        self.range_ = np.subtract(high, low, where=useful, out=np.ones(X.shape[1]))
        return self

    def predict(self, X: Array) -> Array:
        """Weighted means, shape (m,): larger is better."""
        X = self._data(X)
        there = ~np.isnan(X) & (self.weights_ != 0)
        scaled = np.where(there, (X - self.low_) / self.range_, 0.0)
        total, weighted = row_sums(there * np.abs(self.weights_)), row_sums(scaled * self.weights_)
        return np.asarray(np.divide(weighted, total, where=total > 0, out=np.full(len(X), np.nan)))
