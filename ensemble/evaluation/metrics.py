"""Metrics of predictions, intervals and pairwise probabilities.

A stratum is a group of comparable architectures, as the search space defines it. A within-stratum metric is the mean
over the strata in which the metric is defined. A metric that is not defined is None.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import kendalltau, rankdata

Array = NDArray[np.float64]
Strata = NDArray[np.int64]
Metrics = dict[str, Any]
"""Metrics by name: a float, None, or a nested mapping such as `{"overall": 0.9, "by_stratum": {"4": 0.91}}`."""

MIN_SEARCH_SIZE = 20
"""Smallest number of predictions for which search metrics are defined."""


def rows_by_stratum(strata: ArrayLike) -> dict[int, NDArray[np.intp]]:
    """Return the rows of each stratum, by stratum in ascending order.

    Args:
        strata: stratum of each row, shape (n,).
    """
    return {int(stratum): np.flatnonzero(np.equal(strata, stratum)) for stratum in np.unique(strata)}


def spearman(predicted: Array, accuracy: Array) -> float | None:
    """Spearman's ρ over the rows with a prediction.

    Args:
        predicted: predictions or scores, shape (n,); NaN where there is none.
        accuracy: accuracies, shape (n,).

    Returns:
        The correlation, or None with fewer than two predictions or where one side is constant.
    """
    known = ~np.isnan(predicted)
    predicted, accuracy = predicted[known], accuracy[known]
    if len(predicted) < 2 or np.ptp(predicted) == 0 or np.ptp(accuracy) == 0:
        return None
    # Not scipy's spearmanr, which differs in the last bit: published metrics are reproduced exactly.
    return float(np.corrcoef(rankdata(predicted), rankdata(accuracy))[0, 1])


def partial_spearman(predicted: Array, accuracy: Array, strata: Strata) -> float | None:
    """Partial rank correlation given the stratum.

    The correlation of the ranks less their mean over the stratum.

    Args:
        predicted: predictions, shape (n,), without NaN.
        accuracy: accuracies, shape (n,).
        strata: stratum of each row, shape (n,).

    Returns:
        The correlation, or None with fewer than two rows or where one side is constant within every stratum.
    """
    if len(predicted) < 2:
        return None
    groups = np.unique(strata, return_inverse=True)[1]
    left, right = (_less_group_means(rankdata(side), groups) for side in (predicted, accuracy))
    norm = float(np.linalg.norm(left) * np.linalg.norm(right))
    return float(left @ right) / norm if norm > 1e-9 * len(left) else None


def _less_group_means(values: Array, groups: NDArray[np.int64]) -> Array:
    return np.asarray(values - (np.bincount(groups, values) / np.bincount(groups))[groups])


def pairwise_accuracy(predicted: Array, accuracy: Array) -> float | None:
    """Fraction of the pairs of unequal accuracy that are ordered correctly; a tied prediction counts ½.

    Args:
        predicted: predictions, shape (n,); pairs with NaN are left out.
        accuracy: accuracies, shape (n,).
    """
    known = ~np.isnan(predicted)
    predicted, accuracy = predicted[known], accuracy[known]
    pairs, tied_predictions, tied_accuracies = _pairs(len(accuracy)), _tied_pairs(predicted), _tied_pairs(accuracy)
    counted, untied = pairs - tied_accuracies, pairs - tied_predictions
    if not counted:
        return None
    if not untied:
        return 0.5
    # τ-b in O(n log n), solved for the correct less the wrong pairs, a whole number.
    surplus = round(float(kendalltau(predicted, accuracy).statistic) * math.sqrt(counted) * math.sqrt(untied))
    return 0.5 + 0.5 * (surplus / counted)


def _pairs(n: int) -> int:
    return n * (n - 1) // 2


def _tied_pairs(values: Array) -> int:
    return sum(_pairs(int(count)) for count in np.unique(values, return_counts=True)[1])


def prediction_metrics(predicted: Array, accuracy: Array, strata: Strata, absolute: bool = True) -> Metrics:
    """Metrics of one set of predictions.

    Args:
        predicted: predictions or scores, shape (n,); NaN rows are left out.
        accuracy: accuracies, shape (n,).
        strata: stratum of each row, shape (n,).
        absolute: whether the predictions are accuracies, so that their error is defined.

    Returns:
        `spearman`, `partial_spearman`, `kendall` (τ-b), `pairwise_accuracy`, `mae` (a fraction; None unless
        `absolute`), `spearman_by_stratum`, `within_stratum_spearman` and `n`, the number of predictions.
    """
    known = ~np.isnan(predicted)
    predicted, accuracy, strata = predicted[known], accuracy[known], strata[known]
    rho = spearman(predicted, accuracy)
    by_stratum = {
        str(stratum): spearman(predicted[rows], accuracy[rows]) for stratum, rows in rows_by_stratum(strata).items()
    }
    return {
        "spearman": rho,
        "partial_spearman": partial_spearman(predicted, accuracy, strata),
        "kendall": None if rho is None else float(kendalltau(predicted, accuracy).statistic),
        "pairwise_accuracy": pairwise_accuracy(predicted, accuracy),
        "mae": float(np.abs(predicted - accuracy).mean()) if absolute and len(accuracy) else None,
        "spearman_by_stratum": by_stratum,
        "within_stratum_spearman": _mean(list(by_stratum.values())),
        "n": float(len(accuracy)),
    }


def search_metrics(predicted: Array, accuracy: Array, strata: Strata) -> Metrics:
    """Metrics of a search that trains the architectures with the best predictions.

    Args:
        predicted: predictions, shape (n,); NaN rows are left out.
        accuracy: accuracies, shape (n,).
        strata: stratum of each row, shape (n,).

    Returns:
        `precision_at_10`, the fraction of the ten best predictions among the ten best accuracies; `mean_rank_at_10`,
        the mean rank by accuracy of the ten best predictions, 1 for the best; `regret_at_5`, the difference between
        the best accuracy and the best among the five best predictions, a fraction. The same prefixed
        `within_stratum_`. None with fewer than `MIN_SEARCH_SIZE` predictions.
    """
    overall = _search_metrics(predicted, accuracy)
    strata_metrics = [_search_metrics(predicted[rows], accuracy[rows]) for rows in rows_by_stratum(strata).values()]
    within = {f"within_stratum_{name}": _mean([metrics[name] for metrics in strata_metrics]) for name in overall}
    return {**overall, **within}


def _search_metrics(predicted: Array, accuracy: Array) -> Metrics:
    known = ~np.isnan(predicted)
    predicted, accuracy = predicted[known], accuracy[known]
    if len(accuracy) < MIN_SEARCH_SIZE:
        return dict.fromkeys(("precision_at_10", "mean_rank_at_10", "regret_at_5"))
    # Ties are broken by position, which is independent of accuracy: rows are in the order of their fingerprints.
    best_first = np.argsort(-predicted, kind="stable")
    rank = rankdata(-accuracy, method="min")
    return {
        "precision_at_10": float((rank[best_first[:10]] <= 10).mean()),
        "mean_rank_at_10": float(rank[best_first[:10]].mean()),
        "regret_at_5": float(accuracy.max() - accuracy[best_first[:5]].max()),
    }


def interval_metrics(interval: Array, accuracy: Array, strata: Strata) -> Metrics:
    """Metrics of prediction intervals.

    Args:
        interval: lower and upper bounds, shape (n, 2); NaN rows are left out.
        accuracy: accuracies, shape (n,).
        strata: stratum of each row, shape (n,).

    Returns:
        `coverage`, the fraction of accuracies inside their interval, and `interval_width`, the mean width, a fraction;
        each as `{"overall", "by_stratum"}`.
    """
    known = ~np.isnan(interval[:, 0])
    interval, accuracy, strata = interval[known], accuracy[known], strata[known]
    inside = (interval[:, 0] <= accuracy) & (accuracy <= interval[:, 1])
    width = interval[:, 1] - interval[:, 0]
    return {
        name: {
            "overall": float(values.mean()) if len(values) else None,
            "by_stratum": {
                str(stratum): float(values[rows].mean()) for stratum, rows in rows_by_stratum(strata).items()
            },
        }
        for name, values in (("coverage", inside), ("interval_width", width))
    }


def reliability_curve(probability: Array, outcome: Array, n_bins: int = 10) -> list[dict[str, float]]:
    """Observed frequency of the favored outcome by its predicted probability.

    scikit-learn's `calibration_curve` takes binary outcomes only; pairs of equal accuracy have the outcome ½.

    Args:
        probability: predicted probability that the first of a pair is better, shape (k,).
        outcome: 1 where it is better, 0 where it is not, ½ for a tie, shape (k,).
        n_bins: number of bins of equal width from ½ to 1. Empty bins are left out.

    Returns:
        For each bin `predicted`, the mean probability, `observed`, the frequency, and `n`, the number of pairs.
    """
    confidence = np.maximum(probability, 1 - probability)
    correct = np.where(probability >= 0.5, outcome, 1 - outcome)
    bins = np.minimum(((confidence - 0.5) * 2 * n_bins).astype(np.int64), n_bins - 1)
    return [
        {"predicted": float(confidence[rows].mean()), "observed": float(correct[rows].mean()), "n": int(rows.sum())}
        for rows in (bins == i for i in range(n_bins))
        if rows.any()
    ]


def brier_score(probability: Array, outcome: Array) -> float | None:
    """Mean squared error of probabilities (Brier, 1950); 0.25 for a constant ½.

    scikit-learn's `brier_score_loss` takes binary outcomes only.

    Args:
        probability: predicted probabilities, shape (k,).
        outcome: outcomes 0, ½ or 1, shape (k,).
    """
    return float(((probability - outcome) ** 2).mean()) if len(outcome) else None


def summarize_repeats(repeats: list[Metrics]) -> Metrics:
    """Mean and standard deviation of each metric over repeats.

    Args:
        repeats: metrics of each repeat, as one of the functions above returns them.

    Returns:
        The same names, nested alike, with `{"mean", "std"}`; None for a metric that is not defined in every repeat.
    """
    summary: Metrics = {}
    for name, value in repeats[0].items():
        values = [metrics.get(name) for metrics in repeats]
        if isinstance(value, dict):
            summary[name] = summarize_repeats([nested or {} for nested in values])
        else:
            defined = [number for number in values if number is not None and math.isfinite(number)]
            complete = len(defined) == len(values)
            summary[name] = {"mean": float(np.mean(defined)), "std": float(np.std(defined))} if complete else None
    return summary


def _mean(values: list[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None
