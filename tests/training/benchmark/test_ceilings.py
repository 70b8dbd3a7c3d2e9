"""Ceilings of simulated tables, whose expected accuracies are known."""

import numpy as np
import pytest
from scipy import stats

from training.benchmark.ceilings import measure_ceilings
from training.benchmark.noise import SeedDesign

STRATA, SIZE, REPEATED = 4, 30, 12
SPREAD, OWN, SHARED = 0.03, 0.02, 0.05
LABELS = np.repeat(np.arange(STRATA), SIZE)
WITHIN = [np.flatnonzero(stratum == LABELS) for stratum in range(STRATA)]
OVERALL = [np.arange(len(LABELS))]


def simulated(rng: np.random.Generator, expected: np.ndarray, own: float, shared: float) -> SeedDesign:
    effects = rng.normal(0, shared, (STRATA, 2))
    accuracies = [
        {seed: mean + effects[stratum, seed] + rng.normal(0, own) for seed in range(1 + (row % SIZE < REPEATED))}
        for row, (mean, stratum) in enumerate(zip(expected, LABELS, strict=True))
    ]
    return SeedDesign(accuracies, LABELS.tolist())


def pooled(values: np.ndarray, groups: list[np.ndarray]) -> float:
    return float(np.average([values[rows].var(ddof=1) for rows in groups], weights=[len(rows) - 1 for rows in groups]))


@pytest.mark.parametrize(
    ("groups", "shared"),
    [(WITHIN, SHARED), (OVERALL, SHARED), (WITHIN, 0.0)],
    ids=["within", "overall", "within, own part alone"],
)
def test_ceilings_are_those_of_the_simulation(groups: list[np.ndarray], shared: float) -> None:
    rng = np.random.default_rng(0)
    expected = rng.normal(0.8, SPREAD, len(LABELS)) + np.repeat(rng.normal(0, SPREAD, STRATA), SIZE)
    ceilings = measure_ceilings(simulated(rng, expected, OWN, shared), groups)
    assert ceilings is not None
    tables = [simulated(rng, expected, OWN, shared).means for _ in range(30)]
    noise = float(np.mean([pooled(table - expected, groups) for table in tables]))
    truths = [(ceilings.reliability, 1 / (1 + noise / pooled(expected, groups)))]
    for ceiling, function in ((ceilings.spearman, stats.spearmanr), (ceilings.kendall, stats.kendalltau)):
        rows = [[function(expected[part], table[part]).statistic for part in groups] for table in tables]
        truths.append((ceiling, float(np.mean(rows))))
    for ceiling, truth in truths:
        assert ceiling.low < truth < ceiling.high
        assert ceiling.low <= ceiling.value <= ceiling.high


def test_noise_that_is_shared_leaves_the_order_within_strata() -> None:
    rng = np.random.default_rng(1)
    expected = rng.normal(0.8, SPREAD, len(LABELS))
    effects = rng.normal(0, SHARED, (STRATA, 2))
    accuracies = [
        {seed: mean + effects[stratum, seed] for seed in range(2)}
        for mean, stratum in zip(expected, LABELS, strict=True)
    ]
    design = SeedDesign(accuracies, LABELS.tolist())
    within, overall = measure_ceilings(design, WITHIN), measure_ceilings(design, OVERALL)
    assert within is not None
    assert overall is not None
    assert within.spearman.low == pytest.approx(1)
    assert overall.spearman.value < 0.95


def test_noise_without_differences_of_architectures_leaves_no_ceiling() -> None:
    design = simulated(np.random.default_rng(3), np.full(len(LABELS), 0.8), OWN, 0.0)
    ceilings = measure_ceilings(design, WITHIN)
    assert ceilings is not None
    assert ceilings.spearman.low == 0


def test_few_architectures_have_no_ceiling() -> None:
    design = SeedDesign([{0: 0.5, 1: 0.6}] + [{0: 0.7}] * 8, [4] * 9)
    assert measure_ceilings(design, [np.arange(9)]) is None


def test_equal_accuracies_have_no_ceiling() -> None:
    design = SeedDesign([{0: 0.1, 1: 0.1}] * 12, [4] * 12)
    assert measure_ceilings(design, [np.arange(12)]) is None
