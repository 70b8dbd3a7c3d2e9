"""Training curves: losses and metric by epoch, and their features after the first epochs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ensemble.errors import BenchmarkError
from ensemble.rowwise import row_sums
from models import InputError, Metric

Array = NDArray[np.float64]
MAX_EPOCHS = 10_000
STATISTICS = ("last", "mean", "slope")
"""Statistics of the first k values of a curve: the first k of them, as a single value is its own mean and two values
determine their slope by the last and the mean."""


@dataclass(frozen=True)
class Curve:
    """Measurements of a training after each epoch; a part that was not measured is empty.

    Attributes:
        training_loss: mean loss of the training samples during the epoch.
        validation_loss: mean loss of the held-out samples after the epoch.
        accuracy: metric of the held-out samples after the epoch, a fraction.

    Raises:
        InputError: a value is not finite, an accuracy is no fraction, or the parts have different numbers of epochs.
    """

    training_loss: tuple[float, ...] = ()
    validation_loss: tuple[float, ...] = ()
    accuracy: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for name, values in self.parts.items():
            for epoch, value in enumerate(values):
                if not np.isfinite(value):
                    raise InputError(f"curve.{name}[{epoch}]", value, "a finite number")
                if name == "accuracy" and not 0 <= value <= 1:
                    raise InputError(f"curve.{name}[{epoch}]", value, "a fraction from 0 to 1")
            if len(values) != self.epochs:
                raise InputError(f"curve.{name}", f"{len(values)} values", f"{self.epochs}, as in the other parts")

    @property
    def parts(self) -> dict[str, tuple[float, ...]]:
        """The measured parts by name."""
        return {part.name: values for part in fields(self) if (values := getattr(self, part.name))}

    @property
    def epochs(self) -> int:
        """Number of epochs; 0 for a curve without values."""
        return len(next(iter(self.parts.values()), ()))

    @classmethod
    def mean(cls, curves: Sequence["Curve"]) -> "Curve | None":
        """Average the curves of several trainings of one architecture.

        Args:
            curves: the curves.

        Returns:
            Mean over the curves of each part that all of them have, as long as the shortest one; None without curves.
        """
        if not curves:
            return None
        epochs = min(curve.epochs for curve in curves)
        common = [name for name in curves[0].parts if all(name in curve.parts for curve in curves)]
        means = {name: np.mean([curve.parts[name][:epochs] for curve in curves], axis=0).tolist() for name in common}
        return cls(**{name: tuple(values) for name, values in means.items()})

    def to_json(self) -> dict[str, list[float]]:
        """Return the measured parts as plain JSON, which `parse_curve` reads."""
        return {name: list(values) for name, values in self.parts.items()}


PARTS = tuple(part.name for part in fields(Curve))
"""Names of the parts of a curve."""


def parse_curve(value: Any, place: str, metric: Metric) -> Curve | None:
    """Parse a curve.

    Args:
        value: JSON object of lists of numbers by part; null for none.
        place: name of the row in errors.
        metric: metric of `accuracy`.

    Raises:
        BenchmarkError: the curve is malformed.
    """
    if value is None:
        return None
    if not isinstance(value, dict):
        raise BenchmarkError(f"{place}, curve", value, "an object of lists by " + ", ".join(PARTS))
    parts = {}
    for name, values in value.items():
        if name not in PARTS:
            raise BenchmarkError(f"{place}, curve.{name}", values, "only the fields " + ", ".join(PARTS))
        if values is None:
            continue
        if not isinstance(values, list) or len(values) > MAX_EPOCHS:
            raise BenchmarkError(f"{place}, curve.{name}", values, f"a list of at most {MAX_EPOCHS} numbers")
        for epoch, number in enumerate(values):
            if isinstance(number, bool) or not isinstance(number, int | float):
                raise BenchmarkError(f"{place}, curve.{name}[{epoch}]", number, "a finite number")
            if name == "accuracy" and not metric.low <= number <= metric.high:
                allowed = f"a fraction from {metric.low:g} to {metric.high:g}"
                raise BenchmarkError(f"{place}, curve.{name}[{epoch}]", number, allowed)
        parts[name] = tuple(map(_to_float, values))
    try:
        return Curve(**parts)
    except InputError as error:
        raise BenchmarkError.at(place, error) from error


def _to_float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:  # an integer beyond the range of floats
        return float("inf")


@dataclass(frozen=True)
class CurveFeatures:
    """Features of the first epochs of a training: `STATISTICS` of each part of the curve.

    The mean of the training losses is their sum, SoTL, up to a constant factor, and the last one SoTL-E (Ru et al.
    2021, "Speedy performance estimation for neural architecture search").

    Attributes:
        epochs: number k ≥ 1 of epochs.
        parts: names of the parts of a curve.
    """

    epochs: int
    parts: tuple[str, ...]

    @classmethod
    def from_curves(cls, curves: Iterable[Curve | None], epochs: int) -> Self:
        """Choose the parts that at least half of the curves have for k epochs.

        Args:
            curves: curves of trained architectures; None for an architecture without one.
            epochs: k.

        Raises:
            InputError: k is out of range.
            BenchmarkError: no part is long enough.
        """
        if isinstance(epochs, bool) or not isinstance(epochs, int) or not 1 <= epochs <= MAX_EPOCHS:
            raise InputError("curve_epochs", epochs, f"a whole number from 1 to {MAX_EPOCHS}")
        lengths = {name: [len(getattr(curve, name)) if curve else 0 for curve in curves] for name in PARTS}
        parts = tuple(name for name, row in lengths.items() if row and 2 * sum(n >= epochs for n in row) >= len(row))
        if not parts:
            longest = max((max(row, default=0) for row in lengths.values()), default=0)
            count = max((sum(n >= epochs for n in row) for row in lengths.values()), default=0)
            known = f"{count} of the architectures have a training curve as long, the longest has {longest} epochs"
            raise BenchmarkError("curve_epochs", epochs, f"a number of epochs of at least half of the curves: {known}")
        return cls(epochs, parts)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Restore the result of `to_json`."""
        return cls(data["epochs"], tuple(data["parts"]))

    def to_json(self) -> dict[str, Any]:
        """Return the description as plain JSON."""
        return {"epochs": self.epochs, "parts": list(self.parts)}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features: `training_loss.last`, …."""
        return tuple(f"{part}.{statistic}" for part in self.parts for statistic in STATISTICS[: self.epochs])

    def covers(self, curve: Curve | None) -> bool:
        """Return whether a curve has all parts for k epochs."""
        return curve is not None and all(len(getattr(curve, part)) >= self.epochs for part in self.parts)

    def values(self, curves: Sequence[Curve | None]) -> Array:
        """Compute the features of the first k epochs.

        Args:
            curves: m curves.

        Returns:
            Features, (m, len(names)); NaN where a curve is missing or has fewer than k epochs.
        """
        rows = np.full((len(curves), len(self.parts), min(self.epochs, len(STATISTICS))), np.nan)
        for row, curve in zip(rows, curves, strict=True):
            for columns, part in zip(row, self.parts, strict=True):
                first = () if curve is None else getattr(curve, part)[: self.epochs]
                if len(first) == self.epochs:
                    columns[:] = prefix_statistics(first)
        return rows.reshape(len(curves), len(self.names))


def prefix_statistics(values: Sequence[float] | Array) -> Array:
    """Compute the statistics of the first k ≥ 1 values of a curve.

    Args:
        values: the values.

    Returns:
        The first k of: last value, mean, slope of the least-squares line in units of the values per epoch.
    """
    y = np.asarray(values, dtype=np.float64)
    epochs = np.arange(len(y)) - (len(y) - 1) / 2
    slope = float(row_sums(epochs * (y - y.mean())) / max(row_sums(epochs * epochs), 1.0))
    return np.array([y[-1], y.mean(), slope])[: len(y)]
