"""Baselines that combiners are compared with: predictions from a single structural feature."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ensemble.combiners import CombinerInfo
from ensemble.combiners.base import Combiner
from ensemble.combiners.ridge import Ridge
from ensemble.data.columns import Columns

Array = NDArray[np.float64]

STRATUM, PARAMS = "stratum", "params"
BASELINES = (STRATUM, PARAMS)
"""Names of the baselines."""
PARAMS_COLUMN = "cost.log_params"


class StratumMean(Combiner):
    """Mean accuracy of the training rows of the same stratum; the overall mean for a stratum without rows."""

    def fit(self, X: Array, y: Array) -> Self:
        """Fit the means.

        Args:
            X: strata, shape (n, 1).
            y: accuracies, shape (n,).
        """
        X, y = self._check_fit_input(X, y)
        self.means_ = {float(stratum): float(y[X[:, 0] == stratum].mean()) for stratum in np.unique(X[:, 0])}
        self.mean_ = float(y.mean())
        return self

    def predict(self, X: Array) -> Array:
        """Predict accuracies, shape (m,)."""
        return np.array([self.means_.get(float(stratum), self.mean_) for stratum in self._check_input(X)[:, 0]])


@dataclass(frozen=True)
class SingleColumn(CombinerInfo):
    """Combiner that is fitted on one feature only.

    Attributes:
        column: name of the feature's column.
    """

    column: str = ""

    def columns(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return the feature of this baseline."""
        return (self.column,)


def baselines(columns: Columns) -> tuple[CombinerInfo, ...]:
    """Baselines for a feature table: `stratum`, the stratum alone, and `params`, the number of parameters alone.

    Args:
        columns: the table's columns. A table without strata or costs lacks the respective baseline.
    """
    infos: list[CombinerInfo] = []
    if columns.stratum is not None:
        infos.append(SingleColumn(STRATUM, _stratum_mean, "structure", "accuracy", column=columns.stratum))
    if PARAMS_COLUMN in columns.names:
        infos.append(SingleColumn(PARAMS, _ridge, "structure", "accuracy", column=PARAMS_COLUMN))
    return tuple(infos)


def _stratum_mean(columns: Columns, seed: int) -> Combiner:
    return StratumMean()


def _ridge(columns: Columns, seed: int) -> Combiner:
    return Ridge()
