"""Prediction of the end of trainings that still run, from their curves so far."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ensemble.calibration.conformal import conformal_tails
from ensemble.combiners.ridge import Ridge
from ensemble.data.curve import prefix_statistics
from models import Architecture
from study.calibration import FOLDS
from study.training_set import TrainingSet

Array = NDArray[np.float64]
MIN_CURVES = 20
"""Smallest number of finished trainings with a curve as long that a partial curve is compared with."""


@dataclass(frozen=True)
class PartialCurves:
    """Models of the final value, one for each length of a partial curve.

    Each is a ridge regression on the last value, mean and slope of the first k values of the curve and on the
    prediction from the structure, fitted to the finished trainings with at least k values (Baker et al. 2018,
    "Accelerating neural architecture search using performance prediction"). The leave-one-out error sets the penalty
    and thereby the weights of curve and structure.

    Attributes:
        curves: partial curve of each architecture that is trained for the first time, larger values are better.
        models: fitted models by k; lengths with fewer than `MIN_CURVES` finished trainings have none.
    """

    curves: dict[Architecture, Array]
    models: dict[int, "EndModel"]

    @classmethod
    def fit(cls, training_set: TrainingSet, held_out: Array | None, sign: float) -> Self:
        """Fit to finished trainings.

        Args:
            training_set: the observations by architecture.
            held_out: (n,), predictions of the trained architectures from their structure by models that were fitted
                without them, larger is better; None where there are none: then no curve is used.
            sign: 1 if larger values of the metric are better, else -1.
        """
        curves = {architecture: sign * np.array(curve) for architecture, curve in training_set.running.items()}
        models = {}
        for length in sorted({len(curve) for curve in curves.values()}):
            statistics = _finished_statistics(training_set, length, sign)
            if held_out is not None and len(statistics) >= MIN_CURVES:
                rows = np.array(list(statistics))
                X = np.column_stack([held_out[rows], np.stack(list(statistics.values()))])
                models[length] = EndModel.fit(X, sign * training_set.values[rows])
        return cls(curves, models)

    @property
    def num_unused(self) -> int:
        """Number of running trainings whose curve is not used."""
        return sum(len(curve) not in self.models for curve in self.curves.values())

    def length(self, architecture: Architecture) -> int | None:
        """Return the number of values of the partial curve that a prediction rests on; None for none."""
        curve = self.curves.get(architecture)
        return len(curve) if curve is not None and len(curve) in self.models else None

    def predict(self, architecture: Architecture, from_structure: float) -> tuple[float, float, float] | None:
        """Predict the final value of an architecture and its interval; None without a usable curve.

        Args:
            architecture: the architecture.
            from_structure: prediction from its structure.
        """
        length = self.length(architecture)
        if length is None:
            return None
        return self.models[length].predict(np.array([from_structure, *prefix_statistics(self.curves[architecture])]))


@dataclass(frozen=True)
class EndModel:
    """Regression of the final value on a prediction from the structure and statistics of the curve.

    Attributes:
        regression: the fitted regression.
        tails: lower and upper quantile of its cross-validated residuals, corrected for finite samples.
    """

    regression: Ridge
    tails: tuple[float, float]

    @classmethod
    def fit(cls, X: Array, y: Array) -> Self:
        """Fit to n rows in an arbitrary order (rows i, i + `FOLDS`, … are a fold)."""
        folds, residuals = np.arange(len(y)) % FOLDS, np.empty(len(y))
        for fold in range(FOLDS):
            test = folds == fold
            residuals[test] = y[test] - Ridge().fit(X[~test], y[~test]).predict(X[test])
        return cls(Ridge().fit(X, y), conformal_tails(residuals))

    def predict(self, row: Array) -> tuple[float, float, float]:
        """Predict the final value of a row, and the ends of its interval."""
        value = float(self.regression.predict(row[None])[0])
        return value, value + self.tails[0], value + self.tails[1]


def unused_note(unused: int, running: int) -> str:
    """Return the note on partial curves that are not used."""
    which = "1 training that runs is" if running == 1 else f"{unused} of {running} trainings that run are"
    return (
        f"{which} predicted without the curve so far: it is used from {MIN_CURVES} finished trainings with a curve at "
        "least as long on"
    )


def _finished_statistics(training_set: TrainingSet, length: int, sign: float) -> dict[int, Array]:
    """Statistics of the first values of the finished curves by the index of the architecture, means over its curves."""
    result = {}
    for i, architecture in enumerate(training_set.architectures):
        prefixes: Sequence[Array] = [
            sign * np.array(curve[:length])
            for curve in training_set.curves.get(architecture, ())
            if len(curve) >= length
        ]
        if prefixes:
            result[i] = prefix_statistics(np.mean(prefixes, axis=0))
    return result
