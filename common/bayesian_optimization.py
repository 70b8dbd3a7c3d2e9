"""Bayesian optimization of weights."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
KAPPA = 2.576
"""Standard deviations of the upper confidence bound."""


class BayesianOptimization:
    """Maximization of a function of weights in [−1, 1] by the upper confidence bound of a Gaussian process.

    Args:
        num_weights: number of weights, p.
        rng: source of all randomness.
        num_candidates: random weights among which the bound is maximized.
    """

    def __init__(self, num_weights: int, rng: np.random.Generator, num_candidates: int = 2000) -> None:
        self.num_weights, self.rng, self.num_candidates = num_weights, rng, num_candidates

    def random(self, number: int) -> Array:
        """Draw uniform weights, (number, p)."""
        return self.rng.uniform(-1.0, 1.0, (number, self.num_weights))

    def propose(self, known: Sequence[Array], values: Sequence[float], pending: Sequence[Array] = ()) -> Array:
        """Propose the next weights, (p,): random ones while nothing is known.

        Args:
            known: weights whose values are known, each (p,).
            values: their values.
            pending: weights whose values are not known yet; the mean of the process stands for these (Desautels et al.,
                JMLR 2014).
        """
        candidates = self.random(self.num_candidates)
        if not len(known):
            return np.asarray(candidates[0])
        X, y = np.array(known), np.array(values)
        process = self._process().fit(X, y)
        if len(pending):
            X, y = np.concatenate([X, pending]), np.concatenate([y, process.predict(np.array(pending))])
            process = self._process().fit(X, y)
        mean, std = process.predict(candidates, return_std=True)
        return np.asarray(candidates[int(np.argmax(mean + KAPPA * std))])

    def _process(self) -> Any:
        from sklearn.gaussian_process import GaussianProcessRegressor  # slow to import
        from sklearn.gaussian_process.kernels import Matern

        scale = np.sqrt(self.num_weights)  # as distances between random weights grow with their number
        return GaussianProcessRegressor(Matern(scale, nu=2.5), alpha=1e-4, optimizer=None, normalize_y=True)
