"""Sources of transfer: fitted combiners of other tasks of the same search space."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ensemble.data.features import feature_table
from ensemble.fitted_combiner import FittedCombiner
from models import Architecture, SearchSpace

Array = NDArray[np.float64]
NUM_KNOTS = 49
"""Knots of the map from a source's predictions to their ranks."""


@dataclass(frozen=True)
class Source:
    """Knowledge of another task: a combiner that predicts from structure, fitted to that task's accuracies.

    Attributes:
        name: name of the ensemble that it is from.
        space: search space with the settings of the source's task.
        fitted: the fitted combiner.
    """

    name: str
    space: SearchSpace[Any]
    fitted: FittedCombiner

    def scores(self, architectures: Sequence[Architecture]) -> Array:
        """Score architectures, larger is better, (m,): mean 0 and standard deviation 1 over the reference set.

        A score is the rank among the held-out predictions for the reference set, linear in between and continued beyond
        both ends. Scores of several sources are therefore comparable, whatever the metrics of their tasks are.
        """
        accuracy = self.fitted.predict(feature_table(self.space, architectures))
        knots, ranks = _knots(self.fitted.held_out)
        if len(knots) < 2:
            return np.zeros(len(accuracy))
        piece = np.clip(np.searchsorted(knots, accuracy) - 1, 0, len(knots) - 2)
        slope = np.diff(ranks) / np.diff(knots)
        return np.asarray(np.sqrt(12) * (ranks[piece] + slope[piece] * (accuracy - knots[piece]) - 0.5))


def _knots(held_out: Array) -> tuple[Array, Array]:
    """Different quantiles of predictions, sorted, and their ranks from 0 to 1, (k,) each."""
    probabilities = np.linspace(0.02, 0.98, NUM_KNOTS)
    knots, first = np.unique(np.quantile(held_out, probabilities), return_index=True)
    return knots, probabilities[first]
