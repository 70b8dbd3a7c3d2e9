"""Gradient-boosted trees."""

from typing import Self

import numpy as np
from xgboost import Booster, DMatrix, XGBRegressor

from ensemble.combiners.base import Array, Combiner, State


class Boosting(Combiner):
    """XGBoost regression (Chen & Guestrin 2016) of the standardized accuracy.

    Args:
        n_estimators: number of trees.
        max_depth: depth of a tree.
        learning_rate: shrinkage of each tree.
        random_state: seed of the row and column samples.

    Attributes:
        y_mean_, y_scale_: mean and standard deviation of the training rows' accuracy.
        booster_: the trees.
    """

    fitted_arrays = ("y_mean_", "y_scale_")
    additive = True

    y_mean_: Array
    y_scale_: Array
    booster_: Booster

    def __init__(
        self, n_estimators: int = 150, max_depth: int = 3, learning_rate: float = 0.04, random_state: int = 0
    ) -> None:
        self.n_estimators = n_estimators
        self.max_depth = max_depth
        self.learning_rate = learning_rate
        self.random_state = random_state

    def fit(self, X: Array, y: Array) -> Self:
        """Grow the trees."""
        X, y = self._check_fit_input(X, y)
        # A fixed order makes the samples of rows independent of the order of the rows.
        order = np.lexsort((*X.T, y))
        self.y_mean_, self.y_scale_ = np.array(y.mean()), np.array(y.std() or 1.0)
        regressor = XGBRegressor(
            n_estimators=self.n_estimators,
            max_depth=self.max_depth,
            learning_rate=self.learning_rate,
            subsample=0.7,
            colsample_bytree=0.3,
            min_child_weight=3,
            reg_lambda=3.0,
            n_jobs=1,
            random_state=self.random_state,
        )
        self.booster_ = regressor.fit(X[order], (y[order] - self.y_mean_) / self.y_scale_).get_booster()
        return self

    def predict(self, X: Array) -> Array:
        """Predict accuracies, (m,).

        XGBoost adds the leaves of a row in float32, tree after tree, in any batch.
        """
        X = self._check_input(X)
        standardized = np.asarray(self.booster_.inplace_predict(X, validate_features=False), dtype=np.float64)
        return standardized * self.y_scale_ + self.y_mean_

    def contributions(self, X: Array) -> Array:
        """Shapley values by XGBoost's TreeSHAP (Lundberg et al. 2020), (m, d + 1)."""
        standardized = self.booster_.predict(DMatrix(self._check_input(X), nthread=1), pred_contribs=True)
        contributions = np.asarray(standardized, dtype=np.float64) * self.y_scale_
        contributions[:, -1] += self.y_mean_
        return contributions

    def get_state(self) -> State:
        """Return the fitted state; the trees in XGBoost's UBJSON format."""
        state = super().get_state()
        state.blobs["booster.ubj"] = bytes(self.booster_.save_raw("ubj"))
        return state

    def set_state(self, state: State) -> Self:
        """Restore the fitted state."""
        super().set_state(state)
        if not state.blobs["booster.ubj"]:  # which would end the process
            raise ValueError("the trees are missing")
        self.booster_ = Booster({"nthread": 1})
        self.booster_.load_model(bytearray(state.blobs["booster.ubj"]))
        if self.booster_.num_features() != self.n_features_in_:
            raise ValueError("the trees are fitted to another number of features")
        return self
