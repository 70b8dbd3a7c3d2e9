"""Base classes of combiners: scikit-learn estimators whose fitted state is saved without pickle."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.utils.validation import check_is_fitted, validate_data

from models import InputError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class State:
    """Fitted state of an estimator.

    Attributes:
        arrays: arrays by name.
        blobs: serialized models of other libraries, by name with suffix.
    """

    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)

    @classmethod
    def merged(cls, parts: Mapping[str, "State"]) -> "State":
        """Merge states, prefixing each name with that of its part: `forest/…`."""
        merged = cls()
        for part, state in parts.items():
            merged.arrays.update({f"{part}/{name}": array for name, array in state.arrays.items()})
            merged.blobs.update({f"{part}/{name}": blob for name, blob in state.blobs.items()})
        return merged

    @property
    def floats(self) -> dict[str, NDArray[Any]]:
        """The arrays.

        Raises:
            ValueError: an array does not hold floating-point numbers.
        """
        for name, array in self.arrays.items():
            if array.dtype.kind != "f":
                raise ValueError(f"{name} holds {array.dtype}")
        return self.arrays

    def part(self, name: str) -> "State":
        """Return one of the states that `merged` was called with; an empty one if there is none of that name."""
        prefix = f"{name}/"
        return State(
            {key.removeprefix(prefix): array for key, array in self.arrays.items() if key.startswith(prefix)},
            {key.removeprefix(prefix): blob for key, blob in self.blobs.items() if key.startswith(prefix)},
        )


class Combiner(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Base class of combiners: `fit(X, y)` with features X (n, d) and accuracies y (n,), then `predict(X)`.

    A subclass lists its fitted arrays in `fitted_arrays`; one with other fitted state overrides `get_state` and
    `set_state`. A NaN feature is a missing score, which only a combiner with `accepts_missing` accepts. A prediction is
    NaN for a row without any score. `predict` and `contributions` yield the same bits for a row in any batch: they add
    in an order that depends on the row alone (`ensemble.rowwise`).
    """

    fitted_arrays: ClassVar[tuple[str, ...]] = ()
    index_arrays: ClassVar[tuple[str, ...]] = ()
    """Names in `fitted_arrays` whose arrays hold integers or booleans."""
    accepts_missing: ClassVar[bool] = False
    additive: ClassVar[bool] = False
    """True if `contributions` is defined."""
    max_rows: ClassVar[int | None] = None
    """Largest number of training rows that it is meant for; None without a limit."""

    def fit(self, X: Array, y: Array) -> Self:
        """Fit to features (n, d) and accuracies (n,)."""
        raise NotImplementedError

    def predict(self, X: Array) -> Array:
        """Predict one number for each row, (m,)."""
        raise NotImplementedError

    def ranking_scores(self, X: Array) -> Array:
        """Sort keys of the rows, larger is better, (m,); the predictions unless the combiner compares rows."""
        return self.predict(X)

    def contributions(self, X: Array) -> Array:
        """Shapley values of the features.

        Args:
            X: (m, d).

        Returns:
            Contribution of each feature, and in the last column the base value, (m, d + 1). A row sums to its
            prediction.

        Raises:
            NotImplementedError: the combiner is not `additive`.
        """
        raise NotImplementedError

    def get_state(self) -> State:
        """Return the fitted state."""
        check_is_fitted(self)
        arrays = {name: np.asarray(getattr(self, name)) for name in self.fitted_arrays}
        return State({"n_features_in_": np.array(self.n_features_in_), **arrays})

    def set_state(self, state: State) -> Self:
        """Restore the fitted state of an estimator with the same parameters.

        Raises:
            KeyError: a part is missing.
            ValueError: a part has another type of number.
        """
        self.n_features_in_ = int(state.arrays["n_features_in_"])
        for name in self.fitted_arrays:
            array = state.arrays[name]
            if (array.dtype.kind != "f") != (name in self.index_arrays):
                raise ValueError(f"{name} holds {array.dtype}")
            setattr(self, name, array)
        return self

    def _check_fit_input(self, X: Array, y: Array) -> tuple[Array, Array]:
        X, y = validate_data(
            self, X, y, dtype=np.float64, order="C", y_numeric=True, ensure_all_finite="allow-nan", ensure_min_samples=2
        )
        self._check_missing(X)
        return X, np.asarray(y, dtype=np.float64)

    def _check_input(self, X: Array) -> Array:
        check_is_fitted(self)
        valid = isinstance(X, np.ndarray) and X.dtype == np.float64 and X.shape[1:] == (self.n_features_in_,)
        if valid and len(X) and np.isfinite(X).all():
            return X  # for a single row, scikit-learn's validation takes longer than most predictions
        X = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False)
        self._check_missing(X)
        return X

    def _check_missing(self, X: Array) -> None:
        if not self.accepts_missing and np.isnan(X).any():
            row, column = np.argwhere(np.isnan(X))[0]
            raise InputError(f"X[{row}, {column}]", "NaN", f"a number: {type(self).__name__} needs every score")


class MetaCombiner(Combiner):
    """A combiner that wraps another one; `fit` stores a fitted clone as `estimator_`."""

    estimator_: Combiner

    @property
    def base_estimator(self) -> Combiner:
        """The wrapped, unfitted combiner."""
        raise NotImplementedError

    def get_state(self) -> State:
        """Return the fitted state of both combiners."""
        state = super().get_state()
        wrapped = State.merged({"estimator": self.estimator_.get_state()})
        return State({**state.arrays, **wrapped.arrays}, wrapped.blobs)

    def set_state(self, state: State) -> Self:
        """Restore the fitted state of both combiners."""
        super().set_state(state)
        self.estimator_ = clone(self.base_estimator).set_state(state.part("estimator"))
        return self


@dataclass(frozen=True)
class Standardizer:
    """Standardization of columns to mean 0 and standard deviation 1 over the training rows.

    Constant columns become 0, also in rows with another value. (scikit-learn's `StandardScaler` only centers them, so
    that a model would see a feature that it could not learn from.)

    Attributes:
        mean: (d,), means of the training rows.
        scale: (d,), standard deviations; infinite for a constant column.
    """

    mean: Array
    scale: Array

    @classmethod
    def fit(cls, X: Array) -> Self:
        """Compute means and standard deviations of the columns of X, (n, d)."""
        scale = X.std(axis=0)
        # Rounding noise divided by itself would make a constant column look informative.
        constant = scale < 1e-9 * np.maximum(1.0, np.abs(X).max(axis=0))
        return cls(X.mean(axis=0), np.where(constant, np.inf, scale))

    def transform(self, X: Array) -> Array:
        """Standardize rows, (m, d)."""
        return (X - self.mean) / self.scale


def spearman(a: Array, b: Array) -> float:
    """Spearman's ρ over the pairs without NaN; 0 if one side is constant."""
    valid = ~(np.isnan(a) | np.isnan(b))
    a, b = a[valid], b[valid]
    if len(a) < 2 or (a == a[0]).all() or (b == b[0]).all():
        return 0.0
    # Not SciPy's `spearmanr`, whose last bit differs: fitted weights are reproduced exactly.
    return float(np.corrcoef(rankdata(a), rankdata(b))[0, 1])
