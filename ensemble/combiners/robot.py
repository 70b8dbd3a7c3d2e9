"""Weighted mean of normalized proxies whose weights are optimized together."""

import numpy as np

from common.bayesian_optimization import BayesianOptimization
from ensemble.combiners.base import Array, spearman
from ensemble.combiners.mean import WeightedMean


class Robot(WeightedMean):
    """Weighted mean of proxies scaled to 0 … 1, with weights in [−1, 1] by Bayesian optimization.

    Source: RoBoT (He et al., ICLR 2024), where the value of weights is the accuracy of the architecture with the
    highest weighted mean. Here it is Spearman's ρ of the weighted mean with the accuracy on the training rows, as the
    whole order counts. The weights with the highest ρ are kept.

    Args:
        num_steps: number of weights that are tried.
        random_state: seed of the optimization.
    """

    def __init__(self, num_steps: int = 50, random_state: int = 0) -> None:
        self.num_steps = num_steps
        self.random_state = random_state

    def _fit_weights(self, X: Array, y: Array) -> Array:
        optimization = BayesianOptimization(X.shape[1], np.random.default_rng(self.random_state), num_candidates=500)
        tried: list[Array] = []
        values: list[float] = []
        for _ in range(self.num_steps):
            tried.append(optimization.propose(tried, values))
            values.append(spearman(self._means(X, tried[-1]), y))
        return tried[int(np.argmax(values))]
