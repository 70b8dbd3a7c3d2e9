"""Methods that choose the next architectures to train."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from study.acquisition import NOISE, choose, embed
from study.suggestions import score_weight

Array = NDArray[np.float64]
NUM_SAMPLES = 1024
"""Samples of the Gaussian process of expected improvement."""
JITTER = 1e-6


@dataclass(frozen=True)
class Round:
    """One choice.

    Attributes:
        scores: (m,), predicted scores of the candidates.
        X: (m, columns), features of the candidates; the sources' scores first.
        observed: (k, columns), features of the architectures that are trained.
        normal: (k,), normal scores of their values.
        std: standard deviation of the predictions' errors.
        num_sources: number of sources.
        rng: source of randomness.
    """

    scores: Array
    X: Array
    observed: Array
    normal: Array
    std: float
    num_sources: int
    rng: np.random.Generator


Method = Callable[[Round, int], list[int]]


def random(task: Round, n: int) -> list[int]:
    return [int(i) for i in task.rng.permutation(len(task.X))[:n]]


def top(task: Round, n: int) -> list[int]:
    return [int(i) for i in np.argsort(-task.scores, kind="stable")[:n]]


def core_set(task: Round, n: int) -> list[int]:
    """Greedy k-center (Sener & Savarese, ICLR 2018), from the architecture in the middle if none is observed."""
    Z = embed(np.vstack([task.X, task.observed]), task.num_sources)
    Z, observed = Z[: len(task.X)], Z[len(task.X) :]
    distances = _squared_distances(Z, observed).min(axis=1) if len(observed) else -(Z**2).sum(axis=1)
    chosen: list[int] = []
    for _ in range(n):
        best = int(np.argmax(distances))
        nearest = _squared_distances(Z, Z[best : best + 1])[:, 0]
        distances = np.minimum(distances, nearest) if len(observed) or chosen else nearest
        chosen.append(best)
        distances[chosen] = -1.0
    return chosen


def determinantal(weight: float) -> Method:
    def method(task: Round, n: int) -> list[int]:
        success = np.ones(len(task.X))
        return choose(task.scores, task.X, task.observed, task.num_sources, success, n, weight)

    return method


def suggested(task: Round, n: int) -> list[int]:
    """The product's own choice."""
    return determinantal(score_weight(len(task.observed)))(task, n)


def expected_improvement(task: Round, n: int) -> list[int]:
    """Greedy Monte-Carlo qEI of a Gaussian process around the predicted scores (Wilson et al., NeurIPS 2018)."""
    Z = embed(np.vstack([task.X, task.observed]), task.num_sources)
    m = len(task.X)
    distances = _squared_distances(Z, Z)
    K = np.exp(-distances / np.median(distances[:m, :m]))
    covariance = K[:m, :m]
    if len(task.observed):
        noisy = K[m:, m:] + NOISE * np.eye(len(task.observed))
        covariance = covariance - K[:m, m:] @ np.linalg.solve(noisy, K[m:, :m])
    factor = np.linalg.cholesky(covariance + JITTER * np.eye(m))
    samples = task.scores[:, None] + task.std * factor @ task.rng.standard_normal((m, NUM_SAMPLES))
    best = np.full(NUM_SAMPLES, task.normal.max() if len(task.normal) else -np.inf)
    chosen: list[int] = []
    for _ in range(n):
        gain = np.maximum(samples, best).mean(axis=1)
        gain[chosen] = -np.inf
        chosen.append(int(np.argmax(gain)))
        best = np.maximum(best, samples[chosen[-1]])
    return chosen


METHODS: Mapping[str, Method] = {
    "random": random,
    "top": top,
    "core-set": core_set,
    "expected improvement": expected_improvement,
    "k-determinantal, weight 0.15": determinantal(0.15),
    "k-determinantal, weight 1": determinantal(1.0),
    "`suggest`": suggested,
}


def _squared_distances(first: Array, second: Array) -> Array:
    norms = (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1)
    return np.asarray(np.maximum(norms - 2 * first @ second.T, 0.0))
