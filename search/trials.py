"""Trials of a search: architectures with their evaluated accuracy and their cost."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from pydantic import ConfigDict

from models import Architecture


@dataclass(frozen=True)
class Trial:
    """An evaluated architecture.

    Attributes:
        architecture: the architecture.
        accuracy: predicted or measured accuracy, a fraction; None if the evaluation failed.
        flops: FLOPs of one forward pass; the only cost that strategies weigh. None in a space without costs.
        params: number of trainable parameters; None in a space without costs.
    """

    architecture: Architecture
    accuracy: float | None
    flops: int | None
    params: int | None


@dataclass(frozen=True)
class Interval:
    """Prediction interval of an accuracy.

    Attributes:
        low: lower bound, a fraction.
        high: upper bound, a fraction.
        level: probability with which the interval holds the accuracy.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", allow_inf_nan=False)

    low: float
    high: float
    level: float


@dataclass(frozen=True)
class TrialResult(Trial):
    """A trial with its interval, warnings and error.

    Attributes:
        interval: prediction interval of the accuracy; None if the evaluation failed.
        warnings: reasons to trust the accuracy less.
        error: reason of a failure; None if there is an accuracy.
    """

    interval: Interval | None = None
    warnings: tuple[str, ...] = ()
    error: str | None = None


TrialT = TypeVar("TrialT", bound=Trial)


def successful_pairs(trials: Iterable[Trial]) -> list[tuple[float, Architecture]]:
    """Accuracy and architecture of the trials that did not fail, in their order."""
    return [(trial.accuracy, trial.architecture) for trial in trials if trial.accuracy is not None]


def sort_by_accuracy(trials: Iterable[TrialT]) -> list[TrialT]:
    """Trials that did not fail, the highest accuracy first; ties stay in the order of `trials`."""
    successful = [trial for trial in trials if trial.accuracy is not None]
    return sorted(successful, key=lambda trial: -(trial.accuracy or 0.0))
