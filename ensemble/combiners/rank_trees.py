"""Trees that are fitted to ranks and accuracies in one."""

from collections.abc import Sequence
from typing import Self

import numpy as np
from scipy.stats import rankdata
from sklearn.base import clone

from ensemble.combiners.base import Array, Combiner, State
from ensemble.rowwise import row_sums


class RankTrees(Combiner):
    """Mean of several estimators that are fitted to a weighted mean of ranks and accuracies, which orders as both do.

    Squared errors of accuracies count the few networks whose training failed more than all others together; those of
    ranks count every network alike, and poor networks no more than good ones, whose accuracies differ much less. Ranks
    lie between 0 and 1; accuracies are shifted and scaled to the same mean and standard deviation.

    Args:
        estimators: unfitted, additive estimators, which get the same weight.
        accuracy_weight: weight of the accuracies, from 0 to 1; that of the ranks is the rest.

    Attributes:
        estimators_: the fitted estimators.
    """

    additive = True

    estimators_: list[Combiner]

    def __init__(self, estimators: Sequence[Combiner] = (), accuracy_weight: float = 0.25) -> None:
        self.estimators = estimators
        self.accuracy_weight = accuracy_weight

    def fit(self, X: Array, y: Array) -> Self:
        """Fit the estimators."""
        X, y = self._check_fit_input(X, y)
        target = ranks_and_accuracies(y, self.accuracy_weight)
        self.estimators_ = [clone(estimator).fit(X, target) for estimator in self.estimators]
        return self

    def predict(self, X: Array) -> Array:
        """Predict ranking scores, (m,)."""
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


def ranks_and_accuracies(y: Array, accuracy_weight: float) -> Array:
    """Weighted mean of ranks, from 0 to 1, and accuracies of the same mean and standard deviation, (n,).

    Args:
        y: (n,), accuracies.
        accuracy_weight: weight of the accuracies, from 0 to 1.
    """
    ranks = (rankdata(y) - 0.5) / len(y)
    ordered = np.sort(y)  # sums that do not depend on the order of the rows
    scaled = 0.5 + np.sort(ranks).std() * (y - ordered.mean()) / (ordered.std() or 1.0)
    return np.asarray((1 - accuracy_weight) * ranks + accuracy_weight * scaled)
