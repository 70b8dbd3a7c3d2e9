"""Training set of a study: one value for each architecture, whatever the order of its observations."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models import Architecture
from study.observation import Observation


@dataclass(frozen=True)
class TrainingSet:
    """Observed architectures, sorted by fingerprint.

    Attributes:
        num_observations: number of different observations.
        architectures: the n architectures with at least one successful training.
        values: (n,), mean of their values, in the unit of the metric.
        failed: architectures all of whose trainings failed; one that was started again counts as failed until it has a
            value.
        running: architectures whose first training still runs, with its curve so far: the longest one, the mean of
            several.
        curves: curves of the successful trainings by architecture, in the unit of the metric.
    """

    num_observations: int
    architectures: tuple[Architecture, ...]
    values: NDArray[np.float64]
    failed: tuple[Architecture, ...]
    running: dict[Architecture, tuple[float, ...]]
    curves: dict[Architecture, tuple[tuple[float, ...], ...]]

    @classmethod
    def from_observations(cls, observations: Sequence[Observation]) -> Self:
        """Collect observations; the same observation counts once."""
        unique = {observation.id: observation for observation in observations}
        by_architecture: dict[Architecture, list[Observation]] = {}
        for _, observation in sorted(unique.items()):  # a sum depends on its order
            by_architecture.setdefault(observation.architecture, []).append(observation)
        observed = sorted(by_architecture, key=lambda architecture: architecture.fingerprint)
        means, failed, running, curves = {}, list[Architecture](), {}, {}
        for architecture in observed:
            rows = by_architecture[architecture]
            values = [row.value for row in rows if row.value is not None]
            if values:
                means[architecture] = np.mean(values)
                curves[architecture] = tuple(row.curve for row in rows if row.value is not None and row.curve)
            elif all(row.is_running for row in rows):
                longest = max(len(row.curve) for row in rows)
                mean = np.mean([row.curve for row in rows if len(row.curve) == longest], axis=0)
                running[architecture] = tuple(mean.tolist())
            else:
                failed.append(architecture)
        values_array = np.array(list(means.values()), dtype=np.float64)
        return cls(len(unique), tuple(means), values_array, tuple(failed), running, curves)

    def best(self, number: int, sign: float) -> list[tuple[Architecture, float]]:
        """Return the best trained architectures and their values, best first.

        Args:
            number: maximum number.
            sign: 1 if larger values are better, else -1.
        """
        order = np.argsort(-sign * self.values, kind="stable")[:number]
        return [(self.architectures[i], float(self.values[i])) for i in order]
