"""A model of what depth leaves over."""

from typing import Self

import numpy as np
from sklearn.base import clone

from ensemble.combiners.base import Array, Combiner, Wrapper
from ensemble.combiners.forest import Forest


class WithinDepth(Wrapper):
    """Takes each depth's mean accuracy off, and fits the model to the rest.

    Trees spend most of their splits on depth otherwise, and depth is known.

    Args:
        model: what to fit to the rest.
        column: number of the column that holds the depth.

    Attributes:
        depths_, means_: (k,), the depths of the training rows, increasing, and their mean accuracies, each drawn
            towards the mean of all by one row's weight. Between them a depth's mean is interpolated.
        mean_: mean accuracy of the training rows.
        model_: the model, fitted.
    """

    fitted_arrays = ("depths_", "means_", "mean_")
    additive = True

    depths_: Array
    means_: Array
    mean_: Array

    def __init__(self, model: Combiner | None = None, column: int = 0) -> None:
        self.model = model
        self.column = column

    def fit(self, X: Array, y: Array) -> Self:
        X, y = self._training_data(X, y)
        self.depths_, group, rows = np.unique(X[:, self.column], return_inverse=True, return_counts=True)
        self.mean_ = np.array(y.mean())
        self.means_ = (np.bincount(group, y) + self.mean_) / (rows + 1)
        self.model_ = clone(self.inner).fit(X, y - self.means_[group])
        return self

    def predict(self, X: Array) -> Array:
        X = self._data(X)
        return self.model_.predict(X) + self._mean_at(X)

    def contributions(self, X: Array) -> Array:
        X = self._data(X)
        parts = self.model_.contributions(X)
        parts[:, self.column] += self._mean_at(X) - self.mean_
        parts[:, -1] += self.mean_
        return parts

    def _mean_at(self, X: Array) -> Array:
        depths, place = np.unique(X[:, self.column], return_inverse=True)
        # One at a time: for as many values as knots, or more, `np.interp` has another way.
        return np.array([np.interp(depth, self.depths_, self.means_) for depth in depths])[place]

    @property
    def inner(self) -> Combiner:
        return self.model if self.model is not None else Forest()
