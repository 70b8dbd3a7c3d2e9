"""What a combiner is: a scikit-learn estimator whose learned state can be written down without pickle."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.utils.validation import check_is_fitted, validate_data

from models import InputError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class State:
    """Learned state: arrays by name, and files of other libraries (name with suffix) as bytes."""

    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)

    @classmethod
    def merged(cls, parts: Mapping[str, "State"]) -> "State":
        """The states of several estimators in one, each name under its part's: `forest/…`."""
        whole = cls()
        for part, state in parts.items():
            whole.arrays.update({f"{part}/{name}": array for name, array in state.arrays.items()})
            whole.blobs.update({f"{part}/{name}": blob for name, blob in state.blobs.items()})
        return whole

    @property
    def floats(self) -> dict[str, NDArray[Any]]:
        """The arrays. Raises `ValueError` unless all are of floating-point numbers."""
        for name, array in self.arrays.items():
            if array.dtype.kind != "f":
                raise ValueError(f"{name} holds {array.dtype}")
        return self.arrays

    def part(self, name: str) -> "State":
        """The state that `merged` took under that name."""
        start = f"{name}/"
        return State(
            {key.removeprefix(start): array for key, array in self.arrays.items() if key.startswith(start)},
            {key.removeprefix(start): blob for key, blob in self.blobs.items() if key.startswith(start)},
        )


class Combiner(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """`fit(X, y)` with features X (n, d) and accuracies y (n,), then `predict(X)`.

    A subclass lists its fitted arrays in `fitted_arrays`; one with other state overrides `get_state` and `set_state`.
    A NaN feature is a missing score: a combiner with `accepts_missing` does without, the others refuse. A prediction
    is NaN where a row has nothing to predict from. `predict` and `contributions` give a row the same bits whatever rows
    stand beside it: they add in an order of the row's own (`ensemble.rowwise`).
    """

    fitted_arrays: ClassVar[tuple[str, ...]] = ()
    index_arrays: ClassVar[tuple[str, ...]] = ()
    """Names among `fitted_arrays` whose arrays hold whole numbers or truth values."""
    accepts_missing: ClassVar[bool] = False
    additive: ClassVar[bool] = False
    """Whether it has `contributions`."""

    def fit(self, X: Array, y: Array) -> Self:
        raise NotImplementedError

    def predict(self, X: Array) -> Array:
        """Predictions, shape (m,)."""
        raise NotImplementedError

    def ranking_scores(self, X: Array) -> Array:
        """Order of the rows, larger is better, shape (m,): the predictions, unless it compares a set's rows."""
        return self.predict(X)

    def contributions(self, X: Array) -> Array:
        """What each column adds to each prediction, (m, d + 1): Shapley values, and last what they add to. The sum of
        a row is its prediction. Only of combiners that are `additive`.
        """
        raise NotImplementedError

    def get_state(self) -> State:
        """What `fit` learned."""
        check_is_fitted(self)
        arrays = {name: np.asarray(getattr(self, name)) for name in self.fitted_arrays}
        return State({"n_features_in_": np.array(self.n_features_in_), **arrays})

    def set_state(self, state: State) -> Self:
        """Take over what another estimator of the same parameters learned. Raises `KeyError` if parts are missing,
        `ValueError` if they are of another type of number.
        """
        self.n_features_in_ = int(state.arrays["n_features_in_"])
        for name in self.fitted_arrays:
            array = state.arrays[name]
            if (array.dtype.kind != "f") != (name in self.index_arrays):
                raise ValueError(f"{name} holds {array.dtype}")
            setattr(self, name, array)
        return self

    def _training_data(self, X: Array, y: Array) -> tuple[Array, Array]:
        X, y = validate_data(
            self, X, y, dtype=np.float64, order="C", y_numeric=True, ensure_all_finite="allow-nan", ensure_min_samples=2
        )
        self._refuse_missing(X)
        return X, np.asarray(y, dtype=np.float64)

    def _data(self, X: Array) -> Array:
        check_is_fitted(self)
        expected = isinstance(X, np.ndarray) and X.dtype == np.float64 and X.shape[1:] == (self.n_features_in_,)
        if expected and len(X) and np.isfinite(X).all():
            return X  # scikit-learn's checks of a single row take longer than most predictions of it
        X = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False)
        self._refuse_missing(X)
        return X

    def _refuse_missing(self, X: Array) -> None:
        if not self.accepts_missing and np.isnan(X).any():
            row, column = np.argwhere(np.isnan(X))[0]
            raise InputError(f"X[{row}, {column}]", "NaN", f"a number: {type(self).__name__} needs every score")


class Wrapper(Combiner):
    """A combiner around another: `inner`, of which `fit` keeps a fitted copy as `model_`."""

    model_: Combiner

    @property
    def inner(self) -> Combiner:
        """The combiner inside, as it was given: not fitted."""
        raise NotImplementedError

    def get_state(self) -> State:
        own = super().get_state()
        model = State.merged({"model": self.model_.get_state()})
        return State({**own.arrays, **model.arrays}, model.blobs)

    def set_state(self, state: State) -> Self:
        super().set_state(state)
        self.model_ = clone(self.inner).set_state(state.part("model"))
        return self


class Standardiser:
    """Columns to mean 0 and standard deviation 1 as on the training rows; constant columns become 0."""

    def __init__(self, mean: Array, scale: Array) -> None:
        self.mean, self.scale = mean, scale

    @classmethod
    def of(cls, X: Array) -> "Standardiser":
        scale = X.std(axis=0)
        # Dividing rounding noise by itself would make a constant column look informative.
        constant = scale < 1e-9 * np.maximum(1.0, np.abs(X).max(axis=0))
        return cls(X.mean(axis=0), np.where(constant, np.inf, scale))

    def __call__(self, X: Array) -> Array:
        return (X - self.mean) / self.scale


def spearman(a: Array, b: Array) -> float:
    """Spearman's ρ over the pairs without NaN; 0 where it is not defined, i.e. one side is constant."""
    from scipy.stats import rankdata

    there = ~(np.isnan(a) | np.isnan(b))
    if there.sum() < 2:
        return 0.0
    ranks_a, ranks_b = rankdata(a[there]), rankdata(b[there])
    if np.ptp(ranks_a) == 0 or np.ptp(ranks_b) == 0:
        return 0.0
    return float(np.corrcoef(ranks_a, ranks_b)[0, 1])
