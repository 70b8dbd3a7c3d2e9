"""How good predictions are, as plain numbers; None where a measure is not defined."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau, rankdata

from ensemble.combiners.base import spearman

Array = NDArray[np.float64]
Metrics = dict[str, float | None]


def rank_correlation(predicted: Array, accuracy: Array) -> float | None:
    """Spearman's ρ; None where fewer than two rows have a prediction, or one side is constant."""
    there = ~np.isnan(predicted)
    if there.sum() < 2 or np.ptp(predicted[there]) == 0 or np.ptp(accuracy[there]) == 0:
        return None
    return spearman(predicted, accuracy)


def partial_correlation(predicted: Array, accuracy: Array, depths: NDArray[np.int64]) -> float | None:
    """Spearman's ρ given the depth: the correlation of the ranks less their mean at that depth; None as above."""
    if len(predicted) < 2:
        return None
    groups = np.unique(depths, return_inverse=True)[1]
    left, right = (_less_group_means(rankdata(side), groups) for side in (predicted, accuracy))
    norm = float(np.linalg.norm(left) * np.linalg.norm(right))
    return float(left @ right) / norm if norm > 1e-9 * len(left) else None


def _less_group_means(values: Array, groups: NDArray[np.int64]) -> Array:
    return np.asarray(values - (np.bincount(groups, values) / np.bincount(groups))[groups])


def pairwise_accuracy(predicted: Array, accuracy: Array) -> float | None:
    """Share of the pairs of different accuracy that are put in order; a tie counts half."""
    first, second = np.triu_indices(len(accuracy), k=1)
    truth = np.sign(accuracy[first] - accuracy[second])
    guess = np.sign(predicted[first] - predicted[second])
    counted = (truth != 0) & ~np.isnan(guess)
    return float(0.5 + 0.5 * (truth * guess)[counted].mean()) if counted.any() else None


def measure(predicted: Array, accuracy: Array, depths: NDArray[np.int64], absolute: bool = True) -> Metrics:
    """All measures of one set of predictions (n,); NaN predictions are left out and counted.

    Keys: `spearman`, `partial` (ρ given the depth), `kendall` (τ-b), `pairwise`, `mae` (a fraction; None unless
    `absolute`), `depth=<layers>` (ρ within that depth), `within_depth` (the mean of those that are defined),
    `predicted` (number of predictions).
    """
    there = ~np.isnan(predicted)
    predicted, accuracy, depths = predicted[there], accuracy[there], depths[there]
    rho = rank_correlation(predicted, accuracy)
    within = {int(depth): rank_correlation(predicted[depths == depth], accuracy[depths == depth])
              for depth in np.unique(depths)}  # fmt: skip
    defined = [value for value in within.values() if value is not None]
    return {
        "spearman": rho,
        "partial": partial_correlation(predicted, accuracy, depths),
        "kendall": None if rho is None else float(kendalltau(predicted, accuracy).statistic),
        "pairwise": pairwise_accuracy(predicted, accuracy),
        "mae": float(np.abs(predicted - accuracy).mean()) if absolute and len(accuracy) else None,
        **{f"depth={depth}": value for depth, value in within.items()},
        "within_depth": float(np.mean(defined)) if defined else None,
        "predicted": float(len(accuracy)),
    }


def mean_and_sd(repeats: list[Metrics]) -> dict[str, dict[str, float] | None]:
    """Mean and standard deviation of each measure over repeats; None where it is not defined in every one."""
    summary: dict[str, dict[str, float] | None] = {}
    for key in repeats[0]:
        values = [metrics.get(key) for metrics in repeats]
        known = [value for value in values if value is not None and math.isfinite(value)]
        whole = len(known) == len(values)
        summary[key] = {"mean": float(np.mean(known)), "sd": float(np.std(known))} if whole else None
    return summary
