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
    return {
        "spearman": rho,
        "partial": partial_correlation(predicted, accuracy, depths),
        "kendall": None if rho is None else float(kendalltau(predicted, accuracy).statistic),
        "pairwise": pairwise_accuracy(predicted, accuracy),
        "mae": float(np.abs(predicted - accuracy).mean()) if absolute and len(accuracy) else None,
        **{f"depth={depth}": value for depth, value in within.items()},
        "within_depth": _mean(list(within.values())),
        "predicted": float(len(accuracy)),
    }


def search_measures(predicted: Array, accuracy: Array, depths: NDArray[np.int64]) -> Metrics:
    """What a search loop that trains the predicted best few feels.

    Keys: `precision@10` (share of the predicted ten best that are among the true ten best), `rank@10` (mean true rank
    of the predicted ten best, 1 is the best), `regret@5` (how far the best of the predicted five best falls short of
    the best of all, a fraction of accuracy); and the same `, within depth`: among the architectures of one depth, the
    mean over the depths. None where fewer than 20 have a prediction.
    """
    overall = _search(predicted, accuracy)
    groups = [_search(predicted[depths == depth], accuracy[depths == depth]) for depth in np.unique(depths)]
    within = {f"{key}, within depth": _mean([group[key] for group in groups]) for key in overall}
    return {**overall, **within}


def _search(predicted: Array, accuracy: Array) -> Metrics:
    there = ~np.isnan(predicted)
    predicted, accuracy = predicted[there], accuracy[there]
    if len(accuracy) < 20:
        return dict.fromkeys(("precision@10", "rank@10", "regret@5"))
    # Ties are broken by place, which says nothing about accuracy: rows are in the order of their fingerprints.
    best = np.argsort(-predicted, kind="stable")
    rank = rankdata(-accuracy, method="min")
    return {
        "precision@10": float((rank[best[:10]] <= 10).mean()),
        "rank@10": float(rank[best[:10]].mean()),
        "regret@5": float(accuracy.max() - accuracy[best[:5]].max()),
    }


def _mean(values: list[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None


def interval_measures(interval: Array, accuracy: Array, depths: NDArray[np.int64]) -> Metrics:
    """`coverage`, the share of accuracies inside their interval (n, 2), and `width`, the mean width; both also
    `, depth=<layers>`. Rows without an interval (NaN) are left out.
    """
    there = ~np.isnan(interval[:, 0])
    interval, accuracy, depths = interval[there], accuracy[there], depths[there]
    inside = (interval[:, 0] <= accuracy) & (accuracy <= interval[:, 1])
    width = interval[:, 1] - interval[:, 0]
    groups = {"": np.ones(len(depths), dtype=bool)}
    groups |= {f", depth={depth}": depths == depth for depth in np.unique(depths)}
    measures: Metrics = {}
    for name, rows in groups.items():
        measures[f"coverage{name}"] = float(inside[rows].mean()) if rows.any() else None
        measures[f"width{name}"] = float(width[rows].mean()) if rows.any() else None
    return measures


def reliability(probability: Array, better: Array, bins: int = 10) -> list[dict[str, float]]:
    """How often the architecture that is called better is, by how sure the call is.

    Args:
        probability: (k,), that the first of a pair is better.
        better: (k,), 1 where it is, 0 where it is not, ½ for a tie.
        bins: of equal width from ½ to 1; those without pairs are left out.

    Returns:
        For each bin the mean `predicted` probability, the `observed` share, and the number of `pairs`.
    """
    sure = np.maximum(probability, 1 - probability)
    right = np.where(probability >= 0.5, better, 1 - better)
    place = np.minimum(((sure - 0.5) * 2 * bins).astype(np.int64), bins - 1)
    groups = [place == i for i in range(bins)]
    return [
        {"predicted": float(sure[rows].mean()), "observed": float(right[rows].mean()), "pairs": int(rows.sum())}
        for rows in groups
        if rows.any()
    ]


def brier(probability: Array, better: Array) -> float | None:
    """Mean square of what the probability is off (Brier 1950); 0.25 for always ½."""
    return float(((probability - better) ** 2).mean()) if len(better) else None


def mean_and_sd(repeats: list[Metrics]) -> dict[str, dict[str, float] | None]:
    """Mean and standard deviation of each measure over repeats; None where it is not defined in every one."""
    summary: dict[str, dict[str, float] | None] = {}
    for key in repeats[0]:
        values = [metrics.get(key) for metrics in repeats]
        known = [value for value in values if value is not None and math.isfinite(value)]
        whole = len(known) == len(values)
        summary[key] = {"mean": float(np.mean(known)), "sd": float(np.std(known))} if whole else None
    return summary
