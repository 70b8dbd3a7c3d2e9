"""Fitness: what is compared, and what is worthless."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr

from common.errors import InputError
from evolution.fitness import Fitness, stratified_sample, values_of
from evolution.measurements import Measurements
from proxies.evolved.expression import Expression, parse_expression
from tests.evolution.conftest import TERMINALS, Make


def expression(obj: Any, measurements: Measurements) -> Expression:
    return parse_expression(obj, {str(terminal.head): terminal.type for terminal in measurements.terminals})


def test_within_strata_the_order_of_strata_is_worth_nothing(make: Make) -> None:
    measurements = make()
    fitness = Fitness([measurements], "within_stratum", 1, 0.01, 0)
    planted, counting = (expression(obj, measurements) for obj in (["sub", "nwot", "zen"], "flops"))
    groups = [measurements.strata == stratum for stratum in (1, 2, 3)]
    values = measurements.values['"nwot"'] - measurements.values['"zen"']
    expected = np.mean([spearmanr(values[rows], measurements.accuracy[rows]).statistic for rows in groups])
    assert fitness(planted) == pytest.approx(expected - 0.03)
    assert fitness.quality(planted) == pytest.approx(expected)
    assert abs(fitness.quality(counting)) < 0.2
    overall = Fitness([measurements], "overall", 1, 0, 0)
    assert overall(counting) > overall(planted)
    assert overall(counting) == pytest.approx(
        kendalltau(measurements.values['"flops"'], measurements.accuracy).statistic
    )


def test_of_several_benchmarks_the_least_counts(make: Make) -> None:
    first, second = make(0), make(1, noise=5, name="noisy")
    planted = expression(["sub", "nwot", "zen"], first)
    alone = [Fitness([each], "within_stratum", 1, 0, 0)(planted) for each in (first, second)]
    assert Fitness([first, second], "within_stratum", 1, 0, 0)(planted) == pytest.approx(min(alone), abs=0.02)
    assert min(alone) < 0.8 * max(alone)


def test_what_is_constant_or_not_finite_is_worthless_not_zero(make: Make) -> None:
    measurements = make()
    fitness = Fitness([measurements], "within_stratum", 2, 0, 0)
    constant = expression(["sub", "zen", "zen"], measurements)
    assert fitness(constant) == -np.inf
    huge = np.where(np.arange(len(measurements)) == 7, 1e200, measurements.values['"zen"'])
    overflowing = replace(measurements, values={**measurements.values, '"zen"': huge})
    squared = expression(["square", "zen"], overflowing)
    assert values_of(squared, overflowing) is None
    assert Fitness([overflowing], "within_stratum", 2, 0, 0)(squared) == -np.inf


def test_a_stratum_that_is_not_ordered_counts_as_not_ordered(make: Make) -> None:
    """An expression that is constant in two of three strata gets a third of what it orders in the other."""
    measurements = make(noise=0)
    zen = np.where(measurements.strata == 1, measurements.accuracy, 0.0)
    partly = replace(measurements, values={**measurements.values, '"zen"': zen})
    fitness = Fitness([partly], "within_stratum", 1, 0, 0)
    assert fitness(expression("zen", partly)) == pytest.approx(1 / 3)


def test_a_stratified_sample_has_as_many_of_each_interval_of_accuracy() -> None:
    accuracy = np.concatenate([np.linspace(0.9, 1, 1000), np.linspace(0, 0.9, 45)])
    rows = stratified_sample(accuracy, np.random.default_rng(0))
    counts = np.histogram(accuracy[rows], bins=10, range=(0, 1))[0]
    assert counts[-1] == 30
    assert counts[:-1].sum() == 44  # the 45th is the lower bound of the last interval


def test_strata_too_small_to_compare_are_refused(make: Make) -> None:
    measurements = make(n=6)
    with pytest.raises(InputError, match="parts"):
        Fitness([measurements], "within_stratum", 3, 0, 0)


def test_rows_are_taken_with_their_layers(make: Make) -> None:
    from proxies.evolved.operators import Segments
    from proxies.evolved.types import Kind

    measurements = make(n=4)
    layers = Expression("l", Kind.LAYERS)
    with_layers = replace(
        measurements,
        terminals=(*measurements.terminals, layers),
        values={**measurements.values, layers.key: np.array([1.0, 2, 3, 4, 5, 6, 7])},
        segments=Segments.from_lengths([2, 1, 3, 1]),
    )
    taken = with_layers.take(np.array([0, 2]))
    assert taken.values[layers.key].tolist() == [1, 2, 4, 5, 6]
    total = Expression("sum", Kind.SCALAR, (layers,))
    values = values_of(total, taken)
    assert values is not None
    assert values.tolist() == [3, 15]
    assert [str(terminal.head) for terminal in taken.restricted(['"zen"']).terminals] == [TERMINALS[-1]]
