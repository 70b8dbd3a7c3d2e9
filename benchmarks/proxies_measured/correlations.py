"""Rank correlations of many scores with one accuracy, over all architectures, within strata, and given covariates."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Array = NDArray[np.float64]
Groups = NDArray[np.int64]
KINDS = ("overall", "within", "given_stratum", "given_stratum_and_parameters")
"""Spearman's ρ over all, its mean over the strata, and partial ρ given the stratum, without and with parameters."""
NUM_RESAMPLES, LEVEL = 1000, 0.95
MIN_VARIATION = 1e-9
"""Smallest norm of residual ranks, as a fraction of the number of ranks, that counts as variation."""


@dataclass(frozen=True)
class Material:
    """Accuracies, and the covariates that correlations are taken given.

    Attributes:
        accuracy: (n,).
        strata: stratum of each architecture, (n,).
        parameters: number of parameters, or any increasing function of it, (n,).
        groups: equal for architectures that are no independent evidence, as isomorphic ones, (n,).
    """

    accuracy: Array
    strata: Groups
    parameters: Array
    groups: Groups

    def take(self, rows: NDArray[np.int64]) -> "Material":
        """Select rows, with repetition."""
        return Material(self.accuracy[rows], self.strata[rows], self.parameters[rows], self.groups[rows])


def correlations(scores: Array, material: Material) -> Array:
    """Correlate p scores with the accuracy.

    Args:
        scores: (n, p), without NaN.
        material: accuracies, strata and parameters of the n architectures.

    Returns:
        A row for each of `KINDS`, (4, p); NaN where a correlation is not defined.
    """
    groups = np.unique(material.strata, return_inverse=True)[1]
    ranks, parameters = _ranks(np.column_stack([scores, material.accuracy])), _ranks(material.parameters[:, None])
    given = _less_means(ranks, groups)
    parameters = _less_means(parameters, groups)
    within = [
        _correlation_with_last(_ranks(np.column_stack([scores[rows], material.accuracy[rows]])))
        for rows in (groups == group for group in range(groups.max() + 1))
    ]
    return np.array(
        [
            _correlation_with_last(ranks),
            mean_of_known(np.array(within)),
            _correlation_with_last(given),
            _correlation_with_last(_orthogonal_to(given, parameters)),
        ]
    )


def given_stratum(scores: Array, accuracy: Array, strata: Groups) -> Array:
    """Partial rank correlation of p scores with the accuracy given the stratum, (p,).

    The same as `partial_spearman` of the evaluation, for many scores at once.

    Args:
        scores: (n, p), without NaN.
        accuracy: (n,).
        strata: (n,).
    """
    groups = np.unique(strata, return_inverse=True)[1]
    return _correlation_with_last(_less_means(_ranks(np.column_stack([scores, accuracy])), groups))


def bootstrap(scores: Array, material: Material, resamples: int = NUM_RESAMPLES, seed: int = 0) -> tuple[Array, Array]:
    """Correlate p scores with the accuracy, for the architectures and for resamples of their groups.

    Scores with missing values are correlated over the architectures that have them. Populations of the same
    architectures get the same resamples.

    Args:
        scores: (n, p), NaN where an architecture has no score.
        material: accuracies, strata, parameters and groups of the n architectures.
        resamples: number r of resamples.
        seed: seed of the resamples.

    Returns:
        The correlations, (4, p), and those of the resamples, (r, 4, p).
    """
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(material.groups == group) for group in np.unique(material.groups)]
    draws = (rng.integers(len(members), size=len(members)) for _ in range(resamples))
    rows = [np.arange(len(scores)), *(np.concatenate([members[i] for i in draw]) for draw in draws)]
    found = np.full((len(rows), len(KINDS), scores.shape[1]), np.nan)
    for present, columns in _patterns(scores):
        for i, drawn in enumerate(rows):
            kept = drawn[present[drawn]]
            if len(kept) > 1:
                found[i][:, columns] = correlations(scores[kept][:, columns], material.take(kept))
    return found[0], found[1:]


def interval(draws: Array) -> Array:
    """Percentile interval of resampled correlations over the first axis, (2, …); NaN where none is defined."""
    ends = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    known = ~np.isnan(draws).all(axis=0)
    result = np.full((2, *draws.shape[1:]), np.nan)
    result[:, known] = np.nanquantile(draws[:, known], ends, axis=0)
    return result


def mean_of_known(values: Array) -> Array:
    """Mean over the first axis of the values that are not NaN; NaN where none is."""
    known = ~np.isnan(values)
    counts = known.sum(axis=0)
    return np.where(counts, np.where(known, values, 0).sum(axis=0) / np.maximum(counts, 1), np.nan)


def _patterns(scores: Array) -> Sequence[tuple[NDArray[np.bool_], NDArray[np.int64]]]:
    """Columns by the rows that they have values in."""
    patterns, index = np.unique(~np.isnan(scores), axis=1, return_inverse=True)
    return [(patterns[:, i], np.flatnonzero(index.ravel() == i)) for i in range(patterns.shape[1])]


def _ranks(columns: Array) -> Array:
    """Ranks of each column less their mean, (n, k)."""
    return np.asarray(rankdata(columns, axis=0) - (len(columns) + 1) / 2)


def _less_means(values: Array, groups: Groups) -> Array:
    sums = np.zeros((groups.max() + 1, values.shape[1]))
    np.add.at(sums, groups, values)
    return np.asarray(values - (sums / np.bincount(groups)[:, None])[groups])


def _orthogonal_to(values: Array, direction: Array) -> Array:
    """Residuals of the columns from their regression on another one, (n, 1); the columns themselves if it is 0."""
    length = float(np.linalg.norm(direction))
    if length <= MIN_VARIATION * len(direction):
        return values
    unit = direction / length
    return np.asarray(values - unit * (unit.T @ values))


def _correlation_with_last(values: Array) -> Array:
    """Correlation of each column but the last with the last, all of mean 0; NaN where one of them is 0."""
    lengths = np.linalg.norm(values, axis=0)
    known = (lengths[:-1] > MIN_VARIATION * len(values)) & (lengths[-1] > MIN_VARIATION * len(values))
    products = values[:, :-1].T @ values[:, -1]
    return np.where(known, products / np.where(known, lengths[:-1] * lengths[-1], 1), np.nan)
