"""Random forest and extremely randomized trees."""

from threading import Lock
from typing import Any, Self

import numpy as np
from cachetools import LRUCache, cached
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor

from ensemble.combiners.base import Array, Combiner, State
from ensemble.combiners.tree_shapley import DecisionPaths
from ensemble.rowwise import row_sums

CHUNK_ROWS = 512
"""Rows predicted at once: limits the scratch memory to about 2 MB, which fits the processor's cache."""
MAX_FORESTS_WITH_PATHS = 4
"""Forests whose decision paths, some 30 MB each, a process keeps: those that it explained last."""


class Forest(Combiner):
    """Random forest regression (Breiman 2001) or extremely randomized trees (Geurts et al. 2006).

    scikit-learn grows the trees. They are stored as one table of nodes, without pickle and independent of the version
    of scikit-learn. A leaf is its own child, so that all rows can descend all trees together.

    Args:
        n_estimators: number of trees.
        min_samples_leaf: smallest number of training rows in a leaf.
        max_features: fraction of the columns that are considered at a split.
        extra_trees: draw thresholds at random, and use all rows in every tree.
        oob_score: draw bootstrap samples for every tree, also for extra trees, and predict each training row by the
            trees whose sample lacks it.
        random_state: seed.

    Attributes:
        oob_prediction_: (n,), out-of-bag predictions of the training rows; only with `oob_score`, and not stored.
        roots_: (n_estimators,), root node of each tree.
        feature_, threshold_, children_left_, children_right_: (nodes,), a row whose feature is at most the threshold
            goes left.
        value_, weighted_n_node_samples_: (nodes,), mean and number of the training rows that reach the node.
    """

    fitted_arrays = (
        "roots_",
        "feature_",
        "threshold_",
        "children_left_",
        "children_right_",
        "value_",
        "weighted_n_node_samples_",
    )
    index_arrays = ("roots_", "feature_", "children_left_", "children_right_")
    additive = True

    roots_: NDArray[np.int32]
    feature_: NDArray[np.int32]
    threshold_: NDArray[np.float32]
    children_left_: NDArray[np.int32]
    children_right_: NDArray[np.int32]
    value_: Array
    weighted_n_node_samples_: NDArray[np.float32]
    oob_prediction_: Array

    def __init__(
        self,
        n_estimators: int = 100,
        min_samples_leaf: int = 3,
        max_features: float = 0.3,
        extra_trees: bool = False,
        oob_score: bool = False,
        random_state: int = 0,
    ) -> None:
        self.n_estimators = n_estimators
        self.min_samples_leaf = min_samples_leaf
        self.max_features = max_features
        self.extra_trees = extra_trees
        self.oob_score = oob_score
        self.random_state = random_state

    def fit(self, X: Array, y: Array) -> Self:
        """Grow the trees."""
        X, y = self._check_fit_input(X, y)
        # A fixed order makes the bootstrap samples, and with them the forest, independent of the order of the rows.
        order = np.lexsort((*X.T, y))
        regressor = ExtraTreesRegressor if self.extra_trees else RandomForestRegressor
        grown = regressor(
            self.n_estimators,
            min_samples_leaf=self.min_samples_leaf,
            max_features=self.max_features,
            bootstrap=self.oob_score or not self.extra_trees,
            oob_score=self.oob_score,
            random_state=self.random_state,
        ).fit(X[order], y[order])
        if self.oob_score:
            self.oob_prediction_ = np.empty(len(y))
            self.oob_prediction_[order] = grown.oob_prediction_
        self._set_trees([estimator.tree_ for estimator in grown.estimators_])
        return self

    def predict(self, X: Array) -> Array:
        """Predict the mean over all trees, (m,)."""
        rows = self._check_input(X).astype(np.float32)  # scikit-learn grows its trees on float32
        chunks = range(0, len(rows), CHUNK_ROWS)
        return np.concatenate([self._predict_chunk(rows[i : i + CHUNK_ROWS]) for i in chunks])

    def contributions(self, X: Array) -> Array:
        """Path-dependent Shapley values, (m, d + 1)."""
        return _decision_paths(self).contributions(self._check_input(X).astype(np.float32))

    def set_state(self, state: State) -> Self:
        """Restore the trees."""
        super().set_state(state)
        children = np.stack([self.children_left_, self.children_right_])
        node = np.arange(len(self.value_))
        # For any content of a file, the descent has to end inside the table.
        leaves = (self.children_left_ == node).sum()
        if (children < node).any() or (children >= len(node)).any() or leaves < len(self.roots_):
            raise ValueError("a tree's nodes point outside of it")
        if (self.feature_ < 0).any() or (self.feature_ >= self.n_features_in_).any():
            raise ValueError("a tree splits on a feature that does not exist")
        if not (self.weighted_n_node_samples_ > 0).all():
            raise ValueError("a tree has a node that no row reached")
        self._prepare()
        return self

    def _set_trees(self, trees: list[Any]) -> None:
        offsets = np.cumsum([0, *(tree.node_count for tree in trees)])
        nodes = [offset + np.arange(tree.node_count) for offset, tree in zip(offsets, trees, strict=False)]

        def children(side: str) -> NDArray[np.int32]:
            by_tree = zip((getattr(tree, f"children_{side}") for tree in trees), nodes, offsets, strict=False)
            return np.concatenate(
                [np.where(child < 0, node, child + offset) for child, node, offset in by_tree]
            ).astype(np.int32)

        self.roots_ = offsets[:-1].astype(np.int32)
        self.children_left_, self.children_right_ = children("left"), children("right")
        self.feature_ = np.concatenate([np.maximum(tree.feature, 0) for tree in trees]).astype(np.int32)
        # Rows are float32: a threshold rounded down to float32 sends each of them the same way.
        self.threshold_ = _rounded_down(np.concatenate([tree.threshold for tree in trees]))
        self.value_ = np.concatenate([tree.value[:, 0, 0] for tree in trees])
        samples = np.concatenate([tree.weighted_n_node_samples for tree in trees])
        self.weighted_n_node_samples_ = samples.astype(np.float32)
        self._prepare()

    def _prepare(self) -> None:
        """Arrange the nodes for the descent: siblings side by side, indices in the platform's integer type."""
        self._number_of_fits = getattr(self, "_number_of_fits", 0) + 1
        self._features, self._roots = self.feature_.astype(np.intp), self.roots_.astype(np.intp)
        self._children = np.stack([self.children_left_, self.children_right_], axis=1).ravel().astype(np.intp)

    def _predict_chunk(self, rows: NDArray[np.float32]) -> Array:
        values, offset = rows.ravel(), np.arange(len(rows))[:, None] * rows.shape[1]
        node = np.tile(self._roots, (len(rows), 1))
        while True:
            goes_right = values.take(offset + self._features.take(node)) > self.threshold_.take(node)
            child = self._children.take(2 * node + goes_right)
            if np.array_equal(child, node):
                return row_sums(self.value_.take(node)) / len(self._roots)
            node = child


def _rounded_down(values: Array) -> NDArray[np.float32]:
    rounded = values.astype(np.float32)
    return np.where(rounded > values, np.nextafter(rounded, np.float32(-np.inf)), rounded)


@cached(LRUCache(MAX_FORESTS_WITH_PATHS), key=lambda forest: (forest, forest._number_of_fits), lock=Lock())
def _decision_paths(forest: Forest) -> DecisionPaths:
    return DecisionPaths.from_nodes(
        forest.roots_,
        forest.feature_,
        forest.threshold_,
        forest.children_left_,
        forest.children_right_,
        forest.value_ / len(forest.roots_),
        forest.weighted_n_node_samples_.astype(np.float64),
    )
