"""Feature tables: proxy scores, structure and cost of architectures as numbers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models import Architecture, CostedSpace, EncodedSpace, SearchSpace, require

PROXY = "proxy."
"""Prefix of the names of proxy columns."""


@dataclass(frozen=True)
class FeatureTable:
    """Named features of n architectures.

    Attributes:
        names: names of the d columns.
        values: features, shape (n, d); NaN where a proxy has no score.
    """

    names: tuple[str, ...]
    values: NDArray[np.float64]

    def select(self, names: Sequence[str]) -> NDArray[np.float64]:
        """Select columns by name.

        Args:
            names: names of k columns.

        Returns:
            The columns in that order, shape (n, k).
        """
        return self.values[:, _indices(self.names, tuple(names))]


@lru_cache(maxsize=64)
def _indices(names: tuple[str, ...], selected: tuple[str, ...]) -> NDArray[np.int64]:
    index = {name: i for i, name in enumerate(names)}
    return np.array([index[name] for name in selected], dtype=np.int64)


def feature_table(
    space: SearchSpace[Any],
    architectures: Sequence[Architecture],
    scores: Sequence[Mapping[str, float | None]] | None = None,
    proxies: Sequence[str] = (),
) -> FeatureTable:
    """Make the feature table of architectures.

    Args:
        space: their search space.
        architectures: n architectures.
        scores: one mapping from proxy to score per architecture. A score that is missing, None or not finite is NaN.
        proxies: names of the proxies.

    Returns:
        Columns `proxy.<name>`, then the structural features of the space, then the logarithms of parameters and FLOPs.
    """
    costs = [require(space, CostedSpace).cost(arch) for arch in architectures]
    logs = [[math.log(cost.params), math.log(cost.flops)] for cost in costs]
    rows = [{}] * len(architectures) if scores is None else scores
    numbers = [[as_number(row.get(proxy)) for proxy in proxies] for row in rows]
    parts = (_table(numbers, len(proxies)), require(space, EncodedSpace).feature_values(architectures), _table(logs, 2))
    return FeatureTable(feature_names(space, proxies), np.hstack(parts))


def feature_names(space: SearchSpace[Any], proxies: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the column names of `feature_table`.

    Args:
        space: the search space.
        proxies: names of the proxies.
    """
    return (
        *(PROXY + proxy for proxy in proxies),
        *require(space, EncodedSpace).feature_names,
        "cost.log_params",
        "cost.log_flops",
    )


def as_number(score: float | None) -> float:
    """Return a score as a float: NaN for None and for values that are not finite."""
    return score if score is not None and math.isfinite(score) else math.nan


def _table(rows: Sequence[Sequence[float]], width: int) -> NDArray[np.float64]:
    """Make an array, shape (len(rows), width); either may be 0."""
    return np.array(rows, dtype=np.float64).reshape(len(rows), width)
