"""Cached fits and out-of-fold predictions."""

from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from ensemble.combiners import Combiner
from ensemble.combiners.fitting import (
    MAX_CACHED_FITS,
    _fits,
    fit_cached,
    out_of_fold_predictions,
    stored_out_of_fold_predictions,
)
from ensemble.data.folds import seeded_folds

Array = NDArray[np.float64]


class Recorder(Combiner):
    """Predicts 1 for its training rows and 0 for others; counts the fits of all instances."""

    fits: ClassVar[list[int]] = []

    def __init__(self, random_state: int = 0) -> None:
        self.random_state = random_state

    def fit(self, X: Array, y: Array) -> "Recorder":
        X, y = self._check_fit_input(X, y)
        self.rows_ = {tuple(row) for row in X}
        self.fits.append(len(y))
        return self

    def predict(self, X: Array) -> Array:
        return np.array([float(tuple(row) in self.rows_) for row in self._check_input(X)])


@pytest.fixture
def X(rng: np.random.Generator) -> Array:  # noqa: N802  # the name in scikit-learn's interface
    Recorder.fits.clear()
    _fits.clear()
    return rng.normal(size=(23, 2))


def test_the_same_estimator_on_the_same_rows_is_fitted_once(X: Array) -> None:
    y = X[:, 0].copy()
    model = fit_cached(Recorder(), X, y)
    assert fit_cached(Recorder(), X.copy(), y.copy()) is model
    assert Recorder.fits == [23]


def test_other_rows_accuracies_or_parameters_are_fitted_anew(X: Array) -> None:
    y = X[:, 0]
    models = [
        fit_cached(Recorder(), X, y),
        fit_cached(Recorder(), X[1:], y[1:]),
        fit_cached(Recorder(), X[::-1], y[::-1]),
        fit_cached(Recorder(), X, y + 1),
        fit_cached(Recorder(1), X, y),
    ]
    assert len({id(model) for model in models}) == len(Recorder.fits) == 5


def test_the_estimator_itself_is_left_unfitted(X: Array) -> None:
    estimator = Recorder()
    assert fit_cached(estimator, X, X[:, 0]) is not estimator
    assert not hasattr(estimator, "rows_")


def test_the_oldest_fits_are_evicted(X: Array) -> None:
    for seed in range(MAX_CACHED_FITS + 1):
        fit_cached(Recorder(seed), X, X[:, 0])
    assert len(_fits) == MAX_CACHED_FITS
    fit_cached(Recorder(MAX_CACHED_FITS), X, X[:, 0])
    assert len(Recorder.fits) == MAX_CACHED_FITS + 1
    fit_cached(Recorder(0), X, X[:, 0])
    assert len(Recorder.fits) == MAX_CACHED_FITS + 2


def test_out_of_fold_predictions_are_made_without_the_row(X: Array) -> None:
    y = X[:, 0]
    assert out_of_fold_predictions(Recorder(), X, y, 5, 0).tolist() == [0] * 23
    assert Recorder.fits == [23 - len(test) for _, test in seeded_folds(X, y, 5, 0)]
    model = fit_cached(Recorder(), X, y)
    assert model.predict(X).tolist() == [1] * 23
    assert stored_out_of_fold_predictions(model, X, y).tolist() == [0] * 23


def test_stored_out_of_fold_predictions_are_used_without_a_fit(X: Array) -> None:
    model = fit_cached(Recorder(), X, X[:, 0])
    stored = np.arange(23.0)
    model.out_of_fold_ = stored
    assert stored_out_of_fold_predictions(model, X, X[:, 0]) is stored
    assert Recorder.fits == [23]
