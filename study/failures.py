"""Probability that the training of an architecture fails, from those of a study."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier

from ensemble.data.features import feature_table
from models import Architecture, SearchSpace

MIN_EACH = 3
"""Smallest number of failed and of trained architectures of a classifier."""


class FailureClassifier:
    """Classifier of structure and costs: extremely randomized trees with bootstrap, whose leaves hold several rows."""

    def __init__(self, trees: ExtraTreesClassifier) -> None:
        self._trees = trees

    @classmethod
    def fit(
        cls, space: SearchSpace[Any], trained: Sequence[Architecture], failed: Sequence[Architecture], seed: int
    ) -> Self | None:
        """Fit to architectures by outcome; None if there are fewer than `MIN_EACH` of one."""
        if min(len(trained), len(failed)) < MIN_EACH:
            return None
        X = feature_table(space, [*trained, *failed]).values
        y = np.repeat([False, True], [len(trained), len(failed)])
        trees = ExtraTreesClassifier(100, min_samples_leaf=3, max_features=0.5, bootstrap=True, random_state=seed)
        return cls(trees.fit(X, y))

    def predict(self, space: SearchSpace[Any], architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Return the probability of failure, (m,)."""
        return np.asarray(self._trees.predict_proba(feature_table(space, architectures).values)[:, 1])
