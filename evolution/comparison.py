"""Quality of expressions on held-out architectures."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

from ensemble.evaluation.metrics import prediction_metrics, rows_by_stratum, spearman
from evolution.fitness import stratified_sample, values_of
from evolution.measurements import Measurements
from proxies.evolved.expression import Expression
from proxies.evolved.operators import Array

METRICS = ("within_stratum_spearman", "spearman", "kendall", "stratified_kendall")
SIMPLE_METRICS = METRICS[:3]
NUM_RESAMPLES = 200
NUM_STRATIFIED_SAMPLES = 20


@dataclass(frozen=True)
class HeldOut:
    """Held-out architectures of one fold, and the expressions that were chosen on its training rows.

    Attributes:
        rows: the architectures.
        evolved: the evolved expression.
        hand_written: the best hand-written proxy, as an expression.
    """

    rows: Measurements
    evolved: Expression
    hand_written: Expression


def quality(expression: Expression, measurements: Measurements, seed: int = 0) -> dict[str, float | None]:
    """Return how well an expression orders architectures.

    Args:
        expression: the expression.
        measurements: the architectures.
        seed: seed of the stratified samples.

    Returns:
        `within_stratum_spearman`, `spearman`, `kendall` and `stratified_kendall`, the mean of Kendall's τ over 20
        samples stratified by accuracy. None where it is not defined, and everywhere for a worthless expression.
    """
    values = values_of(expression, measurements)
    if values is None:
        return dict.fromkeys(METRICS)
    rng = np.random.default_rng(seed)
    samples = [stratified_sample(measurements.accuracy, rng) for _ in range(NUM_STRATIFIED_SAMPLES)]
    taus = [kendalltau(values[rows], measurements.accuracy[rows]).statistic for rows in samples]
    metrics = prediction_metrics(values, measurements.accuracy, measurements.strata, absolute=False)
    stratified = float(np.mean(taus)) if np.isfinite(taus).all() else None
    return {name: metrics[name] for name in SIMPLE_METRICS} | {"stratified_kendall": stratified}


def mean_quality(qualities: Sequence[dict[str, float | None]]) -> dict[str, float | None]:
    """Return the means over folds; None where one of them is."""
    means: dict[str, float | None] = {}
    for name in METRICS:
        values = [quality[name] for quality in qualities]
        known = [value for value in values if value is not None]
        means[name] = float(np.mean(known)) if known and len(known) == len(values) else None
    return means


def _within_strata(values: Array, accuracy: Array, strata: NDArray[np.int64]) -> float | None:
    """Mean of Spearman's ρ over the strata in which it is defined."""
    parts = [spearman(values[rows], accuracy[rows]) for rows in rows_by_stratum(strata).values()]
    known = [part for part in parts if part is not None]
    return float(np.mean(known)) if known else None


def _kendall(values: Array, accuracy: Array, strata: NDArray[np.int64]) -> float | None:
    tau = float(kendalltau(values, accuracy).statistic)
    return None if np.isnan(tau) else tau


_RESAMPLED: Mapping[str, Callable[[Array, Array, NDArray[np.int64]], float | None]] = {
    "within_stratum_spearman": _within_strata,
    "kendall": _kendall,
}
"""Metrics whose differences are resampled."""


@dataclass(frozen=True)
class Difference:
    """Difference between evolved expressions and hand-written proxies on the same held-out architectures.

    Attributes:
        metric: the metric.
        mean: mean over the folds.
        standard_error: standard deviation of that mean over resamples of the architectures.
    """

    metric: str
    mean: float
    standard_error: float

    @property
    def is_significant(self) -> bool:
        """True if the evolved expressions are better by more than two standard errors."""
        return self.mean > 2 * self.standard_error


def difference(folds: Sequence[HeldOut], metric: str, seed: int) -> Difference | None:
    """Compare evolved expressions with hand-written proxies, paired by architecture (bootstrap).

    Args:
        folds: the held-out architectures of each fold.
        metric: `within_stratum_spearman` or `kendall`.
        seed: seed of the resamples.

    Returns:
        The difference; None where an expression is worthless or the metric is not defined.
    """
    pairs = [(values_of(fold.evolved, fold.rows), values_of(fold.hand_written, fold.rows), fold.rows) for fold in folds]
    complete = [(evolved, hand, rows) for evolved, hand, rows in pairs if evolved is not None and hand is not None]
    if len(complete) < len(pairs):
        return None
    rng = np.random.default_rng(seed)
    mean = _mean_difference(complete, metric, None)
    resampled = [_mean_difference(complete, metric, rng) for _ in range(NUM_RESAMPLES)]
    known = [value for value in resampled if value is not None]
    return None if mean is None or len(known) < 2 else Difference(metric, mean, float(np.std(known, ddof=1)))


def _mean_difference(
    pairs: Sequence[tuple[Array, Array, Measurements]], metric: str, rng: np.random.Generator | None
) -> float | None:
    differences = []
    for evolved, hand, measurements in pairs:
        n = len(measurements)
        rows = np.arange(n) if rng is None else rng.integers(0, n, n)
        accuracy, strata = measurements.accuracy[rows], measurements.strata[rows]
        numbers = [_RESAMPLED[metric](values[rows], accuracy, strata) for values in (evolved, hand)]
        if numbers[0] is None or numbers[1] is None:
            return None
        differences.append(numbers[0] - numbers[1])
    return float(np.mean(differences))


def evidence(folds: Sequence[HeldOut], seed: int) -> dict[str, Any]:
    """Return the qualities of evolved expressions and hand-written proxies, means over the folds, and the differences.

    Args:
        folds: the held-out architectures of each fold.
        seed: seed of the resamples.

    Returns:
        `evolved` and `hand_written`, as of `quality`; `difference`, by metric the fields of a `Difference` and
        `is_significant`, or None.
    """
    differences = {metric: difference(folds, metric, seed) for metric in _RESAMPLED}
    return {
        "evolved": mean_quality([quality(fold.evolved, fold.rows) for fold in folds]),
        "hand_written": mean_quality([quality(fold.hand_written, fold.rows) for fold in folds]),
        "difference": {
            metric: None if value is None else asdict(value) | {"is_significant": value.is_significant}
            for metric, value in differences.items()
        },
    }
