"""From an order to an accuracy: what lets a vote, a mean or a RankNet state a number."""

from typing import Self

import numpy as np
from sklearn.base import clone
from sklearn.isotonic import isotonic_regression

from ensemble.combiners.base import Array, Combiner, Wrapper
from ensemble.combiners.fitting import out_of_fold
from ensemble.combiners.ranknet import RankNet


class Calibrated(Wrapper):
    """A combiner that orders, followed by a strictly increasing, piecewise linear map from its scores to accuracy.

    The map is fitted on out-of-fold scores of the training rows: scores of rows a combiner was fitted on spread wider
    than those of new ones. It joins means over `bins` groups of equal size, pooled until they increase (isotonic), and
    goes on with the outermost slopes at both ends; no single accuracy can be read off it.

    Args:
        model: the combiner that orders.
        bins: number of groups.
        folds: folds of the out-of-fold scores.
        random_state: seed of the folds.

    Attributes:
        knots_: (2, k), scores and the accuracies that they mean.
        model_: the combiner, fitted on all training rows.
        held_out_: (n,), accuracies for the training rows from the out-of-fold scores.
    """

    fitted_arrays = ("knots_",)

    knots_: Array
    held_out_: Array

    def __init__(self, model: Combiner | None = None, bins: int = 20, folds: int = 5, random_state: int = 0) -> None:
        self.model = model
        self.bins = bins
        self.folds = folds
        self.random_state = random_state

    @property
    def accepts_missing(self) -> bool:  # type: ignore[override]  # as the model that it wraps
        return self.inner.accepts_missing

    @property
    def inner(self) -> Combiner:
        return self.model if self.model is not None else RankNet()

    def fit(self, X: Array, y: Array) -> Self:
        X, y = self._training_data(X, y)
        scores = out_of_fold(self.inner, X, y, self.folds, self.random_state)
        there = ~np.isnan(scores)
        self.knots_ = _increasing_knots(scores[there], y[there], self.bins)
        self.held_out_ = _interpolate(scores, *self.knots_)
        self.model_ = clone(self.inner).fit(X, y)
        return self

    def predict(self, X: Array) -> Array:
        """Accuracies, shape (m,), fractions."""
        X = self._data(X)
        return _interpolate(self.model_.predict(X), *self.knots_)

    def ranking_scores(self, X: Array) -> Array:
        return self.model_.ranking_scores(self._data(X))


def _increasing_knots(scores: Array, y: Array, bins: int) -> Array:
    """Scores and accuracies of the map's knots, (2, k), both strictly increasing."""
    order = np.lexsort((y, scores))
    # At least four rows a group: a knot then is a mean, and no one row's accuracy.
    groups = np.array_split(order, max(min(bins, len(y) // 4), 1))
    x = np.array([scores[group].mean() for group in groups])
    levels = isotonic_regression(np.array([y[group].mean() for group in groups]))
    # Groups that were pooled, or that share their score, become one knot: flat stretches would tie different scores.
    levels, x = _pooled(*_pooled(levels, x))
    return np.stack([x, levels])


def _pooled(key: Array, other: Array) -> tuple[Array, Array]:
    """Means of both over runs of equal `key`, in the other order: (other, key)."""
    values, block = np.unique(key, return_inverse=True)
    return np.bincount(block, other) / np.bincount(block), values


def _interpolate(scores: Array, x: Array, levels: Array) -> Array:
    if len(x) < 2:
        return np.where(np.isnan(scores), np.nan, levels[0])
    piece = np.clip(np.searchsorted(x, scores) - 1, 0, len(x) - 2)
    slope = np.diff(levels) / np.diff(x)
    return np.clip(levels[piece] + slope[piece] * (scores - x[piece]), 0.0, 1.0)
