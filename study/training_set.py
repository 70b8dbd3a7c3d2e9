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
        failed: architectures all of whose trainings failed.
    """

    num_observations: int
    architectures: tuple[Architecture, ...]
    values: NDArray[np.float64]
    failed: tuple[Architecture, ...]

    @classmethod
    def from_observations(cls, observations: Sequence[Observation]) -> Self:
        """Collect observations; the same observation counts once."""
        unique = {observation.id: observation for observation in observations}
        values: dict[Architecture, list[float]] = {}
        for _, observation in sorted(unique.items()):  # a sum depends on its order
            results = values.setdefault(observation.architecture, [])
            if observation.value is not None:
                results.append(observation.value)
        observed = sorted(values, key=lambda architecture: architecture.fingerprint)
        trained = tuple(architecture for architecture in observed if values[architecture])
        means = np.array([np.mean(values[architecture]) for architecture in trained], dtype=np.float64)
        return cls(len(unique), trained, means, tuple(arch for arch in observed if not values[arch]))

    def best(self, number: int, sign: float) -> list[tuple[Architecture, float]]:
        """Return the best trained architectures and their values, best first.

        Args:
            number: maximum number.
            sign: 1 if larger values are better, else -1.
        """
        order = np.argsort(-sign * self.values, kind="stable")[:number]
        return [(self.architectures[i], float(self.values[i])) for i in order]
