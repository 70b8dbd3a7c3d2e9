"""Stacking: several models, and a non-negative linear model of their out-of-fold predictions."""

from collections.abc import Sequence
from typing import Self

import numpy as np
from scipy.optimize import nnls
from sklearn.base import clone

from ensemble.combiners.base import Array, Combiner, State
from ensemble.combiners.fitting import fitted, out_of_fold
from ensemble.rowwise import row_sums

FittedCombiner = tuple[str, Combiner, tuple[int, ...]]


class Stacked(Combiner):
    """Stacked regression (Breiman 1996): weights from non-negative least squares on predictions for held-out rows.

    Args:
        members: name, model and the numbers of the columns that it sees, in order.
        folds: number of folds for the held-out predictions.
        random_state: seed of the folds.

    Attributes:
        weights_: (members,), at least 0; near 1 in sum, as every member states an accuracy.
        centre_: mean accuracy of the training rows, which the weights work around.
        models_: the members, fitted on all training rows.
        held_out_: (n,), the weighted predictions for the training rows by members that were fitted without their fold.
    """

    fitted_arrays = ("weights_", "centre_")
    additive = True

    weights_: Array
    centre_: Array
    models_: dict[str, Combiner]
    held_out_: Array

    def __init__(self, members: Sequence[FittedCombiner] = (), folds: int = 5, random_state: int = 0) -> None:
        self.members = members
        self.folds = folds
        self.random_state = random_state

    def fit(self, X: Array, y: Array) -> Self:
        X, y = self._training_data(X, y)
        self.centre_ = np.array(y.mean())
        held_out = np.stack(
            [out_of_fold(model, X[:, columns], y, self.folds, self.random_state) for _, model, columns in self.members]
        )
        self.weights_ = nnls((held_out - self.centre_).T, y - self.centre_)[0]
        self.held_out_ = self._weighted(held_out)
        self.models_ = {name: fitted(model, X[:, columns], y) for name, model, columns in self.members}
        return self

    def predict(self, X: Array) -> Array:
        X = self._data(X)
        predictions = np.stack([self.models_[name].predict(X[:, columns]) for name, _, columns in self.members])
        return self._weighted(predictions)

    def contributions(self, X: Array) -> Array:
        X = self._data(X)
        parts = np.zeros((len(X), X.shape[1] + 1))
        parts[:, -1] = self.centre_ * (1 - row_sums(self.weights_))
        for weight, (name, _, columns) in zip(self.weights_, self.members, strict=True):
            parts[:, [*columns, -1]] += weight * self.models_[name].contributions(X[:, columns])
        return parts

    def _weighted(self, predictions: Array) -> Array:
        return row_sums((predictions - self.centre_).T * self.weights_) + self.centre_

    def get_state(self) -> State:
        own = super().get_state()
        members = State.merged({name: model.get_state() for name, model in self.models_.items()})
        return State({**own.arrays, **members.arrays}, members.blobs)

    def set_state(self, state: State) -> Self:
        super().set_state(state)
        self.models_ = {name: clone(model).set_state(state.part(name)) for name, model, _ in self.members}
        return self
