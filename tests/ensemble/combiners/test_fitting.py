from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from ensemble.combiners import Combiner
from ensemble.combiners.fitting import KEPT, _recent, fitted, held_out, out_of_fold
from ensemble.evaluation.folds import seeded_folds

Array = NDArray[np.float64]


class Remembers(Combiner):
    """Predicts whether it has seen a row; counts how often any of its kind was fitted."""

    fits: ClassVar[list[int]] = []

    def __init__(self, random_state: int = 0) -> None:
        self.random_state = random_state

    def fit(self, X: Array, y: Array) -> "Remembers":
        X, y = self._training_data(X, y)
        self.rows_ = {tuple(row) for row in X}
        self.fits.append(len(y))
        return self

    def predict(self, X: Array) -> Array:
        return np.array([float(tuple(row) in self.rows_) for row in self._data(X)])


@pytest.fixture
def X(rng: np.random.Generator) -> Array:  # noqa: N802  # the estimators' name
    Remembers.fits.clear()
    _recent.clear()
    return rng.normal(size=(23, 2))


def test_the_same_model_on_the_same_rows_is_fitted_once(X: Array) -> None:
    y = X[:, 0].copy()
    model = fitted(Remembers(), X, y)
    assert fitted(Remembers(), X.copy(), y.copy()) is model
    assert Remembers.fits == [23]


def test_other_rows_accuracies_or_parameters_are_fitted_anew(X: Array) -> None:
    y = X[:, 0]
    models = [
        fitted(Remembers(), X, y),
        fitted(Remembers(), X[1:], y[1:]),
        fitted(Remembers(), X[::-1], y[::-1]),
        fitted(Remembers(), X, y + 1),
        fitted(Remembers(1), X, y),
    ]
    assert len({id(model) for model in models}) == len(Remembers.fits) == 5


def test_the_model_itself_is_left_unfitted(X: Array) -> None:
    model = Remembers()
    assert fitted(model, X, X[:, 0]) is not model
    assert not hasattr(model, "rows_")


def test_the_oldest_copies_make_room(X: Array) -> None:
    for seed in range(KEPT + 1):
        fitted(Remembers(seed), X, X[:, 0])
    assert len(_recent) == KEPT
    fitted(Remembers(KEPT), X, X[:, 0])
    assert len(Remembers.fits) == KEPT + 1
    fitted(Remembers(0), X, X[:, 0])
    assert len(Remembers.fits) == KEPT + 2


def test_out_of_fold_predictions_never_saw_their_row(X: Array) -> None:
    y = X[:, 0]
    assert out_of_fold(Remembers(), X, y, 5, 0).tolist() == [0] * 23
    assert Remembers.fits == [23 - len(test) for _, test in seeded_folds(X, y, 5, 0)]
    model = fitted(Remembers(), X, y)
    assert model.predict(X).tolist() == [1] * 23
    assert held_out(model, X, y).tolist() == [0] * 23


def test_a_model_that_kept_its_held_out_predictions_is_not_fitted_again(X: Array) -> None:
    model = fitted(Remembers(), X, X[:, 0])
    kept = np.arange(23.0)
    model.held_out_ = kept
    assert held_out(model, X, X[:, 0]) is kept
    assert Remembers.fits == [23]
