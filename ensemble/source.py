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
        """Score architectures, larger is better, (m,): standard normal over the source's reference set.

        Scores of several sources are therefore comparable, whatever the metrics of their tasks are.
        """
        accuracy = self.fitted.predict(feature_table(self.space, architectures))
        held_out = self.fitted.held_out
        return np.asarray((accuracy - held_out.mean()) / (held_out.std() or 1.0))
