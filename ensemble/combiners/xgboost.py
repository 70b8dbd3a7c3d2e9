"""Gradient-boosted trees."""

from typing import Self

import numpy as np
from xgboost import Booster, DMatrix, XGBRegressor

from ensemble.combiners.base import Array, Combiner, State


class Boosting(Combiner):
    """XGBoost regression (Chen & Guestrin 2016) of the standardised accuracy.

    Args:
        trees: number of trees.
        depth: depth of a tree.
        rate: learning rate.
        random_state: seed of the row and column samples.
    """

    fitted_arrays = ("mean_", "scale_")
    additive = True

    mean_: Array
    scale_: Array

    def __init__(self, trees: int = 150, depth: int = 3, rate: float = 0.04, random_state: int = 0) -> None:
        self.trees = trees
        self.depth = depth
        self.rate = rate
        self.random_state = random_state

    def fit(self, X: Array, y: Array) -> Self:
        X, y = self._training_data(X, y)
        # In a fixed order, so that the samples of rows do not depend on how the rows came.
        order = np.lexsort((*X.T, y))
        self.mean_, self.scale_ = np.array(y.mean()), np.array(y.std() or 1.0)
        grown = XGBRegressor(
            n_estimators=self.trees, max_depth=self.depth, learning_rate=self.rate, subsample=0.7,
            colsample_bytree=0.3, min_child_weight=3, reg_lambda=3.0, n_jobs=1, random_state=self.random_state,
        )  # fmt: skip
        self.model_ = grown.fit(X[order], (y[order] - self.mean_) / self.scale_).get_booster()
        return self

    def predict(self, X: Array) -> Array:
        """XGBoost adds a row's leaves in float32 tree after tree, however it divides rows into blocks."""
        X = self._data(X)
        return (
            np.asarray(self.model_.inplace_predict(X, validate_features=False), dtype=np.float64) * self.scale_
            + self.mean_
        )

    def contributions(self, X: Array) -> Array:
        """As XGBoost's own TreeSHAP (Lundberg et al. 2020) has them."""
        parts = self.model_.predict(DMatrix(self._data(X), nthread=1), pred_contribs=True)
        parts = np.asarray(parts, dtype=np.float64) * self.scale_
        parts[:, -1] += self.mean_
        return parts

    def get_state(self) -> State:
        state = super().get_state()
        state.blobs["model.ubj"] = bytes(self.model_.save_raw("ubj"))
        return state

    def set_state(self, state: State) -> Self:
        super().set_state(state)
        self.model_ = Booster({"nthread": 1})
        self.model_.load_model(bytearray(state.blobs["model.ubj"]))
        if self.model_.num_features() != self.n_features_in_:
            raise ValueError("the trees are about other columns")
        return self
