"""Combiner that transfers: predictions of other tasks' ensembles beside the structure."""

from typing import Self

import numpy as np
from scipy.stats import norm, rankdata
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import RidgeCV

from ensemble.combiners.base import Array, Combiner
from ensemble.rowwise import row_sums

MIN_ROWS = 20
"""Smallest number of training rows of a prediction in the unit of the metric, and of an interval."""


class Transfer(Combiner):
    """Ranking scores from the scores of sources and the structure; from no training row on.

    Args:
        num_sources: number of sources; their scores are the first columns.
        random_state: seed.

    Attributes:
        held_out_: (n,), scores of the training rows by models that were fitted without them.
    """

    held_out_: Array
    _ridge: RidgeCV | None
    _trees: ExtraTreesRegressor | None

    def __init__(self, num_sources: int = 0, random_state: int = 0) -> None:
        self.num_sources = num_sources
        self.random_state = random_state

    def fit(self, X: Array, y: Array) -> Self:
        """Fit to n ≥ 0 rows; y is larger for better architectures, in any unit."""
        self.n_features_in_ = X.shape[1]
        order = np.lexsort((*X.T, y))
        X, y = X[order], y[order]
        self._ridge = self._trees = None
        self.held_out_ = np.empty(len(y))
        if len(y) < 2:
            self.held_out_[order] = self._source_mean(X)
            return self
        target = norm.ppf((rankdata(y) - 0.5) / len(y))
        held_out = []
        if self.num_sources:
            self._ridge = RidgeCV(np.logspace(-1, 3, 9), store_cv_results=False).fit(X[:, : self.num_sources], target)
            held_out.append(self._ridge.predict(X[:, : self.num_sources]))
        self._trees = ExtraTreesRegressor(
            200, min_samples_leaf=2, max_features=0.5, bootstrap=True, oob_score=True, random_state=self.random_state
        ).fit(X, target)
        held_out.append(self._trees.oob_prediction_)
        self.held_out_[order] = np.mean(held_out, axis=0)
        return self

    def predict(self, X: Array) -> Array:
        """Predict ranking scores, (m,): standard normal over the training rows, or over the sources' reference sets."""
        if self._trees is None:
            return self._source_mean(X)
        scores = [self._trees.predict(X)]
        if self._ridge is not None:
            scores.append(self._ridge.predict(X[:, : self.num_sources]))
        return np.asarray(np.mean(scores, axis=0))

    def _source_mean(self, X: Array) -> Array:
        return np.asarray(row_sums(X[:, : self.num_sources]) / max(self.num_sources, 1))
