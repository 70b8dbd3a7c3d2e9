"""Feature tables: proxy scores, scores of sources, training curve, structure and cost of architectures as numbers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ensemble.data.columns import Columns
from ensemble.data.curve import Curve, CurveFeatures
from models import Architecture, CostedSpace, EncodedSpace, SearchSpace


@dataclass(frozen=True)
class FeatureTable:
    """Features of n architectures.

    Attributes:
        columns: description of the d columns.
        values: features, shape (n, d); NaN where a proxy has no score.
    """

    columns: Columns
    values: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.values)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return self.columns.names

    @property
    def strata(self) -> NDArray[np.float64]:
        """Stratum of each architecture, shape (n,); 0 in a table without strata."""
        stratum = self.columns.stratum
        return np.zeros(len(self)) if stratum is None else self.select([stratum])[:, 0]

    def select(self, names: Sequence[str]) -> NDArray[np.float64]:
        """Select columns by name.

        Args:
            names: names of k columns.

        Returns:
            The columns in that order, shape (n, k).
        """
        return self.values[:, _indices(self.names, tuple(names))]

    def restrict(self, names: Sequence[str]) -> "FeatureTable":
        """Return a table of some of the columns, in the order of `names`."""
        return FeatureTable(self.columns.select(names), self.select(names))

    def take(self, rows: NDArray[Any]) -> "FeatureTable":
        """Select rows by index or mask."""
        return FeatureTable(self.columns, self.values[rows])


@lru_cache(maxsize=64)
def _indices(names: tuple[str, ...], selected: tuple[str, ...]) -> NDArray[np.int64]:
    index = {name: i for i, name in enumerate(names)}
    return np.array([index[name] for name in selected], dtype=np.int64)


def feature_table(
    space: SearchSpace[Any],
    architectures: Sequence[Architecture],
    scores: Sequence[Mapping[str, float | None]] | None = None,
    proxies: Sequence[str] = (),
    source_scores: Mapping[str, NDArray[np.float64]] | None = None,
    curve_features: CurveFeatures | None = None,
    curves: Sequence[Curve | None] | None = None,
) -> FeatureTable:
    """Make the feature table of architectures.

    Args:
        space: their search space.
        architectures: n architectures.
        scores: one mapping from proxy to score per architecture. A score that is missing, None or not finite is NaN.
        proxies: names of the proxies.
        source_scores: scores of the architectures by the name of the source, (n,) each.
        curve_features: features of the training curves; None for none.
        curves: one curve per architecture. The features of one that is missing or too short are NaN.

    Returns:
        Columns `proxy.<name>`, then `source.<name>`, then `curve.<name>`, then the structural features of an encoded
        space, then the logarithms of the parameters and FLOPs of a costed one (0 for none of them).
    """
    rows = [{}] * len(architectures) if scores is None else scores
    sources = dict(source_scores or {})
    parts = [_table([[as_number(row.get(proxy)) for proxy in proxies] for row in rows], len(proxies))]
    parts += [column[:, None] for column in sources.values()]
    if curve_features is not None:
        parts.append(curve_features.values([None] * len(architectures) if curves is None else curves))
    if isinstance(space, EncodedSpace):
        parts.append(space.feature_values(architectures))
    if isinstance(space, CostedSpace):
        costs = [space.cost(arch) for arch in architectures]
        parts.append(_table([[math.log(max(number, 1)) for number in (cost.params, cost.flops)] for cost in costs], 2))
    names = curve_features.names if curve_features is not None else ()
    return FeatureTable(Columns.from_space(space, proxies, tuple(sources), names), np.hstack(parts))


def as_number(score: float | None) -> float:
    """Return a score as a float: NaN for None and for values that are not finite."""
    return score if score is not None and math.isfinite(score) else math.nan


def _table(rows: Sequence[Sequence[float]], width: int) -> NDArray[np.float64]:
    """Make an array, shape (len(rows), width); either may be 0."""
    return np.array(rows, dtype=np.float64).reshape(len(rows), width)
