"""Applicability domain: similarity of an architecture and its scores to the reference set."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from ensemble.combiners import State
from ensemble.combiners.base import Standardizer
from ensemble.data.columns import COSTS, CURVE, PROXY, Columns
from ensemble.data.features import FeatureTable
from ensemble.rowwise import row_sums

Array = NDArray[np.float64]
NUM_NEIGHBORS = 5
"""Neighbors over which the distance to the reference set is averaged."""
MAX_EXCESS = 0.1
"""Largest excess of a feature over the reference set's range that is tolerated, as a fraction of that range."""
MAX_NAMED_FEATURES = 3
"""Features named in a reason; the ones with the largest excess."""
MAX_ABS_Z = 4.0
"""Standardized features are clipped to this absolute value."""
MIN_INTERVAL_SCALE, MAX_INTERVAL_SCALE = 2.0, 4.0
"""Range of the interval scale of a mismatch."""
PERCENT = np.linspace(0, 100, 101)
STEPS_PER_STD = 2**18
"""Quantization of standardized features. Up to `MAX_ABS_Z` the integers have 20 bits and their products 40, so that
every sum over 2,000 columns is exact in float64, in any order."""
FITTED_ON, SAMPLED = "the ensemble was fitted on", "a random sample of the space has"
"""Relations of an ensemble to its reference set, in words."""
ARRAYS = ("rows", "mean", "scale", "strata", "max_distances", "low", "high", "quantiles")


@dataclass(frozen=True)
class Mismatch:
    """Differences between one architecture and the reference set.

    Attributes:
        reasons: one sentence for each difference; empty for an architecture like those of the reference set.
        interval_scale: factor by which the prediction interval is widened; 1 without reasons.
    """

    reasons: list[str]
    interval_scale: float


@dataclass(frozen=True)
class ReferenceSet:
    """Structure, costs and scores of the architectures that an ensemble was fitted on, or of random ones.

    Attributes:
        columns: columns of the feature table, without those of sources: their scores follow from the structure.
        rows: (n, structural columns) float32, standardized and clipped.
        mean, scale: (structural columns,), of the standardization.
        strata: (n,), stratum of each row.
        max_distances: (k, 2), by stratum, the stratum and the largest distance of one of its rows to its nearest
            neighbors.
        low, high: (columns,), smallest and largest value of each column.
        quantiles: (proxies, 101), of each proxy's scores, from 0 to 100 %; NaN for a proxy without scores.
        relation: `FITTED_ON`, or `SAMPLED` for random architectures.
    """

    columns: Columns
    rows: NDArray[np.float32]
    mean: Array
    scale: Array
    strata: Array
    max_distances: Array
    low: Array
    high: Array
    quantiles: Array
    relation: str = FITTED_ON

    @classmethod
    def from_table(cls, table: FeatureTable, relation: str = FITTED_ON) -> Self:
        """Summarize a feature table.

        Args:
            table: features of the architectures.
            relation: `FITTED_ON`, or `SAMPLED` for random architectures.
        """
        table = table.restrict([name for name in table.names if name not in table.columns.sources])
        X = table.select(table.columns.structure)
        standardizer = Standardizer.fit(X)
        rows = np.clip(standardizer.transform(X), -MAX_ABS_Z, MAX_ABS_Z).astype(np.float32)
        strata = table.strata
        distances = _mean_distances(_neighbors(rows), None) if rows.shape[1] else np.zeros(len(rows))
        max_distances = np.array([(level, distances[strata == level].max()) for level in np.unique(strata)])
        present = ~np.isnan(table.values)
        low = np.min(table.values, axis=0, where=present, initial=np.inf)
        high = np.max(table.values, axis=0, where=present, initial=-np.inf)
        quantiles = _proxy_quantiles(table)
        mean, scale = standardizer.mean, standardizer.scale
        return cls(table.columns, rows, mean, scale, strata, max_distances, low, high, quantiles, relation)

    @property
    def size(self) -> int:
        """Number of architectures."""
        return len(self.strata)

    @property
    def proxy_quantiles(self) -> dict[str, Array]:
        """Quantiles of the scores, (101,), from 0 to 100 %, by proxy; proxies without scores are left out.

        For a proxy whose scores are used as logarithms, these are quantiles of the logarithms.
        """
        names = (name.removeprefix(PROXY) for name in self.columns.proxies)
        return {name: row for name, row in zip(names, self.quantiles, strict=True) if not np.isnan(row).any()}

    def mismatches(self, table: FeatureTable, describe: Callable[[str], str] = str) -> list[Mismatch]:
        """Compare architectures with the reference set.

        An architecture differs by a stratum or a cost outside of the reference set's, by a structure unlike that of its
        nearest neighbors, or by scores or a training curve outside of the range seen in fitting, as another probe
        batch or another recipe would give.

        Args:
            table: features of m architectures.
            describe: puts the name of a structural feature in words.

        Returns:
            One mismatch for each row.
        """
        if not len(table.values):
            return []
        X = Standardizer(self.mean, self.scale).transform(table.select(self.columns.structure))
        rows = _quantized(np.clip(X, -MAX_ABS_Z, MAX_ABS_Z).astype(np.float32))
        distances = _mean_distances(self._neighbors, rows) if rows.shape[1] else np.zeros(len(rows))
        strata, values = table.strata, table.select(self.columns.names)
        match = strata[:, None] == self.max_distances[:, 0]
        known = match.any(axis=1)
        limits = np.where(known, self.max_distances[match.argmax(axis=1), 1], self.max_distances[:, 1].max())
        distant = (limits > 0) & (distances > limits)
        result = [Mismatch([], 1.0) for _ in strata]
        suspects = np.flatnonzero(~known | distant | ((values < self.low) | (values > self.high)).any(axis=1))
        for i, excess in zip(suspects.tolist(), self._excess(values[suspects]), strict=True):
            reasons = [] if known[i] else [self._unknown_stratum(strata[i], describe)]
            if distant[i]:
                reasons.append(
                    f"its structure is unlike that of any architecture that {self.relation} "
                    f"(distance {distances[i]:.1f}, theirs at most {limits[i]:.1f})"
                )
            reasons += self._out_of_range(values[i], excess, describe)
            if reasons:
                # The error of an extrapolation grows with its distance.
                scale = min(MIN_INTERVAL_SCALE * (1 + max(float(excess.max()), 0.0)), MAX_INTERVAL_SCALE)
                result[i] = Mismatch(reasons, scale)
        return result

    @cached_property
    def _neighbors(self) -> NearestNeighbors:
        return _neighbors(self.rows)

    def _unknown_stratum(self, stratum: float, describe: Callable[[str], str]) -> str:
        known = ", ".join(f"{level:g}" for level in self.max_distances[:, 0])
        label = describe(self.columns.stratum or "stratum")
        return f"{label}: {stratum:g}, {self.relation} {known}"

    def _excess(self, values: Array) -> Array:
        """Excess of each value over the reference set's range, as a fraction of that range; same shape."""
        outside = np.nan_to_num(np.maximum(self.low - values, values - self.high))
        span = self.high - self.low
        # A column that was constant has no range: any other value exceeds it.
        excess = np.where(span > 0, outside / np.where(span > 0, span, 1), 2 * MAX_EXCESS * (outside > 0))
        excess[:, span < 0] = 0.0  # a proxy without any score
        return excess

    def _out_of_range(self, values: Array, excess: Array, describe: Callable[[str], str]) -> list[str]:
        if excess.max() <= MAX_EXCESS:
            return []
        exceeding = [int(i) for i in np.argsort(-excess) if excess[i] > MAX_EXCESS]
        reasons = []
        for i in exceeding[:MAX_NAMED_FEATURES]:
            name, value, low, high = self.columns.names[i], values[i], self.low[i], self.high[i]
            if name in COSTS:
                value, low, high = np.exp((value, low, high))
            label = COSTS.get(name) or _label(name, describe)
            reasons.append(f"{label}: {value:.3g}, {self.relation} {low:.3g} to {high:.3g}")
        if rest := exceeding[MAX_NAMED_FEATURES:]:
            features = "1 more feature" if len(rest) == 1 else f"{len(rest)} more features"
            reasons.append(f"{features} outside of the reference set's range")
        return reasons

    def get_state(self) -> State:
        """Return the summary as arrays for an artifact."""
        return State({name: getattr(self, name) for name in ARRAYS})

    @classmethod
    def from_state(cls, state: State, columns: Columns, relation: str = FITTED_ON) -> Self:
        """Restore from the result of `get_state`, for a table with these columns, none of them of sources.

        Raises:
            KeyError: a part is missing.
            ValueError: the parts do not fit each other.
        """
        reference_set = cls(columns, **{name: state.floats[name] for name in ARRAYS}, relation=relation)
        shape = (len(reference_set.strata), len(columns.structure))
        quantiles_shape = (len(columns.proxies), len(PERCENT))
        fits = reference_set.rows.shape == shape and reference_set.quantiles.shape == quantiles_shape
        if not fits or len(reference_set.low) != len(columns.names):
            raise ValueError("the reference set's rows do not fit its columns")
        return reference_set


def _label(name: str, describe: Callable[[str], str]) -> str:
    """Name of a column in words."""
    if name.startswith(CURVE):
        return f"training curve, {name.removeprefix(CURVE)}"
    return name.removeprefix(PROXY) if name.startswith(PROXY) else describe(name)


def _proxy_quantiles(table: FeatureTable) -> Array:
    columns = list(table.select(table.columns.proxies).T)
    quantiles = [
        np.percentile(scores, PERCENT) if len(scores := column[~np.isnan(column)]) else np.full(len(PERCENT), np.nan)
        for column in columns
    ]
    return np.array(quantiles).reshape(len(columns), len(PERCENT))


def _quantized(rows: NDArray[np.float32]) -> Array:
    """Convert standardized rows to whole numbers of steps."""
    return np.rint(STEPS_PER_STD * rows.astype(np.float64))


def _neighbors(rows: NDArray[np.float32]) -> NearestNeighbors:
    return NearestNeighbors(algorithm="brute").fit(_quantized(rows))


def _mean_distances(neighbors: NearestNeighbors, rows: Array | None) -> Array:
    """Mean distance of each row to its nearest neighbors, (m,), in standard deviations.

    Rows are quantized, i.e. whole numbers: the matrix products behind the distances are exact in any batch.

    Args:
        neighbors: fitted to the reference set.
        rows: (m, columns); None for the rows of the reference set, which then are not their own neighbors.
    """
    count = min(NUM_NEIGHBORS, neighbors.n_samples_fit_ - (rows is None))
    distances, _ = neighbors.kneighbors(rows, n_neighbors=count)
    return np.asarray(row_sums(distances) / count / STEPS_PER_STD)
