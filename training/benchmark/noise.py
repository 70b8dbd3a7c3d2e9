"""Training noise in two parts, measured by architectures that were trained with several seeds.

The accuracy of architecture a of stratum h, trained with seed s, is modeled as

    y_as = μ_a + b_hs + e_as,   b_hs ~ N(0, σ_shared²),   e_as ~ N(0, σ_own²).

Networks with the same seed have the initial weights of their common layers and the order of the samples in common: b
is their shared deviation, e that of an architecture alone. The order of architectures of one stratum that were trained
with the same seed is subject to e only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

LEVEL = 0.9
"""Level of all intervals."""
NUM_DRAWS = 10_000
"""Draws of the variances from their sampling distribution."""
EPSILON = 1e-9
"""Singular values below are those of redundant effects."""
Array = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Estimate:
    """Estimate with an interval of the level `LEVEL`."""

    value: float
    low: float
    high: float

    @classmethod
    def from_draws(cls, draws: Array, value: float) -> "Estimate":
        """Return an estimate with the quantiles of draws as its interval."""
        low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
        return cls(value, low, high)


@dataclass(frozen=True)
class TrainingNoise:
    """Differences between trainings of the same architecture.

    Attributes:
        std: standard deviation of the accuracy of one architecture over seeds, √(σ_own² + σ_shared²).
        own_std: σ_own; None if no two architectures of a stratum have two seeds in common.
        shared_std: σ_shared; None like `own_std`.
        num_repeated: number of architectures with several trainings.
        degrees_of_freedom: trainings of these beyond the first of each.
        own_degrees_of_freedom: those of them that tell σ_own.
    """

    std: Estimate
    own_std: Estimate | None
    shared_std: Estimate | None
    num_repeated: int
    degrees_of_freedom: int
    own_degrees_of_freedom: int

    def to_json(self) -> dict[str, Any]:
        """Return the noise as plain JSON."""
        return {"level": LEVEL, **asdict(self)}


class SeedDesign:
    """Trainings by architecture, stratum and seed.

    Args:
        accuracies: accuracy by seed, at least one, of each architecture.
        strata: stratum of each architecture.

    Attributes:
        means: mean accuracy of each architecture, (n,).
        counts: number of trainings of each architecture, (n,).
        weights: weight of each b_hs in the mean of an architecture, (n, number of b_hs).
    """

    def __init__(self, accuracies: Sequence[Mapping[int, float]], strata: Sequence[int]) -> None:
        self._values = np.array([value for own in accuracies for value in own.values()], dtype=np.float64)
        self._rows = np.array([row for row, own in enumerate(accuracies) for _ in own], dtype=np.int64)
        pairs = [(stratum, seed) for stratum, own in zip(strata, accuracies, strict=True) for seed in own]
        columns = {pair: column for column, pair in enumerate(dict.fromkeys(pairs))}
        self.counts: Integers = np.bincount(self._rows, minlength=len(accuracies))
        self.means: Array = np.bincount(self._rows, self._values, len(accuracies)) / self.counts
        self._effects = np.zeros((len(pairs), len(columns)))
        self._effects[np.arange(len(pairs)), [columns[pair] for pair in pairs]] = 1
        self.weights: Array = np.zeros((len(accuracies), len(columns)))
        np.add.at(self.weights, self._rows, self._effects)
        self.weights /= self.counts[:, None]

    @cached_property
    def squares(self) -> "SumsOfSquares":
        """Sums of squares within the architectures with several trainings."""
        repeated = self.counts[self._rows] > 1
        rows = self._rows[repeated]
        values = self._values[repeated] - self.means[rows]
        left, singular, _ = np.linalg.svd(self._effects[repeated] - self.weights[rows], full_matrices=False)
        is_effect = singular > EPSILON
        basis = left[:, is_effect]
        shared = basis.T @ values
        residual = values - basis @ shared
        degrees = len(values) - int((self.counts > 1).sum())
        return SumsOfSquares(
            own=float(residual @ residual),
            shared=float(shared @ shared),
            own_degrees=degrees - int(is_effect.sum()),
            eigenvalues=singular[is_effect] ** 2,
        )


@dataclass(frozen=True, eq=False)
class SumsOfSquares:
    """Sums of squares of two kinds that determine the variances (method III of Henderson, Biometrics 1953).

    Attributes:
        own: residual of the fit of μ and b, distributed as σ_own² χ² with `own_degrees` degrees of freedom.
        shared: reduction by the fit of b after μ, distributed as Σ_i (σ_own² + λ_i σ_shared²) χ²_i with one degree of
            freedom each; the sum of the λ_i is the number of trainings beyond the first of each architecture.
        own_degrees: degrees of freedom of `own`.
        eigenvalues: the λ_i.
    """

    own: float
    shared: float
    own_degrees: int
    eigenvalues: Array

    @property
    def degrees(self) -> int:
        """Degrees of freedom within architectures."""
        return self.own_degrees + len(self.eigenvalues)

    def variances(self) -> tuple[float, float]:
        """Return estimates of σ_own² and σ_shared², of which the latter is at least 0.

        Those whose expectations are the sums of squares: E[own] = own_degrees σ_own² and
        E[own + shared] = degrees (σ_own² + σ_shared²). Where σ_own² cannot be told, it is the sum of both.
        """
        total = (self.own + self.shared) / self.degrees
        if not self.own_degrees:
            return total, 0.0
        own = self.own / self.own_degrees
        return own, max(0.0, total - own)

    def draw_variances(self, rng: np.random.Generator, number: int) -> tuple[Array, Array]:
        """Draw σ_own² and σ_shared² from their generalized fiducial distribution (Weerahandi, JASA 1993).

        The sums of squares are equated with draws of their distributions, and solved for the variances.

        Args:
            rng: source of the draws.
            number: number of draws.
        """
        if not self.own_degrees:
            return self.shared / rng.chisquare(self.degrees, number), np.zeros(number)
        own = self.own / rng.chisquare(self.own_degrees, number)
        squares = rng.chisquare(1, (number, len(self.eigenvalues)))
        return own, np.maximum(0, (self.shared - own * squares.sum(axis=1)) / (squares @ self.eigenvalues))


def measure_noise(design: SeedDesign, seed: int = 0) -> TrainingNoise | None:
    """Estimate the training noise, assumed normal and of the same size for all architectures.

    Any numbers of trainings are allowed. Without two architectures of a stratum that have two seeds in common, only the
    sum of both variances can be told; its interval is then that of the χ² distribution.

    Args:
        design: the trainings.
        seed: seed of the draws that the intervals are quantiles of.

    Returns:
        The noise; None if no architecture has several trainings.
    """
    if not (design.counts > 1).any():
        return None
    squares = design.squares
    num_repeated, degrees = int((design.counts > 1).sum()), squares.degrees
    own, shared = squares.variances()
    if not squares.own_degrees:
        quantiles = stats.chi2.ppf([(1 + LEVEL) / 2, (1 - LEVEL) / 2], degrees)
        low, high = np.sqrt(squares.shared / quantiles).tolist()
        std = Estimate(own**0.5, low, high)
        return TrainingNoise(std, None, None, num_repeated, degrees, 0)
    own_draws, shared_draws = squares.draw_variances(np.random.default_rng(seed), NUM_DRAWS)
    return TrainingNoise(
        Estimate.from_draws(np.sqrt(own_draws + shared_draws), (own + shared) ** 0.5),
        Estimate.from_draws(np.sqrt(own_draws), own**0.5),
        Estimate.from_draws(np.sqrt(shared_draws), shared**0.5),
        num_repeated,
        degrees,
        squares.own_degrees,
    )
