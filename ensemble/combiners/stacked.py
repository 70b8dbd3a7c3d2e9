"""Stacked regression."""

from collections.abc import Sequence
from typing import Self

import numpy as np
from scipy.optimize import nnls
from sklearn.base import clone

from ensemble.combiners.base import Array, Combiner, State
from ensemble.combiners.fitting import fit_cached, out_of_fold_predictions
from ensemble.rowwise import row_sums

NamedEstimator = tuple[str, Combiner, tuple[int, ...]]


class Stacked(Combiner):
    """Stacked regression (Breiman 1996): non-negative least squares on out-of-fold predictions.

    (scikit-learn's `StackingRegressor` would fit estimators that two stacks share twice, and predict by a matrix
    product whose bits depend on the batch.)

    Args:
        estimators: name, unfitted estimator and column indices of its features.
        cv: number of folds of the out-of-fold predictions.
        random_state: seed of the folds.

    Attributes:
        weights_: (estimators,), at least 0. Their sum is near 1, because every estimator predicts an accuracy.
        y_mean_: mean accuracy of the training rows, on which the weighted predictions are centered.
        named_estimators_: the estimators by name, fitted on all training rows.
        out_of_fold_: (n,), weighted out-of-fold predictions for the training rows.
    """

    fitted_arrays = ("weights_", "y_mean_")
    additive = True

    weights_: Array
    y_mean_: Array
    named_estimators_: dict[str, Combiner]
    out_of_fold_: Array

    def __init__(self, estimators: Sequence[NamedEstimator] = (), cv: int = 5, random_state: int = 0) -> None:
        self.estimators = estimators
        self.cv = cv
        self.random_state = random_state

    def fit(self, X: Array, y: Array) -> Self:
        """Fit the estimators and their weights."""
        X, y = self._check_fit_input(X, y)
        self.y_mean_ = np.array(y.mean())
        out_of_fold = np.stack(
            [
                out_of_fold_predictions(estimator, X[:, columns], y, self.cv, self.random_state)
                for _, estimator, columns in self.estimators
            ]
        )
        self.weights_ = nnls((out_of_fold - self.y_mean_).T, y - self.y_mean_)[0]
        self.out_of_fold_ = self._weighted(out_of_fold)
        self.named_estimators_ = {
            name: fit_cached(estimator, X[:, columns], y) for name, estimator, columns in self.estimators
        }
        return self

    def predict(self, X: Array) -> Array:
        """Predict accuracies, (m,)."""
        X = self._check_input(X)
        return self._weighted(
            np.stack([self.named_estimators_[name].predict(X[:, columns]) for name, _, columns in self.estimators])
        )

    def contributions(self, X: Array) -> Array:
        """Weighted contributions of the estimators, (m, d + 1)."""
        X = self._check_input(X)
        contributions = np.zeros((len(X), X.shape[1] + 1))
        contributions[:, -1] = self.y_mean_ * (1 - row_sums(self.weights_))
        for weight, (name, _, columns) in zip(self.weights_, self.estimators, strict=True):
            contributions[:, [*columns, -1]] += weight * self.named_estimators_[name].contributions(X[:, columns])
        return contributions

    def _weighted(self, predictions: Array) -> Array:
        return row_sums((predictions - self.y_mean_).T * self.weights_) + self.y_mean_

    def get_state(self) -> State:
        """Return the fitted state of the stack and its estimators."""
        state = super().get_state()
        estimators = State.merged({name: estimator.get_state() for name, estimator in self.named_estimators_.items()})
        return State({**state.arrays, **estimators.arrays}, estimators.blobs)

    def set_state(self, state: State) -> Self:
        """Restore the fitted state of the stack and its estimators."""
        super().set_state(state)
        self.named_estimators_ = {
            name: clone(estimator).set_state(state.part(name)) for name, estimator, _ in self.estimators
        }
        return self
