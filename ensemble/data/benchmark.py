"""Benchmarks: architectures with their accuracy after training."""

import hashlib
import math
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ensemble.data.curve import Curve
from ensemble.errors import BenchmarkError
from models import ACCURACY, Architecture, BuildableSpace, EncodedSpace, Metric, SearchSpace

ProxyScores = dict[str, float | None]
"""Score by proxy; None where it is missing or not finite."""


@dataclass(frozen=True)
class Training:
    """One of the trainings of an architecture.

    Attributes:
        seed: seed of the training; None if unknown.
        accuracy: value of the task's metric after it; None if unknown.
        curve: losses and metric by epoch; None if unknown.
        scores: proxy scores by number of completed epochs, 0 for the initial weights.
    """

    seed: int | None = None
    accuracy: float | None = None
    curve: Curve | None = None
    scores: dict[int, ProxyScores] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """Trained architecture.

    Attributes:
        architecture: the architecture.
        accuracy: value of the task's metric after training, e.g. the validation accuracy, a fraction; the mean over
            the trainings if there are several.
        seconds: training time; None if unknown.
        scores: published proxy scores.
        epochs: number of epochs; None if unknown.
        trainings: its trainings, if they are known one by one.
    """

    architecture: Architecture
    accuracy: float
    seconds: float | None = None
    scores: ProxyScores = field(default_factory=dict)
    epochs: int | None = None
    trainings: tuple[Training, ...] = ()

    @cached_property
    def curve(self) -> Curve | None:
        """Mean curve over the trainings that have one; None without."""
        return Curve.mean([training.curve for training in self.trainings if training.curve is not None])


@dataclass(frozen=True)
class Benchmark:
    """Trained architectures of one search space.

    Attributes:
        name: name of the benchmark.
        space: the search space.
        entries: the architectures, unique and sorted by fingerprint.
        drawn_from: data hash of the benchmark that the architectures are a random part of; None for all of one.
    """

    name: str
    space: SearchSpace[Any]
    entries: tuple[Entry, ...]
    drawn_from: str | None = None

    def __len__(self) -> int:
        return len(self.entries)

    @cached_property
    def architectures(self) -> list[Architecture]:
        """Architectures in the order of the entries."""
        return [entry.architecture for entry in self.entries]

    @cached_property
    def accuracy(self) -> NDArray[np.float64]:
        """Accuracies, fractions, shape (n,)."""
        return np.array([entry.accuracy for entry in self.entries], dtype=np.float64)

    @cached_property
    def strata(self) -> NDArray[np.int64]:
        """Stratum of each architecture, shape (n,); 0 in a space without structural features."""
        if not isinstance(self.space, EncodedSpace):
            return np.zeros(len(self), dtype=np.int64)
        return self.space.strata(self.architectures)

    @cached_property
    def data_hash(self) -> str:
        """SHA-256 of fingerprints and accuracies, which does not depend on the file format."""
        lines = (f"{entry.architecture.fingerprint} {entry.accuracy!r}\n" for entry in self.entries)
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    @property
    def summary(self) -> dict[str, Any]:
        """Summary as plain data: space, task, size, hash, range of accuracies, number of architectures by stratum.

        The range is None for a benchmark without architectures.
        """
        strata, counts = np.unique(self.strata, return_counts=True)
        accuracy_range = [float(self.accuracy.min()), float(self.accuracy.max())] if self.entries else None
        return {
            "name": self.name,
            "space": self.space.name,
            "settings": self.space.settings,
            "task": task_summary(self.space),
            "stratum": stratum_label(self.space),
            "size": len(self),
            "data_hash": self.data_hash,
            "drawn_from": self.drawn_from,
            "accuracy_range": accuracy_range,
            "by_stratum": {str(stratum): int(count) for stratum, count in zip(strata, counts, strict=True)},
        }

    def sample(self, size: int, seed: int = 0) -> "Benchmark":
        """Draw a random part of the benchmark; all of it if it is not larger.

        Args:
            size: number of architectures.
            seed: seed of the draw.
        """
        rows = np.sort(np.random.default_rng(seed).permutation(len(self))[:size])
        if len(rows) == len(self):
            return self
        drawn_from = self.drawn_from or self.data_hash
        return replace(self, entries=tuple(self.entries[i] for i in rows), drawn_from=drawn_from)

    @cached_property
    def proxies(self) -> tuple[str, ...]:
        """Names of the proxies with published scores, sorted."""
        return tuple(sorted({name for entry in self.entries for name in entry.scores}))


def task_summary(space: SearchSpace[Any]) -> dict[str, Any] | None:
    """Describe the task of a space's networks as plain data: its name and its metric: name, name in words and range.

    Args:
        space: the search space.

    Returns:
        The summary; None for a space whose networks cannot be built.
    """
    if not isinstance(space, BuildableSpace):
        return None
    return {"name": space.task.name, "metric": asdict(space.task.metric)}


def stratum_label(space: SearchSpace[Any]) -> str | None:
    """Return the stratum of a space in words, e.g. `number of layers`; None for a space without strata."""
    return space.stratum_label if isinstance(space, EncodedSpace) else None


def metric_of(space: SearchSpace[Any]) -> Metric:
    """Return the metric of a space's task; accuracy for a space whose networks cannot be built."""
    return space.task.metric if isinstance(space, BuildableSpace) else ACCURACY


def parse_scores(value: Any, place: str) -> ProxyScores:
    """Parse the scores of an architecture.

    Args:
        value: JSON object of numbers by proxy; null for none. `"NaN"` and numbers that are not finite become None.
        place: name of the row in errors.

    Raises:
        BenchmarkError: a score is no number.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BenchmarkError(f"{place}, scores", value, "an object of numbers by proxy")
    scores: ProxyScores = {}
    for name, score in value.items():
        if score is None or (isinstance(score, str) and score.lower() == "nan"):
            scores[name] = None
        elif is_number(score):
            scores[name] = as_finite(score)
        else:
            raise BenchmarkError(f"{place}, scores.{name}", score, 'a number, null or "NaN"')
    return scores


def as_finite(value: Any) -> float | None:
    """Convert a number to a finite float; None for anything else, an integer beyond the range of floats included."""
    try:
        number = float(value) if is_number(value) else math.nan
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def is_number(value: Any) -> bool:
    """Return true for a number; not for a truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool)
