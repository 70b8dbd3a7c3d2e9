"""Calibration of a ranking to accuracies."""

from typing import Self

import numpy as np
from sklearn.base import clone
from sklearn.isotonic import isotonic_regression

from ensemble.combiners.base import Array, Combiner, MetaCombiner
from ensemble.combiners.fitting import out_of_fold_predictions
from ensemble.combiners.ranknet import RankNet
from ensemble.rowwise import row_sums


class Calibrated(MetaCombiner):
    """A combiner that ranks, followed by a strictly increasing, piecewise linear map from its scores to accuracy.

    The map is fitted to out-of-fold scores of the training rows, because scores of rows that a combiner was fitted on
    spread wider than those of new rows. Its knots are means over groups of equal size, pooled until they increase
    (isotonic regression); beyond the outermost knots it continues with their slopes. No single accuracy can be read off
    the knots.

    Args:
        estimator: the combiner that ranks.
        n_bins: number of groups.
        cv: number of folds of the out-of-fold scores.
        random_state: seed of the folds.

    Attributes:
        knots_: (2, k), scores and the corresponding accuracies.
        estimator_: the combiner, fitted on all training rows.
        out_of_fold_: (n,), accuracies of the training rows from the out-of-fold scores.
    """

    fitted_arrays = ("knots_",)

    knots_: Array
    out_of_fold_: Array

    def __init__(self, estimator: Combiner | None = None, n_bins: int = 20, cv: int = 5, random_state: int = 0) -> None:
        self.estimator = estimator
        self.n_bins = n_bins
        self.cv = cv
        self.random_state = random_state

    @property
    def accepts_missing(self) -> bool:  # type: ignore[override]  # a class variable elsewhere
        """True if the wrapped combiner accepts missing scores."""
        return self.base_estimator.accepts_missing

    @property
    def additive(self) -> bool:  # type: ignore[override]  # a class variable elsewhere
        """True if the wrapped combiner is additive."""
        return self.base_estimator.additive

    @property
    def base_estimator(self) -> Combiner:
        """The wrapped, unfitted combiner."""
        return self.estimator if self.estimator is not None else RankNet()

    def fit(self, X: Array, y: Array) -> Self:
        """Fit the combiner and the map."""
        X, y = self._check_fit_input(X, y)
        scores = out_of_fold_predictions(self.base_estimator, X, y, self.cv, self.random_state)
        valid = ~np.isnan(scores)
        self.knots_ = _increasing_knots(scores[valid], y[valid], self.n_bins)
        self.out_of_fold_ = self.calibrate(scores)
        self.estimator_ = clone(self.base_estimator).fit(X, y)
        return self

    def predict(self, X: Array) -> Array:
        """Predict accuracies, (m,), fractions."""
        X = self._check_input(X)  # before the wrapped combiner is looked up, which exists once fitted
        return self.calibrate(self.estimator_.predict(X))

    def calibrate(self, scores: Array) -> Array:
        """Map scores of the wrapped combiner, (m,), to accuracies."""
        return _interpolate(scores, *self.knots_)

    def contributions(self, X: Array) -> Array:
        """Contributions of the wrapped combiner, (m, d + 1), scaled in each row so that they sum to the accuracy.

        The map is not linear. Every contribution to a score is multiplied by the slope of the map's secant from the
        base value to the score, as in DeepLIFT's rescale rule (Shrikumar et al. 2017).
        """
        X = self._check_input(X)
        contributions = self.estimator_.contributions(X)
        base = contributions[:, -1]
        base_accuracy = self.calibrate(base)
        difference = row_sums(contributions[:, :-1])
        gain = self.predict(X) - base_accuracy
        slope = np.divide(gain, difference, where=difference != 0, out=np.zeros(len(X)))
        return np.column_stack([contributions[:, :-1] * slope[:, None], base_accuracy])

    def ranking_scores(self, X: Array) -> Array:
        """Sort keys of the wrapped combiner, (m,)."""
        return self.estimator_.ranking_scores(self._check_input(X))


def _increasing_knots(scores: Array, y: Array, n_bins: int) -> Array:
    """Scores and accuracies of the map's knots, (2, k), both strictly increasing."""
    order = np.lexsort((y, scores))
    # With at least four rows in a group, a knot is a mean and no single row's accuracy.
    groups = np.array_split(order, max(min(n_bins, len(y) // 4), 1))
    x = np.array([scores[group].mean() for group in groups])
    levels = isotonic_regression(np.array([y[group].mean() for group in groups]))
    # Pooled groups, and groups of the same score, become one knot: flat stretches would tie different scores.
    levels, x = _pool(*_pool(levels, x))
    return np.stack([x, levels])


def _pool(key: Array, other: Array) -> tuple[Array, Array]:
    """Average both over runs of equal `key`; returned in reverse order, (other, key)."""
    values, block = np.unique(key, return_inverse=True)
    return np.bincount(block, other) / np.bincount(block), values


def _interpolate(scores: Array, x: Array, levels: Array) -> Array:
    if len(x) < 2:
        return np.where(np.isnan(scores), np.nan, levels[0])
    piece = np.clip(np.searchsorted(x, scores) - 1, 0, len(x) - 2)
    slope = np.diff(levels) / np.diff(x)
    return np.clip(levels[piece] + slope[piece] * (scores - x[piece]), 0.0, 1.0)
