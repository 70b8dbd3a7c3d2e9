"""Training noise of simulated accuracies, whose noise is known."""

import numpy as np
import pytest
from scipy import stats

from training.benchmark.noise import measure_noise

STD, SPREAD, NUMBER = 0.015, 0.03, 80


def simulated(rng: np.random.Generator, repeated: int) -> list[list[float]]:
    expected = rng.normal(0.8, SPREAD, NUMBER)
    counts = [2 if i < repeated else 1 for i in range(NUMBER)]
    return [rng.normal(mean, STD, count).tolist() for mean, count in zip(expected, counts, strict=True)]


def test_noise_and_ceiling_are_those_of_the_simulation(rng: np.random.Generator) -> None:
    noise = measure_noise(simulated(rng, 40))
    assert noise is not None
    assert noise.degrees_of_freedom == noise.num_repeated == 40
    assert noise.std.low < STD < noise.std.high
    assert noise.reliability is not None
    assert noise.reliability.low < SPREAD**2 / (SPREAD**2 + 0.75 * STD**2) < noise.reliability.high
    expected = rng.normal(0.8, SPREAD, (300, NUMBER))
    measured = rng.normal(expected, STD * np.where(np.arange(NUMBER) < 40, 0.5**0.5, 1))
    pairs = list(zip(expected, measured, strict=True))
    for ceiling, function in ((noise.spearman, stats.spearmanr), (noise.kendall, stats.kendalltau)):
        assert ceiling is not None
        assert ceiling.low < np.mean([function(*pair).statistic for pair in pairs]) < ceiling.high


def test_interval_is_that_of_the_chi_squared_distribution() -> None:
    noise = measure_noise([[0.5, 0.7], [0.9]])
    assert noise is not None
    assert noise.std.value == pytest.approx(0.02**0.5)
    assert noise.std.low == pytest.approx((0.02 / stats.chi2.ppf(0.95, 1)) ** 0.5)
    assert noise.std.high == pytest.approx((0.02 / stats.chi2.ppf(0.05, 1)) ** 0.5)
    assert noise.spearman is None


def test_noise_without_differences_of_architectures_leaves_no_ceiling() -> None:
    noise = measure_noise(np.random.default_rng(3).normal(0.8, STD, (30, 2)).tolist())
    assert noise is not None
    assert noise.spearman is not None
    assert noise.spearman.low == 0


def test_no_repeats_no_noise() -> None:
    assert measure_noise([[0.5], [0.6]]) is None
    assert measure_noise([]) is None
