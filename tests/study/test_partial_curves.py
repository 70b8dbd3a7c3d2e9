"""Trainings that still run: their curves so far predict their ends, and never count as values or failures."""

from dataclasses import replace

import numpy as np
import pytest

from common.errors import InputError
from study import Observation, StudyPredictor, export_study, import_study, parse_observations, state_document
from study.partial_curves import MIN_CURVES
from study.training_set import TrainingSet
from tests.study.conftest import SPACE, architectures, definition, true_values

EPOCHS = 10
CAPACITY = dict(zip(architectures(200), np.random.default_rng(5).normal(size=200), strict=True))


def training(index: int, epochs: int = EPOCHS, *, informative: bool = True) -> Observation:
    """Training whose value has an effect that only the curve shows; it runs if it is shorter than `EPOCHS`."""
    architecture = list(CAPACITY)[index]
    value = true_values([architecture])[0] + 0.05 * CAPACITY[architecture]
    rng = np.random.default_rng(index)
    level = value if informative else 0.5
    curve = level * (1 - np.exp(-0.4 * np.arange(1, epochs + 1))) + 0.002 * rng.normal(size=epochs)
    ended = epochs == EPOCHS
    return Observation(
        architecture, float(np.clip(value, 0, 1)) if ended else None, curve=tuple(np.clip(curve, 0, 1).tolist())
    )


def finished(number: int, *, informative: bool = True) -> list[Observation]:
    return [training(i, informative=informative) for i in range(number)]


def error(predictor: StudyPredictor, indices: range) -> float:
    predictions = predictor.predict([list(CAPACITY)[i] for i in indices])
    values = [training(i).value for i in indices]
    return float(np.mean([abs(item.value - value) for item, value in zip(predictions, values, strict=True)]))  # type: ignore[operator]


def test_a_partial_curve_improves_the_prediction_and_its_interval() -> None:
    test = range(60, 120)
    running = [training(i, epochs=3) for i in test]
    without = StudyPredictor.fit(definition(), SPACE, finished(60))
    with_curves = StudyPredictor.fit(definition(), SPACE, [*finished(60), *running])
    assert error(with_curves, test) < 0.4 * error(without, test)
    items = [item.architecture for item in running]
    before, after = without.predict(items), with_curves.predict(items)
    assert {item.curve_length for item in before} == {None}
    assert {item.curve_length for item in after} == {3}
    widths = [
        np.mean([item.interval.high - item.interval.low for item in predictions if item.interval is not None])
        for predictions in (before, after)
    ]
    assert widths[1] < 0.5 * widths[0]
    inside = [
        item.interval.low <= (training(i).value or 0) <= item.interval.high
        for i, item in zip(test, after, strict=True)
        if item.interval is not None
    ]
    assert len(inside) == 60
    assert np.mean(inside) >= 0.8
    order = np.argsort([item.score for item in after], kind="stable")
    values = np.array([item.value for item in after])[order]
    assert (np.diff(values) >= 0).all(), "scores order as the values do"


def test_a_curve_that_tells_nothing_changes_little() -> None:
    test = range(80, 110)
    rows = finished(80, informative=False)
    running = [training(i, epochs=3, informative=False) for i in test]
    without = StudyPredictor.fit(definition(), SPACE, rows)
    with_curves = StudyPredictor.fit(definition(), SPACE, rows + running)
    assert error(with_curves, test) < 1.15 * error(without, test)


def test_other_architectures_are_predicted_as_without_running_trainings() -> None:
    rows, running = finished(30), [training(i, epochs=3) for i in range(30, 40)]
    others = architectures(20, seed=9)
    plain, both = (StudyPredictor.fit(definition(), SPACE, given) for given in (rows, rows + running))
    assert plain.predict(others) == both.predict(others)
    assert both.observed == {item.architecture for item in rows + running}
    assert both.num_trained == 30


def test_the_order_of_observations_does_not_matter_and_longer_curves_supersede() -> None:
    rows = [*finished(30), *(training(i, epochs=k) for i in range(30, 40) for k in (1, 2, 5))]
    shuffled = [rows[i] for i in np.random.default_rng(1).permutation(len(rows))] + rows[-5:]
    items = list(CAPACITY)[30:40]
    first, second = (StudyPredictor.fit(definition(), SPACE, given) for given in (rows, shuffled))
    assert first.predict(items) == second.predict(items)
    assert {item.curve_length for item in first.predict(items)} == {5}
    assert first.training_set.running == second.training_set.running


@pytest.mark.parametrize("end", [{"value": 0.5}, {"error": "diverged"}])
def test_an_end_supersedes_the_curve_in_any_order(end: dict[str, float | str]) -> None:
    running = training(0, epochs=3)
    ended = replace(running, **end)  # type: ignore[arg-type]
    for rows in ([running, ended], [ended, running]):
        collected = TrainingSet.from_observations(rows)
        assert collected.running == {}
        assert (len(collected.architectures), len(collected.failed)) == (("value" in end), ("error" in end))


def test_a_failure_without_reason_and_curve_is_no_running_training() -> None:
    collected = TrainingSet.from_observations([Observation(next(iter(CAPACITY)), None)])
    assert (collected.running, len(collected.failed)) == ({}, 1)


def test_curves_of_equal_length_count_as_their_mean() -> None:
    architecture = next(iter(CAPACITY))
    rows = [Observation(architecture, None, curve=curve) for curve in ((0.1, 0.2), (0.3, 0.4), (0.9,))]
    assert TrainingSet.from_observations(rows).running[architecture] == pytest.approx((0.2, 0.3))


@pytest.mark.parametrize("number", [MIN_CURVES - 1, MIN_CURVES])
def test_below_a_number_of_finished_curves_as_long_a_note_says_so(number: int) -> None:
    bare = [replace(training(i), curve=()) for i in range(100, 120)]  # trained, without a curve
    running = [training(i, epochs=3) for i in range(50, 52)]
    predictor = StudyPredictor.fit(definition(), SPACE, [*finished(number), *bare, *running])
    used = number >= MIN_CURVES
    assert {item.curve_length for item in predictor.predict([item.architecture for item in running])} == {
        3 if used else None
    }
    assert any("2 of 2 trainings that run are predicted without the curve" in note for note in predictor.notes) != used


def test_without_values_the_curve_is_not_used() -> None:
    predictor = StudyPredictor.fit(definition(), SPACE, [*finished(5), training(6, epochs=2)])
    (prediction,) = predictor.predict([list(CAPACITY)[6]])
    assert (prediction.value, prediction.curve_length) == (None, None)
    assert any("1 training that runs is predicted without" in note for note in predictor.notes)


def test_minimized_percentages_mirror_maximized_fractions() -> None:
    rows = [*finished(40), *(training(i, epochs=4) for i in range(40, 50))]
    errors = [
        replace(
            item,
            value=None if item.value is None else 100 * (1 - item.value),
            curve=tuple(100 * (1 - value) for value in item.curve),
        )
        for item in rows
    ]
    items = list(CAPACITY)[40:50]
    accuracy = StudyPredictor.fit(definition(), SPACE, rows).predict(items)
    mirrored = StudyPredictor.fit(definition("minimize", "percent"), SPACE, errors).predict(items)
    for first, second in zip(accuracy, mirrored, strict=True):
        assert second.score == pytest.approx(first.score, abs=1e-6)
        assert first.value is not None
        assert second.value == pytest.approx(100 * (1 - first.value), abs=1e-6)
        assert first.interval is not None
        assert second.interval is not None
        assert second.interval.low == pytest.approx(100 * (1 - first.interval.high), abs=1e-6)


def test_running_trainings_are_read_exported_and_counted() -> None:
    rows = [*finished(2), training(2, epochs=3)]
    document = export_study(definition(), SPACE, rows)
    assert {item.id for item in import_study(document)[2]} == {item.id for item in rows}
    assert state_document(definition(), SPACE, rows)["observations"] == {
        "total": 3,
        "trained": 2,
        "failed": 0,
        "running": 1,
        "architectures": 3,
    }
    data = [{"architecture": SPACE.to_json(rows[2].architecture), "value": None, "curve": [0.25, 1.5]}]
    with pytest.raises(InputError, match=r"observations\[0\].curve\[1\]"):
        parse_observations(SPACE, definition().metric, data)
