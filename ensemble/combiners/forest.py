"""Random forest."""

from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor

from ensemble.combiners.base import Array, Combiner, State
from ensemble.combiners.tree_shapley import Paths
from ensemble.rowwise import row_sums

CHUNK = 512
"""Rows predicted at once: keeps the scratch memory near 2 MB, which the processor's cache holds."""


class Forest(Combiner):
    """Random forest regression (Breiman 2001), or extremely randomised trees (Geurts et al. 2006), grown by
    scikit-learn.

    The grown trees are kept as one table of nodes, which can be stored without pickle and read by any version of
    scikit-learn. A leaf is its own child, so that all rows can go down all trees together.

    Args:
        trees: number of trees.
        leaf: smallest number of training rows in a leaf.
        share: share of the columns that a split looks at.
        extra: draw thresholds at random instead of searching for them, and use every row in every tree.
        random_state: seed.

    Attributes:
        roots_: (trees,), node at the top of each tree.
        column_, threshold_, left_, right_: (nodes,), a row whose column is at most the threshold goes left.
        value_, cover_: (nodes,), mean of the training rows that reach the node, and their number.
    """

    fitted_arrays = ("roots_", "column_", "threshold_", "left_", "right_", "value_", "cover_")
    index_arrays = ("roots_", "column_", "left_", "right_")
    additive = True

    roots_: NDArray[np.int32]
    column_: NDArray[np.int32]
    threshold_: NDArray[np.float32]
    left_: NDArray[np.int32]
    right_: NDArray[np.int32]
    value_: Array
    cover_: NDArray[np.float32]

    def __init__(
        self, trees: int = 100, leaf: int = 3, share: float = 0.3, extra: bool = False, random_state: int = 0
    ) -> None:
        self.trees = trees
        self.leaf = leaf
        self.share = share
        self.extra = extra
        self.random_state = random_state

    def fit(self, X: Array, y: Array) -> Self:
        X, y = self._training_data(X, y)
        # In a fixed order, so that the bootstrap, and with it the forest, does not depend on how the rows came.
        order = np.lexsort((*X.T, y))
        kind = ExtraTreesRegressor if self.extra else RandomForestRegressor
        grown = kind(
            self.trees, min_samples_leaf=self.leaf, max_features=self.share, random_state=self.random_state
        ).fit(X[order], y[order])
        self._take([estimator.tree_ for estimator in grown.estimators_])
        return self

    def predict(self, X: Array) -> Array:
        rows = self._data(X).astype(np.float32)  # as scikit-learn grows its trees
        return np.concatenate([self._predicted(rows[i : i + CHUNK]) for i in range(0, len(rows), CHUNK)])

    def contributions(self, X: Array) -> Array:
        return self._paths.contributions(self._data(X).astype(np.float32))

    @cached_property
    def _paths(self) -> Paths:
        share = self.value_ / len(self.roots_)
        return Paths.of(
            self.roots_, self.column_, self.threshold_, self.left_, self.right_, share, self.cover_.astype(np.float64)
        )

    def set_state(self, state: State) -> Self:
        super().set_state(state)
        children = np.stack([self.left_, self.right_])
        own = np.arange(len(self.value_))
        # Whatever a file says, going down must end, and inside the table.
        if (children < own).any() or (children >= len(own)).any() or (self.left_ == own).sum() < len(self.roots_):
            raise ValueError("a tree's nodes point outside of it")
        if (self.column_ < 0).any() or (self.column_ >= self.n_features_in_).any():
            raise ValueError("a tree looks at a column that is not there")
        if not (self.cover_ > 0).all():
            raise ValueError("a tree has a node that no row reached")
        self._prepare()
        return self

    def _take(self, trees: list[Any]) -> None:
        starts = np.cumsum([0, *(tree.node_count for tree in trees)])
        own = [start + np.arange(tree.node_count) for start, tree in zip(starts, trees, strict=False)]

        def children(side: str) -> NDArray[np.int32]:
            sides = [getattr(tree, f"children_{side}") for tree in trees]
            rows = zip(sides, own, starts, strict=False)
            placed = [np.where(child < 0, at, child + start) for child, at, start in rows]
            return np.concatenate(placed).astype(np.int32)

        self.roots_ = starts[:-1].astype(np.int32)
        self.left_, self.right_ = children("left"), children("right")
        self.column_ = np.concatenate([np.maximum(tree.feature, 0) for tree in trees]).astype(np.int32)
        # Rows are float32: a threshold rounded down to float32 sends each of them the same way.
        self.threshold_ = _rounded_down(np.concatenate([tree.threshold for tree in trees]))
        self.value_ = np.concatenate([tree.value[:, 0, 0] for tree in trees])
        self.cover_ = np.concatenate([tree.weighted_n_node_samples for tree in trees]).astype(np.float32)
        self._prepare()

    def _prepare(self) -> None:
        """The table as going down needs it: a node's children side by side, and numbers that index without a cast."""
        self.__dict__.pop("_paths", None)  # of a forest that was grown before
        self._columns, self._roots = self.column_.astype(np.intp), self.roots_.astype(np.intp)
        self._children = np.stack([self.left_, self.right_], axis=1).ravel().astype(np.intp)

    def _predicted(self, rows: NDArray[np.float32]) -> Array:
        values, start = rows.ravel(), np.arange(len(rows))[:, None] * rows.shape[1]
        at = np.tile(self._roots, (len(rows), 1))
        while True:
            right = values.take(start + self._columns.take(at)) > self.threshold_.take(at)
            below = self._children.take(2 * at + right)
            if np.array_equal(below, at):
                return row_sums(self.value_.take(at)) / len(self._roots)
            at = below


def _rounded_down(values: Array) -> NDArray[np.float32]:
    rounded = values.astype(np.float32)
    return np.where(rounded > values, np.nextafter(rounded, np.float32(-np.inf)), rounded)
