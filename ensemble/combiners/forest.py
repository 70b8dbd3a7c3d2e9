"""Random forest."""

from typing import Self
from zipfile import ZIP_DEFLATED

import numpy as np
import skops.io
from sklearn.ensemble import RandomForestRegressor

from ensemble.combiners.base import Array, Combiner, State

TRUSTED = ["sklearn.tree._tree.Tree"]
"""What a saved forest may hold beyond what skops trusts by itself: node tables, which `_check` then looks through."""


class Forest(Combiner):
    """Random forest regression (Breiman 2001).

    Args:
        trees: number of trees.
        leaf: smallest number of training rows in a leaf.
        share: share of the columns that a split looks at.
        random_state: seed.
    """

    def __init__(self, trees: int = 100, leaf: int = 3, share: float = 0.3, random_state: int = 0) -> None:
        self.trees = trees
        self.leaf = leaf
        self.share = share
        self.random_state = random_state

    def fit(self, X: Array, y: Array) -> Self:
        X, y = self._training_data(X, y)
        # In a fixed order, so that the bootstrap, and with it the forest, does not depend on how the rows came.
        order = np.lexsort((*X.T, y))
        self.forest_ = RandomForestRegressor(
            self.trees, min_samples_leaf=self.leaf, max_features=self.share, random_state=self.random_state
        ).fit(X[order], y[order])
        return self

    def predict(self, X: Array) -> Array:
        rows = self._data(X).astype(np.float32)
        # Straight to the trees: the forest's own predict takes 20 times as long for one row, setting up threads.
        return np.asarray(sum(tree.tree_.predict(rows)[:, 0] for tree in self.forest_.estimators_) / self.trees)

    def get_state(self) -> State:
        state = super().get_state()
        state.blobs["forest.skops"] = skops.io.dumps(self.forest_, compression=ZIP_DEFLATED)
        return state

    def set_state(self, state: State) -> Self:
        super().set_state(state)
        self.forest_ = skops.io.loads(state.blobs["forest.skops"], trusted=TRUSTED)
        _check(self.forest_)
        return self


def _check(forest: RandomForestRegressor) -> None:
    """Raise `ValueError` unless every node points to later nodes and real columns: scikit-learn does not look."""
    for tree in (estimator.tree_ for estimator in forest.estimators_):
        inner = np.flatnonzero(tree.children_left != -1)
        children = np.stack([tree.children_left[inner], tree.children_right[inner]])
        feature = tree.feature[inner]
        later = (children > inner).all() and (children < tree.node_count).all()
        if not later or not ((feature >= 0) & (feature < forest.n_features_in_)).all():
            raise ValueError("a tree's nodes point outside of it")
