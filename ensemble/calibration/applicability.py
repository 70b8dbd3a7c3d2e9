"""Whether an architecture and its scores are like those that an ensemble was fitted on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ensemble.combiners import State
from ensemble.combiners.base import Standardiser
from ensemble.data.features import PROXY, FeatureTable
from ensemble.rowwise import row_sums

Array = NDArray[np.float64]
NEAREST = 5
"""The distance to the population is the mean over this many of its members."""
MARGIN = 0.1
"""How far a feature may lie beyond all of the population's, in parts of their range."""
NAMED = 3
"""How many features that lie beyond are named at most, those that lie farthest."""
CLIP = 4.0
FAR, FARTHEST = 2.0, 4.0
"""How many times as wide an interval becomes at least, and at most, where something is unlike."""
PERCENT = np.linspace(0, 100, 101)
CHUNK = 512
"""Rows compared at once: keeps the scratch memory near 10 MB."""
STEPS = 2**18
"""Steps in one standard deviation: where columns are compared they are whole numbers of steps. Up to CLIP these have 20
bits, their products 40, so that every sum over 2,000 columns is exact in float64, whatever its order."""
COSTS = {"cost.log_params": "parameters", "cost.log_flops": "FLOPs"}


@dataclass(frozen=True)
class Mismatch:
    """In which ways one architecture is unlike the population: none, and a stretch of 1, where it is like it."""

    reasons: list[str]
    stretch: float


@dataclass(frozen=True)
class Population:
    """The training rows' structure, cost and scores.

    Attributes:
        names: the feature table's columns.
        rows: (n, structural columns) float32, standardised and clipped.
        mean, scale: of the structural columns.
        depths: (n,).
        limits: (k, 2), largest distance of each of its depths' members to their nearest others, by depth.
        low, high: (columns,), smallest and largest value of each column.
        quantiles: (proxies, 101), of each proxy's scores, from 0 to 100 %; NaN for one without any.
    """

    names: tuple[str, ...]
    rows: NDArray[np.float32]
    mean: Array
    scale: Array
    depths: Array
    limits: Array
    low: Array
    high: Array
    quantiles: Array

    @classmethod
    def of(cls, table: FeatureTable) -> Self:
        """The population of a benchmark's feature table."""
        X = table.select(_structure(table.names))
        standardise = Standardiser.of(X)
        rows = np.clip(standardise(X), -CLIP, CLIP).astype(np.float32)
        depths = table.select(["depth"])[:, 0]
        own = _distances(_stepped(rows), _stepped(rows), skip_own=True)
        limits = np.array([(depth, own[depths == depth].max()) for depth in np.unique(depths)])
        there = ~np.isnan(table.values)
        low = np.min(table.values, axis=0, where=there, initial=np.inf)
        high = np.max(table.values, axis=0, where=there, initial=-np.inf)
        quantiles = _quantiles(table)
        return cls(table.names, rows, standardise.mean, standardise.scale, depths, limits, low, high, quantiles)

    @property
    def proxies(self) -> dict[str, Array]:
        """By proxy, the quantiles of its scores, (101,), from 0 to 100 %; without those that have no scores."""
        names = (name.removeprefix(PROXY) for name in self.names if name.startswith(PROXY))
        return {name: row for name, row in zip(names, self.quantiles, strict=True) if not np.isnan(row).any()}

    def unlike(self, table: FeatureTable, meaning: Callable[[str], str] = str) -> list[Mismatch]:
        """Of each row, what sets it apart: a depth or a cost of its own, modules unlike any others', scores that no
        network of the population has, as another probe batch would give. `meaning` puts structural features in words.
        """
        if not len(table.values):
            return []
        X = Standardiser(self.mean, self.scale)(table.select(_structure(self.names)))
        distances = _distances(_stepped(np.clip(X, -CLIP, CLIP).astype(np.float32)), self._stepped)
        depths, values = table.select(["depth"])[:, 0], table.select(self.names)
        match = depths[:, None] == self.limits[:, 0]
        known = match.any(axis=1)
        limits = np.where(known, self.limits[match.argmax(axis=1), 1], self.limits[:, 1].max())
        far = (limits > 0) & (distances > limits)
        found = [Mismatch([], 1.0) for _ in depths]
        rows = np.flatnonzero(~known | far | ((values < self.low) | (values > self.high)).any(axis=1))
        for i, beyond in zip(rows.tolist(), self._beyond(values[rows]), strict=True):
            reasons = [] if known[i] else [self._other_depth(depths[i])]
            if far[i]:
                reasons.append(
                    f"its modules are unlike those of any network that the ensemble was fitted on "
                    f"(distance {distances[i]:.1f}, theirs at most {limits[i]:.1f})"
                )
            reasons += self._named(values[i], beyond, meaning)
            if reasons:
                # The farther a model extrapolates, the less it knows how far it is off.
                found[i] = Mismatch(reasons, min(FAR * (1 + max(float(beyond.max()), 0.0)), FARTHEST))
        return found

    @cached_property
    def _stepped(self) -> Array:
        return _stepped(self.rows)

    def _other_depth(self, depth: float) -> str:
        known = ", ".join(f"{one:g}" for one in self.limits[:, 0])
        return f"it has {depth:g} layers, the ensemble was fitted on networks of {known}"

    def _beyond(self, values: Array) -> Array:
        """How far each value lies beyond the population's, in parts of their range, as values."""
        outside = np.nan_to_num(np.maximum(self.low - values, values - self.high))
        span = self.high - self.low
        # Of a column that was constant nothing is known but that it has changed.
        beyond = np.where(span > 0, outside / np.where(span > 0, span, 1), 2 * MARGIN * (outside > 0))
        beyond[:, span < 0] = 0.0  # a proxy without any score
        return beyond

    def _named(self, values: Array, beyond: Array, meaning: Callable[[str], str]) -> list[str]:
        if beyond.max() <= MARGIN:
            return []
        found = [int(i) for i in np.argsort(-beyond) if beyond[i] > MARGIN]
        reasons = []
        for i in found[:NAMED]:
            name, value, low, high = self.names[i], values[i], self.low[i], self.high[i]
            if name in COSTS:
                value, low, high = np.exp((value, low, high))
            what = COSTS.get(name) or (name.removeprefix(PROXY) if name.startswith(PROXY) else meaning(name))
            reasons.append(f"{what}: {value:.3g}, the ensemble was fitted on {low:.3g} to {high:.3g}")
        return reasons + ([f"{len(found) - NAMED} more features beyond the population's"] if found[NAMED:] else [])

    def get_state(self) -> State:
        """As arrays, for an artifact."""
        fields = ("rows", "mean", "scale", "depths", "limits", "low", "high", "quantiles")
        return State({field: getattr(self, field) for field in fields})

    @classmethod
    def of_state(cls, state: State, names: Sequence[str]) -> Self:
        """What `get_state` gave, of a table with these columns. Raises `KeyError` or `ValueError` where it is not."""
        read: dict[str, Any] = dict(state.floats)
        population = cls(tuple(names), **read)
        shape = (len(population.depths), len(_structure(tuple(names))))
        proxies = sum(name.startswith(PROXY) for name in names)
        wrong = population.rows.shape != shape or population.quantiles.shape != (proxies, len(PERCENT))
        if wrong or len(population.low) != len(names):
            raise ValueError("the population's rows do not fit its columns")
        return population


@lru_cache(maxsize=64)
def _structure(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if not name.startswith(PROXY) and name not in COSTS)


def _quantiles(table: FeatureTable) -> Array:
    columns = [table.select([name])[:, 0] for name in table.names if name.startswith(PROXY)]
    found = [
        np.percentile(there, PERCENT) if len(there := one[~np.isnan(one)]) else np.full(len(PERCENT), np.nan)
        for one in columns
    ]
    return np.array(found).reshape(len(columns), len(PERCENT))


def _stepped(rows: NDArray[np.float32]) -> Array:
    """The rows as whole numbers of steps."""
    return np.rint(STEPS * rows.astype(np.float64))


def _distances(Z: Array, rows: Array, skip_own: bool = False) -> Array:
    """Mean distance of each row of Z to the nearest of `rows`, (m,); less its own place where Z is `rows`.

    Both are in steps, and so whole numbers: the matrix product is exact, whichever rows are compared at once.
    """
    start, count = int(skip_own), min(NEAREST, len(rows) - int(skip_own))
    squares = (rows**2).sum(axis=1)
    result = []
    for i in range(0, len(Z), CHUNK):
        part = Z[i : i + CHUNK]
        square = (part**2).sum(axis=1)[:, None] + squares - 2 * (part @ rows.T)
        nearest = np.partition(square, start + count - 1, axis=1)[:, : start + count]
        result.append(row_sums(np.sqrt(np.sort(nearest, axis=1)[:, start:])) / count / STEPS)
    return np.concatenate(result)
