"""Combiner that records its targets."""

import numpy as np
from numpy.typing import NDArray

from ensemble.combiners import Combiner

Array = NDArray[np.float64]


class Recorder(Combiner):
    """Records its targets and predicts 0."""

    fitted_arrays = ("y_",)
    additive = True

    def fit(self, X: Array, y: Array) -> "Recorder":
        X, self.y_ = self._check_fit_input(X, y)
        return self

    def predict(self, X: Array) -> Array:
        return np.zeros(len(self._check_input(X)))

    def contributions(self, X: Array) -> Array:
        return np.zeros((len(X), X.shape[1] + 1))
