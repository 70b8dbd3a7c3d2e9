"""Ceilings of the correlation with a table whose accuracies have training noise."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import kendalltau

from ensemble.evaluation.metrics import spearman
from training.benchmark.noise import Array, Estimate, Integers, SeedDesign

NUM_DRAWS = 200
"""Draws of the variances, for the intervals."""
NUM_SIMULATIONS = 50
"""Simulations at the estimated variances, whose mean is the estimate."""
MIN_DEGREES = 9
"""Degrees of freedom of the variance of accuracies below which it says too little for a ceiling."""


@dataclass(frozen=True)
class Ceilings:
    """Agreement of expected accuracies with those in a table, i.e. that of a perfect predictor.

    Attributes:
        reliability: fraction of the variance of accuracies in the table that is no noise.
        spearman, kendall: mean rank correlation.
    """

    reliability: Estimate
    spearman: Estimate
    kendall: Estimate


def measure_ceilings(design: SeedDesign, groups: Sequence[Integers], seed: int = 0) -> Ceilings | None:
    """Estimate ceilings within groups of architectures: the mean over the groups, as of all within-stratum metrics.

    The mean accuracy of an architecture has the noise Σ_s w_as b_hs + ē_a (see `noise`), with a weight of one over the
    number of its trainings for each of its seeds. Its expected variance within a group of n architectures is

        σ_own² mean_a(1 / n_a) + σ_shared² Σ_hs Var_a(w_as),

    whose second term is 0 if all have the same stratum and seeds. The ceilings are simulated: means are shrunk towards
    the center of their group until their variance is that of the expected accuracies, and correlated with themselves
    plus noise; for the intervals with variances of the noise from their sampling distribution, and of the means by
    bootstrap. Where σ_own² cannot be told, all noise is taken for an architecture's own, so that the ceilings are lower
    bounds.

    Args:
        design: the trainings, of some architectures with several seeds.
        groups: rows of the architectures of each group.
        seed: seed of the simulation.

    Returns:
        The ceilings; None if the groups are too small, or the accuracies of each are equal.
    """
    groups = [rows for rows in groups if len(rows) > 1]
    degrees = np.array([len(rows) - 1 for rows in groups])
    means, weights = design.means, design.weights
    if degrees.sum() < MIN_DEGREES or not any(np.ptp(means[rows]) for rows in groups):
        return None
    rng = np.random.default_rng(seed)
    own_factor = np.average([(1 / design.counts[rows]).mean() for rows in groups], weights=degrees)
    shared_factor = np.average([weights[rows].var(axis=0, ddof=1).sum() for rows in groups], weights=degrees)
    centers = np.zeros(len(means))
    for rows in groups:
        centers[rows] = means[rows].mean()

    def simulate(own: float, shared: float, observed: float) -> tuple[float, float, float]:
        """Reliability, Spearman's ρ and Kendall's τ for given variances of the noise and of the accuracies."""
        reliability = max(0.0, 1 - (own * own_factor + shared * shared_factor) / observed) if observed > 0 else 0.0
        expected = centers + reliability**0.5 * (means - centers)
        return reliability, *_rank_correlations(expected, expected + _noise(design, own, shared, rng), groups)

    def observed_variance(values: Callable[[Integers], Array]) -> float:
        return float(np.average([values(rows).var(ddof=1) for rows in groups], weights=degrees))

    variance = observed_variance(lambda rows: means[rows])
    values = [simulate(*design.squares.variances(), variance) for _ in range(NUM_SIMULATIONS)]
    draws = [
        simulate(own, shared, observed_variance(lambda rows: _resampled(means[rows], rng)))
        for own, shared in zip(*design.squares.draw_variances(rng, NUM_DRAWS), strict=True)
    ]
    reliability, rho, tau = (
        Estimate.from_draws(column, float(value))
        for column, value in zip(np.array(draws).T, np.mean(values, axis=0), strict=True)
    )
    return Ceilings(reliability, rho, tau)


def _resampled(values: Array, rng: np.random.Generator) -> Array:
    """Draw values with replacement, scaled so that their expected variance is that of the values."""
    number = len(values)
    return np.asarray(values[rng.integers(number, size=number)] * (number / (number - 1)) ** 0.5)


def _noise(design: SeedDesign, own: float, shared: float, rng: np.random.Generator) -> Array:
    """Draw the noise of each mean accuracy, (n,)."""
    effects = rng.normal(size=design.weights.shape[1]) * shared**0.5
    return np.asarray(design.weights @ effects + rng.normal(size=len(design.means)) * np.sqrt(own / design.counts))


def _rank_correlations(expected: Array, measured: Array, groups: Sequence[Integers]) -> tuple[float, float]:
    """Mean over the groups of Spearman's ρ and Kendall's τ; 0 in a group without differences."""
    rho = [spearman(expected[rows], measured[rows]) or 0.0 for rows in groups]
    tau = [float(np.nan_to_num(kendalltau(expected[rows], measured[rows]).statistic)) for rows in groups]
    return float(np.mean(rho)), float(np.mean(tau))
