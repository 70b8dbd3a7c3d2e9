"""Stacked regression."""

from collections.abc import Sequence
from typing import Self

import numpy as np
from scipy.optimize import nnls
from sklearn.base import clone

from ensemble.combiners.base import Array, Combiner, State
from ensemble.combiners.fitting import fit_cached, out_of_fold_predictions
from ensemble.rowwise import row_sums
from models import InputError

NamedEstimator = tuple[str, Combiner, tuple[int, ...]]


class Stacked(Combiner):
    """Stacked regression (Breiman 1996): non-negative least squares on out-of-fold predictions.

    An estimator with `max_rows` is left out if there are more training rows.

    (scikit-learn's `StackingRegressor` would fit estimators that two stacks share twice, and predict by a matrix
    product whose bits depend on the batch.)

    Args:
        estimators: name, unfitted estimator and column indices of its features.
        cv: number of folds of the out-of-fold predictions.
        random_state: seed of the folds.

    Attributes:
        weights_: (named_estimators_,), at least 0. Their sum is near 1, because every estimator predicts an accuracy.
        y_mean_: mean accuracy of the training rows, on which the weighted predictions are centered.
        named_estimators_: the estimators that are not left out by name, fitted on all training rows.
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
        members = [member for member in self.estimators if len(y) <= (member[1].max_rows or len(y))]
        if not members:
            raise InputError("X", f"{len(y)} rows", "fewer: every estimator of the stack is limited to fewer rows")
        out_of_fold = np.stack(
            [
                out_of_fold_predictions(estimator, X[:, columns], y, self.cv, self.random_state)
                for _, estimator, columns in members
            ]
        )
        self.weights_ = nnls((out_of_fold - self.y_mean_).T, y - self.y_mean_)[0]
        self.out_of_fold_ = self._weighted(out_of_fold)
        self.named_estimators_ = {name: fit_cached(estimator, X[:, columns], y) for name, estimator, columns in members}
        return self

    @property
    def left_out_(self) -> dict[str, str]:
        """Reasons, by name, why estimators are left out."""
        return {
            name: f"it takes at most {estimator.max_rows} rows"
            for name, estimator, _ in self.estimators
            if name not in self.named_estimators_
        }

    def predict(self, X: Array) -> Array:
        """Predict accuracies, (m,)."""
        X = self._check_input(X)
        return self._weighted(np.stack([estimator.predict(X[:, columns]) for estimator, columns in self._members()]))

    def contributions(self, X: Array) -> Array:
        """Weighted contributions of the estimators, (m, d + 1)."""
        X = self._check_input(X)
        contributions = np.zeros((len(X), X.shape[1] + 1))
        contributions[:, -1] = self.y_mean_ * (1 - row_sums(self.weights_))
        for weight, (estimator, columns) in zip(self.weights_, self._members(), strict=True):
            contributions[:, [*columns, -1]] += weight * estimator.contributions(X[:, columns])
        return contributions

    def _members(self) -> list[tuple[Combiner, tuple[int, ...]]]:
        """Fitted estimators and the columns of their features."""
        columns = {name: indices for name, _, indices in self.estimators}
        return [(estimator, columns[name]) for name, estimator in self.named_estimators_.items()]

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
            name: clone(estimator).set_state(part)
            for name, estimator, _ in self.estimators
            if (part := state.part(name)).arrays
        }
        if self.weights_.shape != (len(self.named_estimators_),):
            raise ValueError("the weights do not fit the estimators of the stack")
        return self
