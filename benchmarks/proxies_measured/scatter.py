"""Scatter of scores over the seeds of the initial weights."""

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from benchmarks.proxies_measured.correlations import Groups, given_stratum, mean_of_known

Array = NDArray[np.float64]


def relative_scatter(scores: Array, strata: Groups) -> Array:
    """Standard deviation of scores over seeds, relative to that over the architectures of one stratum.

    Args:
        scores: (seeds, n, p), without NaN.
        strata: stratum of each architecture, (n,).

    Returns:
        Ratio of the root mean squares, (p,); the architectures' is that of their means over the seeds. NaN where
        neither differs.
    """
    means = scores.mean(axis=0)
    over_seeds = scores.var(axis=0, ddof=1).mean(axis=0)
    squares, freedom = np.zeros(scores.shape[2]), 0
    for stratum in np.unique(strata):
        rows = means[strata == stratum]
        squares += ((rows - rows.mean(axis=0)) ** 2).sum(axis=0)
        freedom += len(rows) - 1
    over_architectures = squares / freedom
    known = over_architectures > 0
    ratio = np.sqrt(over_seeds / np.where(known, over_architectures, 1))
    return np.where(known, ratio, np.where(over_seeds > 0, np.inf, np.nan))


def agreement(scores: Array, strata: Groups) -> Array:
    """Rank correlation of the scores of two seeds given the stratum, mean over all pairs of seeds, (p,).

    Args:
        scores: (seeds, n, p), without NaN.
        strata: stratum of each architecture, (n,).
    """
    proxies = range(scores.shape[2])
    pairs = [
        [given_stratum(first[:, [i]], second[:, i], strata)[0] for i in proxies]
        for first, second in combinations(scores, 2)
    ]
    return mean_of_known(np.array(pairs))
