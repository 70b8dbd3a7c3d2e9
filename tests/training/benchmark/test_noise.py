"""Training noise of simulated accuracies, whose noise is known."""

from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from training.benchmark.noise import SeedDesign, measure_noise

MEAN, SPREAD = 0.8, 0.03


def simulated(
    rng: np.random.Generator, strata: Sequence[int], seeds: Sequence[int], own: float, shared: float
) -> SeedDesign:
    """Trainings of one architecture a stratum and number of seeds in turn, with noise of two standard deviations."""
    effects = rng.normal(0, shared, (max(strata) + 1, max(seeds)))
    expected = rng.normal(MEAN, SPREAD, len(strata))
    accuracies = [
        {seed: mean + effects[stratum, seed] + rng.normal(0, own) for seed in range(number)}
        for mean, stratum, number in zip(expected, strata, seeds, strict=True)
    ]
    return SeedDesign(accuracies, strata)


@pytest.mark.parametrize(
    ("strata", "seeds", "degrees", "own_degrees"),
    [
        ([0, 1, 2, 3] * 4, [2] * 8 + [1] * 8, 8, 4),
        ([0, 1] * 30, [4] * 20 + [3] * 20 + [1] * 20, 20 * 3 + 20 * 2, 94),  # 2 × 3 differences of seeds
        ([0] * 40, [2] * 20 + [5] * 4 + [1] * 16, 36, 32),
    ],
)
def test_both_parts_are_estimated_without_bias(
    strata: list[int], seeds: list[int], degrees: int, own_degrees: int
) -> None:
    own, shared, rng, number = 0.02, 0.05, np.random.default_rng(0), 200
    squares = [simulated(rng, strata, seeds, own, shared).squares for _ in range(number)]
    assert {(each.degrees, each.own_degrees) for each in squares} == {(degrees, own_degrees)}
    own_sums, sums = np.array([(each.own, each.own + each.shared) for each in squares]).T
    for mean, values, freedom in ((own**2, own_sums, own_degrees), (own**2 + shared**2, sums, degrees)):
        error = values.std() / freedom / number**0.5
        assert values.mean() / freedom == pytest.approx(mean, abs=4 * error)
    # The residual has the χ² distribution, whatever the design.
    assert stats.kstest(own_sums / own**2, stats.chi2(own_degrees).cdf).pvalue > 0.001


def test_intervals_contain_the_truth_as_often_as_they_state() -> None:
    own, shared, rng = 0.02, 0.05, np.random.default_rng(1)
    strata, seeds = [0, 1, 2, 3] * 3, [3] * 4 + [2] * 8
    counts = np.zeros(3)
    for _ in range(100):
        noise = measure_noise(simulated(rng, strata, seeds, own, shared))
        assert noise is not None
        assert noise.own_std is not None
        assert noise.shared_std is not None
        truths = ((noise.std, np.hypot(own, shared)), (noise.own_std, own), (noise.shared_std, shared))
        counts += [estimate.low < truth < estimate.high for estimate, truth in truths]
    assert counts.min() >= stats.binom.ppf(0.001, 100, 0.9)
    assert counts.max() <= stats.binom.ppf(0.999, 100, 0.97)  # the interval of a part may be wider


def test_without_a_shared_part_it_is_near_zero() -> None:
    noise = measure_noise(simulated(np.random.default_rng(2), [0, 1] * 60, [2] * 60 + [1] * 60, 0.02, 0))
    assert noise is not None
    assert noise.own_std is not None
    assert noise.shared_std is not None
    assert noise.own_std.value == pytest.approx(0.02, rel=0.2)
    assert noise.shared_std.value < 0.01
    assert noise.shared_std.low == 0


def test_equal_differences_are_all_shared() -> None:
    noise = measure_noise(SeedDesign([{0: 0.5, 1: 0.6}, {0: 0.7, 1: 0.8}, {0: 0.6}], [4, 4, 4]))
    assert noise is not None
    assert noise.own_std is not None
    assert noise.own_std.high == pytest.approx(0, abs=1e-9)
    assert noise.shared_std is not None
    assert noise.shared_std.value == noise.std.value == pytest.approx(0.005**0.5)


@pytest.mark.parametrize(
    ("accuracies", "strata"),
    [
        ([{0: 0.5, 1: 0.7}, {0: 0.9}], [4, 4]),  # one repeated architecture
        ([{0: 0.5, 1: 0.7}, {0: 0.6, 2: 0.6}], [4, 4]),  # one common seed
        ([{0: 0.5, 1: 0.7}, {0: 0.6, 1: 0.6}], [4, 6]),  # two strata
    ],
)
def test_parts_that_cannot_be_told_are_unknown(accuracies: list[dict[int, float]], strata: list[int]) -> None:
    noise = measure_noise(SeedDesign(accuracies, strata))
    assert noise is not None
    assert noise.own_std is noise.shared_std is None
    degrees = noise.degrees_of_freedom
    assert (degrees, noise.own_degrees_of_freedom) == (sum(len(own) - 1 for own in accuracies), 0)
    assert noise.std.value == pytest.approx((0.02 / degrees) ** 0.5)
    assert noise.std.low == pytest.approx((0.02 / stats.chi2.ppf(0.95, degrees)) ** 0.5)
    assert noise.std.high == pytest.approx((0.02 / stats.chi2.ppf(0.05, degrees)) ** 0.5)


def test_no_repeats_no_noise() -> None:
    assert measure_noise(SeedDesign([{0: 0.5}, {1: 0.6}], [4, 4])) is None
    assert measure_noise(SeedDesign([], [])) is None
