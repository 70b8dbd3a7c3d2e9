"""Fitting copies of a model, and predictions for rows that a copy was fitted without."""

import joblib  # type: ignore[import-untyped]
import numpy as np
from sklearn.base import clone

from ensemble.combiners.base import Array, Combiner
from ensemble.evaluation.folds import seeded_folds

KEPT = 64
"""Fitted copies that are kept: the stacks of one fold have members in common."""
_recent: dict[str, Combiner] = {}


def fitted(model: Combiner, X: Array, y: Array) -> Combiner:
    """A copy of the model, fitted; the very one from before where the same was fitted on the same rows."""
    key = joblib.hash((type(model), model.get_params(), np.ascontiguousarray(X), y))
    if key not in _recent:
        while len(_recent) >= KEPT:
            del _recent[next(iter(_recent))]
        _recent[key] = clone(model).fit(X, y)
    return _recent[key]


def out_of_fold(model: Combiner, X: Array, y: Array, folds: int, seed: int) -> Array:
    """Predictions for every row by copies of `model` that were fitted without its fold, shape (n,)."""
    predictions = np.empty(len(y))
    for train, test in seeded_folds(X, y, folds, seed):
        predictions[test] = fitted(model, X[train], y[train]).predict(X[test])
    return predictions


def held_out(model: Combiner, X: Array, y: Array, folds: int = 5, seed: int = 0) -> Array:
    """Predictions of a fitted model for its training rows, by copies that were fitted without that row's fold, (n,).

    A model that had to make them while it was fitted has kept them as `held_out_`: then what joins or calibrates its
    members, a handful of numbers, has seen all rows.
    """
    kept: Array | None = getattr(model, "held_out_", None)
    return out_of_fold(model, X, y, folds, seed) if kept is None else kept
