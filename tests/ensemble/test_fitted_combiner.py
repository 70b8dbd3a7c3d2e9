"""`FittedCombiner`: missing scores, percentiles and state."""

import numpy as np
import pytest

from ensemble import Benchmark, FeatureTable, get_combiner
from ensemble.combiners import State
from ensemble.fitted_combiner import FittedCombiner

FOREST = get_combiner("forest")


@pytest.fixture(scope="module")
def incomplete(table: FeatureTable) -> FeatureTable:
    """The benchmark's features, with a missing score in each of the first five rows."""
    values = table.values.copy()
    values[:5, 0] = np.nan
    return FeatureTable(table.columns, values)


@pytest.fixture(scope="module")
def fitted(incomplete: FeatureTable, benchmark: Benchmark) -> FittedCombiner:
    held_out = benchmark.accuracy.copy()[::-1]
    held_out[:3] = np.nan
    return FittedCombiner.fit(FOREST, incomplete, benchmark.accuracy, held_out, 0)


def test_rows_that_lack_scores_are_not_among_the_mean_contributions(
    fitted: FittedCombiner, incomplete: FeatureTable
) -> None:
    assert fitted.mean_contributions is not None
    predicted = fitted.predict(incomplete)
    assert np.isnan(predicted[:5]).all()
    assert fitted.mean_contributions.means[-1].sum() == pytest.approx(predicted[5:].mean())
    depths = incomplete.select(["depth"])[:, 0]
    for depth in (4, 10):
        rows = (depths == depth) & (np.arange(len(depths)) >= 5)
        assert fitted.mean_contributions.at(depth).sum() == pytest.approx(predicted[rows].mean())


def test_percentiles_by_hand(fitted: FittedCombiner, benchmark: Benchmark) -> None:
    known = np.sort(benchmark.accuracy[::-1][3:])
    assert fitted.held_out.tolist() == known.tolist()
    n = len(known)
    accuracy = np.array([0.0, known[0], known[7], (known[7] + known[8]) / 2, 1.0])
    assert fitted.percentiles(accuracy).tolist() == pytest.approx([0, 0.5 / n, 7.5 / n, 8 / n, 1])


def test_predictions_are_fractions(table: FeatureTable) -> None:
    y = np.clip(table.select(["depth"])[:, 0] - 7, 0, 1)  # a step function, which a linear model overshoots
    fitted = FittedCombiner.fit(get_combiner("ridge"), table, y, y, 0)
    assert fitted.estimator.predict(table.select(fitted.info.columns(table.names))).min() < 0
    assert fitted.predict(table).min() == 0
    assert fitted.predict(table).max() == 1


def test_state_round_trip(fitted: FittedCombiner, incomplete: FeatureTable) -> None:
    restored = FittedCombiner.from_state(FOREST, incomplete.columns, 0, fitted.get_state())
    assert np.array_equal(restored.predict(incomplete), fitted.predict(incomplete), equal_nan=True)
    assert np.array_equal(restored.held_out, fitted.held_out)
    assert np.array_equal(restored.strata, fitted.strata)
    assert restored.mean_contributions is not None
    assert fitted.mean_contributions is not None
    assert np.array_equal(restored.mean_contributions.means, fitted.mean_contributions.means)
    assert restored.residuals is not None
    assert fitted.residuals is not None
    assert restored.residuals.slope == fitted.residuals.slope


@pytest.mark.parametrize("cut", [np.s_[1:], np.s_[:, 1:]])
def test_contributions_that_do_not_fit_are_refused(
    fitted: FittedCombiner, incomplete: FeatureTable, cut: slice
) -> None:
    arrays = fitted.get_state().arrays
    arrays["mean_contributions/means"] = arrays["mean_contributions/means"][cut]
    with pytest.raises(ValueError, match="do not fit the columns"):
        FittedCombiner.from_state(FOREST, incomplete.columns, 0, State(arrays))


def test_only_additive_combiners_have_mean_contributions(table: FeatureTable, benchmark: Benchmark) -> None:
    fitted = FittedCombiner.fit(get_combiner("mean"), table, benchmark.accuracy, benchmark.accuracy, 0)
    assert fitted.mean_contributions is None
    state = fitted.get_state()
    assert not any(name.startswith("mean_contributions/") for name in state.arrays)
    assert FittedCombiner.from_state(fitted.info, table.columns, 0, state).mean_contributions is None
