"""Choice of a set of candidates that are both promising and different from each other and from the observed ones."""

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular

Array = NDArray[np.float64]
MIN_STD = 1e-9
"""Standard deviation below which a feature is constant."""
MIN_SUCCESS = 1e-3
NOISE = 0.1
"""Variance of one training, relative to that of all architectures."""
MAX_MEDIAN_ROWS = 200
"""Candidates from whose distances the length scale is taken."""


def choose(
    scores: Array, X: Array, reference: Array, num_sources: int, success: Array, n: int, weight: float
) -> list[int]:
    """Choose n candidates by greedy maximization of a k-determinantal point process (Kulesza & Taskar 2012).

    The set's determinant is the product of the candidates' qualities and of the volume of their kernel matrix: each
    step takes the candidate with the largest weight · score + max(weight, 1) · ln(success) + ½ ln(variance), where the
    variance is that of a Gaussian process that has observed the reference and the candidates chosen before. The kernel
    is Gaussian, in the features and in the sources' scores; its length is the median distance.

    Args:
        scores: (m,), predicted scores, larger is better, standard normal over all architectures.
        X: (m, columns), features of the candidates; the sources' scores are the first columns.
        reference: (k, columns), features of the observed architectures.
        num_sources: number of sources.
        success: (m,), probability that the training succeeds.
        n: number of candidates to choose.
        weight: weight of the scores; 0 chooses by variance alone.

    Returns:
        Rows of at most n candidates, in the order of choice.
    """
    Z = embed(np.vstack([X, reference]), num_sources)
    Z, observed = Z[: len(X)], Z[len(X) :]
    length = float(np.median(_squared_distances(Z[:MAX_MEDIAN_ROWS], Z))) or 1.0
    covariances = np.exp(-_squared_distances(observed, observed) / length) + NOISE * np.eye(len(observed))
    # Rows of a Cholesky factor: variance and covariances are what their squares and products leave.
    factor = np.exp(-_squared_distances(observed, Z) / length)
    if len(observed):
        factor = solve_triangular(cholesky(covariances, lower=True), factor, lower=True)
    variance = 1 - (factor**2).sum(axis=0)
    quality = weight * scores + max(weight, 1.0) * np.log(np.maximum(success, MIN_SUCCESS))
    chosen: list[int] = []
    for _ in range(min(n, len(X))):
        utility = quality + 0.5 * np.log(np.maximum(variance, MIN_STD))
        utility[chosen] = -np.inf
        best = int(np.argmax(utility))
        chosen.append(best)
        column = np.exp(-_squared_distances(Z[best : best + 1], Z)[0] / length) - factor[:, best] @ factor
        row = column / np.sqrt(max(float(variance[best]), 0.0) + NOISE)
        factor, variance = np.vstack([factor, row]), variance - row**2
    return chosen


def embed(X: Array, num_sources: int) -> Array:
    """Standardize features, such that the sources' scores and the structure each have half of the squared distance."""
    std = X.std(axis=0)
    Z = (X - X.mean(axis=0)) / np.where(std > MIN_STD, std, 1.0)
    sources, structure = Z[:, :num_sources], Z[:, num_sources:]
    return np.hstack([sources / np.sqrt(max(num_sources, 1)), structure / np.sqrt(structure.shape[1])])


def _squared_distances(first: Array, second: Array) -> Array:
    norms = (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1)
    return np.asarray(np.maximum(norms - 2 * first @ second.T, 0.0))
