"""Architectures and their scores as a table of numbers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from models import Architecture, SearchSpace

PROXY = "proxy."
COST_SAMPLES, COST_FRAMES = 1, 64
"""The batch that `cost.log_flops` is for."""


@dataclass(frozen=True)
class FeatureTable:
    """Named columns, `values` of shape (n, len(names)); NaN where a proxy has no score."""

    names: tuple[str, ...]
    values: NDArray[np.float64]

    def select(self, names: Sequence[str]) -> NDArray[np.float64]:
        """The columns of these names, shape (n, len(names)), in the order asked for."""
        return self.values[:, _places(self.names, tuple(names))]


@lru_cache(maxsize=64)
def _places(names: tuple[str, ...], chosen: tuple[str, ...]) -> NDArray[np.int64]:
    place = {name: i for i, name in enumerate(names)}
    return np.array([place[name] for name in chosen], dtype=np.int64)


def feature_table(
    space: SearchSpace[Architecture],
    architectures: Sequence[Architecture],
    scores: Sequence[Mapping[str, float | None]] | None = None,
    proxies: Sequence[str] = (),
) -> FeatureTable:
    """Columns `proxy.<name>` for `proxies`, then the space's structural features, then logarithms of the cost.

    `scores` holds one mapping an architecture; a proxy that is not in it, or None, or not finite, is NaN.
    """
    shape = space.input_shape(COST_SAMPLES, COST_FRAMES)
    costs = [space.cost(arch, shape) for arch in architectures]
    logs = [[math.log(cost.params), math.log(cost.flops)] for cost in costs]
    given = [{}] * len(architectures) if scores is None else scores
    known = [[as_number(row.get(proxy)) for proxy in proxies] for row in given]
    parts = (_table(known, len(proxies)), space.feature_values(architectures), _table(logs, 2))
    return FeatureTable(feature_names(space, proxies), np.hstack(parts))


def feature_names(space: SearchSpace[Architecture], proxies: Sequence[str] = ()) -> tuple[str, ...]:
    """Column names of `feature_table`, which are the same for every architecture of a space."""
    return (*(PROXY + proxy for proxy in proxies), *space.feature_names, "cost.log_params", "cost.log_flops")


def as_number(score: float | None) -> float:
    """A score, NaN for None and for what is not finite."""
    return score if score is not None and math.isfinite(score) else math.nan


def _table(rows: Sequence[Sequence[float]], width: int) -> NDArray[np.float64]:
    """Also of no rows, or no columns."""
    return np.array(rows, dtype=np.float64).reshape(len(rows), width)
