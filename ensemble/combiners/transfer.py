"""Combiner that transfers: predictions of other tasks' ensembles beside the structure."""

from typing import Self

import numpy as np

from ensemble.combiners.base import Array, Combiner, State
from ensemble.combiners.forest import Forest
from ensemble.combiners.rank_trees import ranks_and_accuracies
from ensemble.combiners.transfer_process import TransferProcess

MIN_ROWS = 20
"""Smallest number of training rows of a prediction in the unit of the metric, and of an interval."""
ACCURACY_WEIGHT = 0.25
"""Weight of the values in the target; that of their ranks is the rest."""
HALF_WEIGHT_ROWS = 50
"""Number of training rows with which the trees have half of their final weight, 1/2: with few, they know nothing."""


def standardized_target(y: Array) -> Array:
    """Weighted mean of ranks and values with mean 0 and standard deviation 1, (n,), which `Transfer` is fitted to.

    Args:
        y: (n,), values, not all equal.
    """
    target = ranks_and_accuracies(y, ACCURACY_WEIGHT)
    ordered = np.sort(target)
    # Labels in another unit differ in the last bits, on which a split of the trees may depend.
    return np.asarray(np.round((target - ordered.mean()) / ordered.std(), 9))


class Transfer(Combiner):
    """Ranking scores from the scores of sources and the structure; from no training row on.

    Weighted mean of a Gaussian process, which starts from the sources' mean, and of extremely randomized trees on the
    same columns. Both are fitted to a weighted mean of ranks and values. Without two different values of y, the score
    is the sources' mean.

    Args:
        num_sources: number J of sources; their scores are the first columns, structure and costs the others.
        random_state: seed.
        reference: (r, J + d), rows of random architectures without a label, which show the distribution of the columns;
            the training rows by default. With few training rows they improve the order much.

    Attributes:
        process_: the Gaussian process.
        trees_: the trees; None if they were not fitted.
        tree_weight_: weight of the trees; 0 if they were not fitted.
        held_out_: (n,), scores of the training rows by models that were fitted without them: leave-one-out of the
            process, out-of-bag of the trees. Not stored.
    """

    fitted_arrays = ("tree_weight_",)

    process_: TransferProcess
    trees_: Forest | None
    tree_weight_: Array
    held_out_: Array

    def __init__(self, num_sources: int = 0, random_state: int = 0, reference: Array | None = None) -> None:
        self.num_sources = num_sources
        self.random_state = random_state
        self.reference = reference

    def fit(self, X: Array, y: Array) -> Self:
        """Fit to n ≥ 0 rows.

        Args:
            X: (n, J + d), scores of the sources, then structure and costs.
            y: (n,), larger for better architectures, in any unit.
        """
        X, y = np.asarray(X, dtype=np.float64), np.asarray(y, dtype=np.float64)
        if len(X) >= 2:
            X, y = self._check_fit_input(X, y)
        self._check_missing(X)
        self.n_features_in_ = X.shape[1]
        self.process_ = TransferProcess(self.num_sources, self.random_state)
        self.trees_, self.tree_weight_ = None, np.array(0.0)
        if len(y) < 2 or (y == y[0]).all():
            self.process_.fit(X[:0], y[:0], X if self.reference is None else self.reference)
            self.held_out_ = self.process_.source_means(X)
            return self
        target = standardized_target(y)
        self.process_.fit(X, target, self.reference)
        self.trees_ = self._unfitted_trees().fit(X, target)
        self.tree_weight_ = np.array(0.5 * len(y) / (len(y) + HALF_WEIGHT_ROWS))
        self.held_out_ = self._mean(self.process_.held_out_, self.trees_.oob_prediction_)
        return self

    def predict(self, X: Array) -> Array:
        """Predict ranking scores, (m,): standard normal over the training rows, or the sources' mean."""
        X = self._check_input(X)
        if self.trees_ is None:
            return self.process_.source_means(X)
        return self._mean(self.process_.predict(X), self.trees_.predict(X))

    def get_state(self) -> State:
        """Return the fitted state of the process and the trees."""
        parts = {"process": self.process_.get_state()}
        if self.trees_ is not None:
            parts["trees"] = self.trees_.get_state()
        state, merged = super().get_state(), State.merged(parts)
        return State({**state.arrays, **merged.arrays}, merged.blobs)

    def set_state(self, state: State) -> Self:
        """Restore the fitted state of the process and the trees."""
        super().set_state(state)
        process = TransferProcess(self.num_sources, self.random_state)
        self.process_ = process.set_state(state.part("process"))
        trees = state.part("trees")
        self.trees_ = self._unfitted_trees().set_state(trees) if trees.arrays else None
        return self

    def _unfitted_trees(self) -> Forest:
        return Forest(
            min_samples_leaf=2, max_features=0.5, extra_trees=True, oob_score=True, random_state=self.random_state
        )

    def _mean(self, process: Array, trees: Array) -> Array:
        return np.asarray((1 - self.tree_weight_) * process + self.tree_weight_ * trees)
