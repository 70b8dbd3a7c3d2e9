"""Range of the architectures that a study has trained: strata and costs."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ensemble.data.columns import COSTS
from ensemble.data.features import FeatureTable
from models import EncodedSpace, SearchSpace

MAX_EXCESS = 0.1
"""Largest excess over the range of a cost that is tolerated, as a fraction of the range of its logarithm."""


@dataclass(frozen=True)
class ObservedRange:
    """Strata of the trained architectures, and the ranges of their costs.

    Attributes:
        strata: the strata; empty in a space without strata.
        costs: smallest and largest logarithm of each cost, by column.
    """

    strata: NDArray[np.float64]
    costs: dict[str, tuple[float, float]]

    @classmethod
    def from_table(cls, table: FeatureTable) -> Self:
        """Summarize the features of the trained architectures."""
        strata = np.unique(table.strata) if table.columns.stratum else np.empty(0)
        columns = {name: table.select([name])[:, 0] for name in COSTS if name in table.names}
        return cls(strata, {name: (float(column.min()), float(column.max())) for name, column in columns.items()})

    def warnings(self, space: SearchSpace[Any], table: FeatureTable) -> list[list[str]]:
        """Return the ways in which each architecture is outside of the range."""
        result: list[list[str]] = [[] for _ in range(len(table))]
        if isinstance(space, EncodedSpace) and len(self.strata):
            known = ", ".join(f"{stratum:g}" for stratum in self.strata)
            for i in np.flatnonzero(~np.isin(table.strata, self.strata)):
                result[i].append(f"{space.stratum_label}: {table.strata[i]:g}, the study has trained {known}")
        for name, (low, high) in self.costs.items():
            column, margin = table.select([name])[:, 0], MAX_EXCESS * (high - low)
            for i in np.flatnonzero((column < low - margin) | (column > high + margin)):
                value, least, most = np.exp((column[i], low, high))
                result[i].append(f"{COSTS[name]}: {value:.3g}, the study has trained {least:.3g} to {most:.3g}")
        return result
