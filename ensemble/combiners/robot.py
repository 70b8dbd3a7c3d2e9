"""Weighted mean of normalized proxies whose weights are optimized together."""

from typing import Self

import numpy as np

from common.bayesian_optimization import BayesianOptimization
from ensemble.combiners.base import Array, spearman
from ensemble.combiners.mean import WeightedMean


class Robot(WeightedMean):
    """Weighted mean of proxies scaled to 0 … 1, with weights in [−1, 1] by Bayesian optimization.

    Source: RoBoT (He et al., ICLR 2024), where the value of weights is the accuracy of the architecture with the
    highest weighted mean. Here it is Spearman's ρ of the weighted mean with the accuracy on the training rows, as the
    whole order counts. The optimization begins at the weights of `WeightedMean`, and the weights with the highest ρ are
    kept. Predictions are standardized by those of the training rows, so that fits with other weights are comparable.

    Args:
        num_steps: number of weights that are tried.
        random_state: seed of the optimization.

    Attributes:
        center_, spread_: mean and standard deviation of the weighted means of the training rows, (1,) each.
    """

    fitted_arrays = (*WeightedMean.fitted_arrays, "center_", "spread_")

    center_: Array
    spread_: Array

    def __init__(self, num_steps: int = 50, random_state: int = 0) -> None:
        self.num_steps = num_steps
        self.random_state = random_state

    def fit(self, X: Array, y: Array) -> Self:
        """Compute ranges, weights, and the distribution of the weighted means."""
        super().fit(X, y)
        means = super().predict(X)
        means = means[~np.isnan(means)]
        self.center_ = np.array([means.mean() if len(means) else 0.0])
        self.spread_ = np.array([means.std() if len(means) and means.std() > 0 else 1.0])
        return self

    def predict(self, X: Array) -> Array:
        """Standardized weighted means, (m,), larger is better; NaN for a row without any score."""
        return np.asarray((super().predict(X) - self.center_) / self.spread_)

    def _fit_weights(self, X: Array, y: Array) -> Array:
        optimization = BayesianOptimization(X.shape[1], np.random.default_rng(self.random_state), num_candidates=500)
        tried = [super()._fit_weights(X, y)]
        values = [spearman(self._means(X, tried[0]), y)]
        for _ in range(self.num_steps):
            tried.append(optimization.propose(tried, values))
            values.append(spearman(self._means(X, tried[-1]), y))
        return tried[int(np.argmax(values))]
