"""Training noise, measured by architectures that were trained with several seeds."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

LEVEL = 0.9
"""Level of all intervals."""
NUM_DRAWS = 400
MIN_ARCHITECTURES = 10
"""Architectures below which the spread of accuracies says too little for a ceiling."""
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """Estimate with an interval of the level `LEVEL`."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class TrainingNoise:
    """Differences between trainings of the same architecture.

    Attributes:
        std: standard deviation of the accuracy of one architecture over seeds.
        num_repeated: number of architectures with several trainings.
        degrees_of_freedom: trainings of these beyond the first of each.
        reliability: fraction of the variance of accuracies in the table that is no noise; None for fewer than
            `MIN_ARCHITECTURES` architectures.
        spearman, kendall: ceiling of the rank correlation with the table: the mean correlation of expected accuracies
            with the accuracies in the table, i.e. that of a perfect predictor; None like `reliability`.
    """

    std: Estimate
    num_repeated: int
    degrees_of_freedom: int
    reliability: Estimate | None = None
    spearman: Estimate | None = None
    kendall: Estimate | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the noise as plain JSON."""
        return {"level": LEVEL, **asdict(self)}


def measure_noise(accuracies: Sequence[Sequence[float]], seed: int = 0) -> TrainingNoise | None:
    """Estimate the training noise, assumed normal and of the same size for all architectures.

    The variance within architectures is pooled; its interval is that of the chi-squared distribution. The ceilings are
    simulated: architectures are drawn with replacement and the variance from its sampling distribution, means are
    shrunk towards their center until their variance is that of the expected accuracies (the variance of the means
    less that of their noise), and correlated with themselves plus noise. The intervals are those of the draws.

    Args:
        accuracies: accuracies of the trainings of each architecture, at least one each.
        seed: seed of the simulation.

    Returns:
        The noise; None if no architecture has several trainings.
    """
    repeated = [np.asarray(values, dtype=np.float64) for values in accuracies if len(values) > 1]
    degrees = sum(len(values) - 1 for values in repeated)
    if not degrees:
        return None
    squares = float(sum(((values - values.mean()) ** 2).sum() for values in repeated))
    tails = stats.chi2.ppf([(1 + LEVEL) / 2, (1 - LEVEL) / 2], degrees)
    low, high = (float(bound) for bound in np.sqrt(squares / tails))
    std = Estimate((squares / degrees) ** 0.5, low, high)
    if len(accuracies) < MIN_ARCHITECTURES:
        return TrainingNoise(std, len(repeated), degrees)
    means = np.array([np.mean(values) for values in accuracies])
    counts = np.array([len(values) for values in accuracies])
    rng = np.random.default_rng(seed)
    draws = np.array([_ceilings(means, counts, squares, degrees, rng) for _ in range(NUM_DRAWS)])
    reliability, spearman, kendall = (_summary(column) for column in draws.T)
    return TrainingNoise(std, len(repeated), degrees, reliability, spearman, kendall)


def _ceilings(
    means: Array, counts: NDArray[np.int64], squares: float, degrees: int, rng: np.random.Generator
) -> tuple[float, float, float]:
    """One draw of reliability, Spearman's and Kendall's correlation."""
    rows = rng.integers(len(means), size=len(means))
    variance = squares / rng.chisquare(degrees)
    noise = variance / counts[rows]
    observed = float(means[rows].var(ddof=1))
    reliability = max(0.0, 1 - float(noise.mean()) / observed) if observed > 0 else 0.0
    if reliability == 0:
        return 0.0, 0.0, 0.0
    # Rows drawn twice would be tied: the expected accuracies are those of all architectures.
    center = means.mean()
    expected = center + reliability**0.5 * (means - center)
    measured = expected + rng.normal(size=len(means)) * np.sqrt(variance / counts)
    return (
        reliability,
        float(stats.spearmanr(expected, measured).statistic),
        float(stats.kendalltau(expected, measured).statistic),
    )


def _summary(draws: Array) -> Estimate:
    low, middle, high = (float(value) for value in np.quantile(draws, [(1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2]))
    return Estimate(middle, low, high)
