"""Fitness of expressions: how well they order architectures, less a penalty for their size."""

from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau, rankdata

from common.errors import InputError
from evolution.measurements import Measurements
from evolution.settings import Objective
from proxies.evolved.expression import Expression, evaluate
from proxies.evolved.operators import Array

WORTHLESS = -np.inf
"""Fitness of an expression that fails, or gives a number that is not finite or the same number for all."""
MIN_GROUP_SIZE = 5
"""Smallest number of architectures whose order counts."""
ACCURACY_BINS = 10
MAX_PER_BIN = 30
"""Largest number of architectures of one bin of accuracy in a stratified sample."""

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Group:
    """Architectures whose order is compared.

    Attributes:
        rows: indices of the architectures.
        ranks: their ranks by accuracy, centred, of norm 1.
    """

    rows: Rows
    ranks: Array


class Fitness:
    """Fitness on training rows of one or several benchmarks: the least over the benchmarks, less a penalty for size.

    Args:
        benchmarks: training rows, with the same terminals.
        objective: `within_stratum`: mean of Spearman's ρ over the strata; `stratified`: Kendall's τ of samples with the
            same number of architectures in each of ten intervals of accuracy; `overall`: Kendall's τ of all.
        parts: number of parts of the rows, or of samples, over which the fitness is averaged.
        penalty: subtracted for each node.
        seed: seed of the parts.
    """

    def __init__(
        self, benchmarks: Sequence[Measurements], objective: Objective, parts: int, penalty: float, seed: int
    ) -> None:
        self.benchmarks, self.penalty = benchmarks, penalty
        self._objective = objective
        self._groups = [
            _groups(each, objective, parts, np.random.default_rng([seed, i])) for i, each in enumerate(benchmarks)
        ]
        self._known: dict[str, float] = {}

    def __call__(self, expression: Expression) -> float:
        """Return the fitness of an expression; −∞ for a worthless one."""
        if expression.key not in self._known:
            quality = min(self._quality(i, expression) for i in range(len(self.benchmarks)))
            self._known[expression.key] = quality - self.penalty * expression.size
        return self._known[expression.key]

    def quality(self, expression: Expression) -> float:
        """Return the fitness without the penalty."""
        return self(expression) + self.penalty * expression.size

    def _quality(self, number: int, expression: Expression) -> float:
        measurements = self.benchmarks[number]
        values = values_of(expression, measurements)
        if values is None:
            return WORTHLESS
        return float(np.mean([self._correlation(values, measurements, group) for group in self._groups[number]]))

    def _correlation(self, values: Array, measurements: Measurements, group: Group) -> float:
        """Correlation in a group; 0 where the expression is constant, as it orders nothing there."""
        part = values[group.rows]
        if part.min() == part.max():
            return 0.0
        if self._objective == "within_stratum":
            return float(_unit_ranks(part) @ group.ranks)
        return float(kendalltau(part, measurements.accuracy[group.rows]).statistic)


def values_of(expression: Expression, measurements: Measurements) -> Array | None:
    """Evaluate an expression.

    Returns:
        Its values, shape (n,); None if it is worthless.
    """
    known: MutableMapping[str, Array] = dict(measurements.values)
    try:
        values = evaluate(expression, known, measurements.segments)
    except (ValueError, FloatingPointError):
        return None
    if values.shape != (len(measurements),) or not np.isfinite(values).all() or values.min() == values.max():
        return None
    return values


def _unit_ranks(values: Array) -> Array:
    """Ranks, centred and of norm 1, so that Spearman's ρ is an inner product."""
    ranks = rankdata(values)
    ranks -= ranks.mean()
    return np.asarray(ranks / np.linalg.norm(ranks))


def _groups(measurements: Measurements, objective: Objective, parts: int, rng: np.random.Generator) -> list[Group]:
    if objective == "stratified":
        rows = [stratified_sample(measurements.accuracy, rng) for _ in range(parts)]
    else:
        rows = [np.sort(part) for part in np.array_split(rng.permutation(len(measurements)), parts)]
    if objective == "within_stratum":
        rows = [
            part[measurements.strata[part] == stratum] for part in rows for stratum in np.unique(measurements.strata)
        ]
    accuracy = measurements.accuracy
    rows = [part for part in rows if len(part) >= MIN_GROUP_SIZE and np.ptp(accuracy[part]) > 0]
    if not rows:
        kind = "stratum" if objective == "within_stratum" else "part"
        value = f"{parts} parts of {len(measurements)} architectures of {measurements.name}, no {kind} of which has"
        raise InputError("parts", f"{value} {MIN_GROUP_SIZE} of unequal accuracy", "fewer, or more architectures")
    return [Group(part, _unit_ranks(accuracy[part])) for part in rows]


def stratified_sample(accuracy: Array, rng: np.random.Generator) -> Rows:
    """Draw at most 30 architectures from each of ten equal intervals of accuracy.

    Args:
        accuracy: accuracies, shape (n,).
        rng: source of randomness.

    Returns:
        Indices, increasing.
    """
    edges = np.linspace(accuracy.min(), accuracy.max(), ACCURACY_BINS + 1)[1:-1]
    bins = np.searchsorted(edges, accuracy, side="right")
    drawn = [rng.permutation(np.flatnonzero(bins == i))[:MAX_PER_BIN] for i in range(ACCURACY_BINS)]
    return np.sort(np.concatenate(drawn))
