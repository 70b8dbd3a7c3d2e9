"""Trees that are fitted to the ranks of the accuracies."""

from collections.abc import Sequence
from typing import Self

import numpy as np
from scipy.stats import rankdata
from sklearn.base import clone

from ensemble.combiners.base import Array, Combiner, State
from ensemble.rowwise import row_sums


class RankTrees(Combiner):
    """Mean of several estimators that are fitted to the ranks of the accuracies, scaled to 0 … 1.

    Squared errors of accuracies count the few networks whose training failed more than all others together; those of
    ranks count every network alike.

    Args:
        estimators: unfitted, additive estimators, which get the same weight.

    Attributes:
        estimators_: the fitted estimators.
    """

    additive = True

    estimators_: list[Combiner]

    def __init__(self, estimators: Sequence[Combiner] = ()) -> None:
        self.estimators = estimators

    def fit(self, X: Array, y: Array) -> Self:
        """Fit the estimators to ranks."""
        X, y = self._check_fit_input(X, y)
        ranks = (rankdata(y) - 0.5) / len(y)
        self.estimators_ = [clone(estimator).fit(X, ranks) for estimator in self.estimators]
        return self

    def predict(self, X: Array) -> Array:
        """Predict scaled ranks, (m,)."""
        X = self._check_input(X)
        return row_sums(np.stack([estimator.predict(X) for estimator in self.estimators_], axis=1)) / len(
            self.estimators
        )

    def contributions(self, X: Array) -> Array:
        """Mean of the estimators' contributions, (m, d + 1)."""
        X = self._check_input(X)
        total = sum(estimator.contributions(X) for estimator in self.estimators_)
        return np.asarray(total / len(self.estimators))

    def get_state(self) -> State:
        """Return the fitted state of the estimators."""
        state = super().get_state()
        parts = State.merged({str(i): estimator.get_state() for i, estimator in enumerate(self.estimators_)})
        return State({**state.arrays, **parts.arrays}, parts.blobs)

    def set_state(self, state: State) -> Self:
        """Restore the fitted state of the estimators."""
        super().set_state(state)
        self.estimators_ = [
            clone(estimator).set_state(state.part(str(i))) for i, estimator in enumerate(self.estimators)
        ]
        return self
