"""Cached fits and out-of-fold predictions."""

import joblib
import numpy as np
from cachetools import FIFOCache
from sklearn.base import clone

from ensemble.combiners.base import Array, Combiner
from ensemble.data.folds import seeded_folds

MAX_CACHED_FITS = 64
_fits: FIFOCache[str, Combiner] = FIFOCache(MAX_CACHED_FITS)


def fit_cached(estimator: Combiner, X: Array, y: Array) -> Combiner:
    """Fit a clone of an estimator, or return an earlier one with the same parameters and training rows.

    The stacks that are fitted on one fold have estimators in common.

    Args:
        estimator: unfitted estimator, left unchanged.
        X: (n, d), features.
        y: (n,), accuracies.
    """
    key = joblib.hash((type(estimator), estimator.get_params(), np.ascontiguousarray(X), y))
    if key not in _fits:
        _fits[key] = clone(estimator).fit(X, y)
    return _fits[key]


def clear_cached_fits() -> None:
    """Forget earlier fits."""
    _fits.clear()


def out_of_fold_predictions(estimator: Combiner, X: Array, y: Array, cv: int, seed: int) -> Array:
    """Predict every row by a clone that was fitted without the row's fold.

    Args:
        estimator: unfitted estimator.
        X: (n, d), features.
        y: (n,), accuracies.
        cv: number of folds.
        seed: seed of the folds.

    Returns:
        Predictions, (n,).
    """
    predictions = np.empty(len(y))
    for train, test in seeded_folds(X, y, cv, seed):
        predictions[test] = fit_cached(estimator, X[train], y[train]).predict(X[test])
    return predictions


def stored_out_of_fold_predictions(estimator: Combiner, X: Array, y: Array, cv: int = 5, seed: int = 0) -> Array:
    """Out-of-fold predictions of a fitted estimator for its training rows, (n,).

    An estimator that needed them to fit its second level has stored them as `out_of_fold_`. The few numbers of the
    second level have then been fitted to all rows. The arguments are those of `out_of_fold_predictions`.
    """
    stored: Array | None = getattr(estimator, "out_of_fold_", None)
    return out_of_fold_predictions(estimator, X, y, cv, seed) if stored is None else stored
