"""Architectures and their scores as a table of numbers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
        place = {name: i for i, name in enumerate(self.names)}
        return self.values[:, [place[name] for name in names]]


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
    columns = feature_names(space, proxies)
    rows: list[list[float]] = []
    for i, arch in enumerate(architectures):
        structure, cost = space.features(arch), space.cost(arch, shape)
        given = scores[i] if scores is not None else {}
        row = [as_number(given.get(proxy)) for proxy in proxies]
        rows.append([*row, *structure.values(), math.log(cost.params), math.log(cost.flops)])
    return FeatureTable(columns, np.array(rows, dtype=np.float64).reshape(len(rows), len(columns)))


def feature_names(space: SearchSpace[Architecture], proxies: Sequence[str] = ()) -> tuple[str, ...]:
    """Column names of `feature_table`, which are the same for every architecture of a space."""
    example = space.features(space.sample(np.random.default_rng(0)))
    return (*(PROXY + proxy for proxy in proxies), *example, "cost.log_params", "cost.log_flops")


def as_number(score: float | None) -> float:
    """A score, NaN for None and for what is not finite."""
    return score if score is not None and math.isfinite(score) else math.nan
