"""Predictions: the set of observations determines them, in any unit and direction; notes say when they are poor."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from common.errors import CapabilityError
from ensemble.combiners.transfer import Transfer
from ensemble.evaluation.metrics import spearman
from ensemble.source import Source
from models import Architecture, EncodedSpace, SearchSpace
from study import Observation, StudyDefinition, StudyPredictor, estimate_quality
from study.predictor import reference_matrix
from tests.study.conftest import SOURCES, SPACE, architectures, definition, observations, true_values

TEST = architectures(200, seed=9)


@pytest.mark.parametrize("number", [0, 1, 25])
def test_the_order_and_repetition_of_observations_do_not_matter(number: int, sources: tuple[Source, ...]) -> None:
    rows, fields = observations(number), definition(sources=SOURCES)
    rows += [Observation(item.architecture, None, "failed") for item in observations(3, seed=5)]
    rows += [replace(item, value=0.5) for item in rows[:3]]  # trained twice
    shuffled = [rows[i] for i in np.random.default_rng(1).permutation(len(rows))] + rows[:7]
    first, second = (StudyPredictor.fit(fields, SPACE, given, sources) for given in (rows, shuffled))
    assert first.predict(TEST[:50]) == second.predict(TEST[:50])
    assert first.notes == second.notes
    assert first.num_observations == second.num_observations == len({item.id for item in rows})
    assert estimate_quality(first) == estimate_quality(second)


def test_values_and_intervals_from_twenty_trained_architectures_on() -> None:
    for number in (19, 20):
        predictor = StudyPredictor.fit(definition(), SPACE, observations(number))
        (prediction,) = predictor.predict(TEST[:1])
        assert (prediction.value is None, prediction.interval is None) == (number < 20, number < 20)
        assert (len(predictor.held_out_values) == number) == (number >= 20)
        assert any("values and intervals from 20 on" in note for note in predictor.notes) == (number < 20)
        assert 0 <= prediction.percentile <= 1


def test_predictions_order_and_intervals_cover_architectures_that_were_not_observed() -> None:
    predictions = StudyPredictor.fit(definition(), SPACE, observations(150)).predict(TEST)
    truth = np.array(true_values(TEST))
    rho = spearman(np.array([item.score for item in predictions]), truth)
    assert rho is not None
    assert rho > 0.6
    inside = [
        item.interval.low <= value <= item.interval.high
        for item, value in zip(predictions, truth, strict=True)
        if item.interval
    ]
    assert 0.8 <= np.mean(inside) <= 1.0
    assert all(item.value is not None and 0 <= item.value <= 1 for item in predictions)


def test_minimized_percentages_mirror_maximized_fractions() -> None:
    rows = observations(60)
    errors = [Observation(item.architecture, 100 * (1 - item.value)) for item in rows if item.value is not None]
    accuracy = StudyPredictor.fit(definition(), SPACE, rows).predict(TEST)
    error = StudyPredictor.fit(definition("minimize", "percent"), SPACE, errors).predict(TEST)
    assert np.allclose([item.score for item in accuracy], [item.score for item in error])
    for first, second in zip(accuracy, error, strict=True):
        assert first.value is not None
        assert first.interval is not None
        assert second.interval is not None
        assert second.value == pytest.approx(100 * (1 - first.value))
        assert second.interval.low == pytest.approx(100 * (1 - first.interval.high))
        assert 0 <= second.interval.low <= second.interval.high <= 100


def test_without_sources_and_observations_nothing_is_known() -> None:
    predictor = StudyPredictor.fit(definition(), SPACE, [])
    assert {(item.score, item.percentile) for item in predictor.predict(TEST[:5])} == {(0.0, 0.5)}
    assert "neither sources nor two trained architectures" in predictor.notes[0]


def test_sources_order_architectures_of_which_none_is_trained(sources: tuple[Source, ...]) -> None:
    predictor = StudyPredictor.fit(definition(sources=SOURCES), SPACE, [], sources)
    scores = [item.score for item in predictor.predict(TEST)]
    features, reference = predictor.features(TEST), reference_matrix(SPACE, sources)
    transfer = Transfer(len(sources), reference=reference).fit(features[:0], np.empty(0))
    assert scores == pytest.approx(transfer.predict(features))
    mean = np.mean([source.scores(TEST) for source in sources], axis=0)
    assert (spearman(np.array(scores), mean) or 0.0) > 0.95
    assert all(source.name in predictor.notes[0] for source in sources)


def test_equal_values_have_no_order() -> None:
    rows = [replace(item, value=0.5) for item in observations(30)]
    predictor = StudyPredictor.fit(definition(), SPACE, rows)
    assert {item.value for item in predictor.predict(TEST[:20])} == {0.5}
    assert "all 30 trained architectures have the same value: there is no order" in predictor.notes[0]
    quality = estimate_quality(predictor)
    assert quality.spearman is None


def test_failed_trainings_are_no_values() -> None:
    rows = observations(40)
    failed = [Observation(item.architecture, None, "out of memory") for item in observations(10, seed=3)]
    plain, both = (StudyPredictor.fit(definition(), SPACE, given) for given in (rows, rows + failed))
    values, same = ([item.value for item in predictor.predict(TEST)] for predictor in (plain, both))
    assert values == same
    assert (both.num_observations, both.num_trained) == (50, 40)
    assert all(item.failure_probability is None for item in plain.predict(TEST[:3]))
    assert all(0 <= (item.failure_probability or 0) <= 1 for item in both.predict(TEST))


def test_failures_that_structure_explains_are_predicted() -> None:
    def has_gat(architecture: Any) -> bool:
        return "gat" in architecture.ops

    rows = [replace(item, value=None) if has_gat(item.architecture) else item for item in observations(120)]
    predictions = StudyPredictor.fit(definition(), SPACE, rows).predict(TEST)
    risks: dict[bool, list[float]] = {False: [], True: []}
    for architecture, prediction in zip(TEST, predictions, strict=True):
        assert prediction.failure_probability is not None
        risks[has_gat(architecture)].append(prediction.failure_probability)
    assert np.mean(risks[True]) > 0.8 > 0.2 > np.mean(risks[False])


def test_a_success_outweighs_the_failures_of_the_same_architecture() -> None:
    rows = observations(5)
    again = [Observation(rows[0].architecture, None, "preempted")]
    predictor = StudyPredictor.fit(definition(), SPACE, rows + again)
    assert predictor.training_set.failed == ()
    assert predictor.num_observations == 6


def test_few_failures_are_noted() -> None:
    failed = [Observation(item.architecture, None) for item in observations(2, seed=3)]
    notes = StudyPredictor.fit(definition(), SPACE, observations(30) + failed).notes
    assert notes == (
        "2 of 32 observed architectures failed to train: too few have failed or succeeded for a failure probability",
    )
    (only,) = StudyPredictor.fit(definition(), SPACE, failed).predict(TEST[:1])
    assert (only.value, only.failure_probability) == (None, None)


def test_architectures_outside_of_the_observed_range_are_marked() -> None:
    assert isinstance(SPACE, EncodedSpace)
    rows = [item for item in observations(400) if SPACE.stratum(item.architecture) in (2, 3)]
    predictor = StudyPredictor.fit(definition(), SPACE, rows)
    deep = SPACE.sample(np.random.default_rng(0), depth=4)
    (prediction,) = predictor.predict([deep])
    assert "depth: 4, the study has trained 2, 3" in prediction.warnings
    inside = predictor.predict([item.architecture for item in rows])
    assert not any(item.warnings for item in inside)


def test_a_space_without_features_is_refused() -> None:
    class Bare(SearchSpace[Any]):
        name = "bare"

        @property
        def settings(self) -> dict[str, Any]:
            return {}

        def describe(self) -> dict[str, Any]:
            return {}

        def json_schema(self) -> dict[str, Any]:
            return {}

        def parse(self, obj: Any) -> Architecture:
            raise NotImplementedError

        def to_json(self, arch: Architecture) -> dict[str, Any]:
            raise NotImplementedError

        def sample(self, rng: np.random.Generator, **fixed: Any) -> Architecture:
            raise NotImplementedError

    with pytest.raises(CapabilityError, match="structural features or costs"):
        StudyPredictor.fit(StudyDefinition("bare", "bare"), Bare(), [])


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_the_largest_values_of_a_number_stay_finite(direction: str) -> None:
    rows = [replace(item, value=1e100 * (-1) ** i) for i, item in enumerate(observations(30))]
    again = replace(rows[0], value=0.9e100)
    predictor = StudyPredictor.fit(definition(direction, "number"), SPACE, [*rows, again])
    for prediction in predictor.predict(architectures(10)):
        assert prediction.value is not None
        assert prediction.interval is not None
        assert np.isfinite(
            [prediction.score, prediction.value, prediction.interval.low, prediction.interval.high]
        ).all()
