"""Calibration of a study's scores: values of the metric, with prediction intervals."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression

from ensemble.calibration.conformal import conformal_tails

Array = NDArray[np.float64]
FOLDS = 10
"""Number of folds of the cross-validation of the calibration itself."""


@dataclass(frozen=True)
class Calibration:
    """Monotone calibration with conformal intervals.

    Cross-conformal (Vovk 2015): the residual of a row is taken from a curve that was fitted without the row's fold to
    scores that are held-out themselves, and the interval's ends are quantiles of these residuals with the correction
    for finite samples.

    Attributes:
        curve: from score to value, isotonic.
        held_out: (n,), values of the training rows, by curves that were fitted without the row's fold.
        tails: lower and upper quantile of the residuals.
        covered: (n,), whether a row is within the interval of the other folds' residuals.
    """

    curve: IsotonicRegression
    held_out: Array
    tails: tuple[float, float]
    covered: NDArray[np.bool_]

    @classmethod
    def fit(cls, scores: Array, y: Array) -> Self:
        """Fit to held-out scores.

        Args:
            scores: (n,), scores of the training rows by models that were fitted without them, in an arbitrary order
                (rows i, i + `FOLDS`, … are a fold).
            y: (n,), values, larger is better.
        """
        folds = np.arange(len(y)) % FOLDS
        held_out = np.empty(len(y))
        for fold in range(FOLDS):
            test = folds == fold
            held_out[test] = _isotonic(scores[~test], y[~test]).predict(scores[test])
        residuals = y - held_out
        covered = np.empty(len(y), dtype=np.bool_)
        for fold in range(FOLDS):
            test = folds == fold
            low, high = conformal_tails(residuals[~test])
            covered[test] = (low <= residuals[test]) & (residuals[test] <= high)
        return cls(_isotonic(scores, y), held_out, conformal_tails(residuals), covered)

    def predict(self, scores: Array) -> Array:
        """Predict values, (m,)."""
        return np.asarray(self.curve.predict(scores))

    def intervals(self, values: Array) -> Array:
        """Return lower and upper ends around predicted values, (m, 2)."""
        return np.asarray(values[:, None] + np.array(self.tails))


def _isotonic(scores: Array, y: Array) -> IsotonicRegression:
    return IsotonicRegression(out_of_bounds="clip").fit(scores, y)
