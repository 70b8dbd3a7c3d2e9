import numpy as np
import pytest

from ensemble import Benchmark, FeatureTable, get_combiner
from ensemble.combiners import State
from ensemble.fitted_combiner import FittedCombiner

FOREST = get_combiner("forest")


@pytest.fixture(scope="module")
def holed(table: FeatureTable) -> FeatureTable:
    """Five architectures lack a score."""
    values = table.values.copy()
    values[:5, 0] = np.nan
    return FeatureTable(table.names, values)


@pytest.fixture(scope="module")
def member(holed: FeatureTable, benchmark: Benchmark) -> FittedCombiner:
    held_out = benchmark.accuracy.copy()[::-1]
    held_out[:3] = np.nan
    return FittedCombiner.fit(FOREST, holed, benchmark.accuracy, held_out, 0)


def test_rows_that_lack_scores_are_not_among_the_typical(member: FittedCombiner, holed: FeatureTable) -> None:
    assert member.typical is not None
    predicted = member.predict(holed)
    assert np.isnan(predicted[:5]).all()
    assert member.typical.means[-1].sum() == pytest.approx(predicted[5:].mean())
    depths = holed.select(["depth"])[:, 0]
    for depth in (4, 10):
        rows = (depths == depth) & (np.arange(len(depths)) >= 5)
        assert member.typical.at(depth).sum() == pytest.approx(predicted[rows].mean())


def test_percentiles_by_hand(member: FittedCombiner, benchmark: Benchmark) -> None:
    known = np.sort(benchmark.accuracy[::-1][3:])
    assert member.held_out.tolist() == known.tolist()
    n = len(known)
    asked = np.array([0.0, known[0], known[7], (known[7] + known[8]) / 2, 1.0])
    assert member.percentiles(asked).tolist() == pytest.approx([0, 50 / n, 750 / n, 800 / n, 100])


def test_predictions_are_fractions(table: FeatureTable) -> None:
    y = np.clip(table.select(["depth"])[:, 0] - 7, 0, 1)  # steps that a line overshoots
    member = FittedCombiner.fit(get_combiner("ridge"), table, y, y, 0)
    assert member.model.predict(table.select(member.info.columns(table.names))).min() < 0
    assert member.predict(table).min() == 0
    assert member.predict(table).max() == 1


def test_state_round_trip(member: FittedCombiner, holed: FeatureTable) -> None:
    again = FittedCombiner.of_state(FOREST, holed.names, 0, member.get_state())
    assert np.array_equal(again.predict(holed), member.predict(holed), equal_nan=True)
    assert np.array_equal(again.held_out, member.held_out)
    assert again.typical is not None
    assert member.typical is not None
    assert np.array_equal(again.typical.means, member.typical.means)
    assert again.errors.steepness == member.errors.steepness


@pytest.mark.parametrize("cut", [np.s_[1:], np.s_[:, 1:]])
def test_contributions_that_do_not_fit_are_refused(member: FittedCombiner, holed: FeatureTable, cut: slice) -> None:
    arrays = member.get_state().arrays
    arrays["typical/means"] = arrays["typical/means"][cut]
    with pytest.raises(ValueError, match="do not fit the columns"):
        FittedCombiner.of_state(FOREST, holed.names, 0, State(arrays))


def test_only_additive_combiners_have_something_typical(table: FeatureTable, benchmark: Benchmark) -> None:
    member = FittedCombiner.fit(get_combiner("mean"), table, benchmark.accuracy, benchmark.accuracy, 0)
    assert member.typical is None
    state = member.get_state()
    assert not any(name.startswith("typical/") for name in state.arrays)
    assert FittedCombiner.of_state(member.info, table.names, 0, state).typical is None
