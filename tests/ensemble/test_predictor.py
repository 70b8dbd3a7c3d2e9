"""`Ensemble`: predictions, warnings, intervals and win probabilities on the synthetic benchmark."""

from dataclasses import replace

import numpy as np
import pytest

from ensemble import Benchmark, BenchmarkError, Ensemble, Estimate, ScoreTable, evaluate
from ensemble.calibration.applicability import MIN_INTERVAL_SCALE
from ensemble.calibration.conformal import LEVEL, ConformalResiduals
from models import Architecture, InputError, UnknownNameError
from tests.ensemble.conftest import COMBINERS
from tests.estimates import accuracy_of, interval_of

Rows = list[dict[str, float | None]]


@pytest.fixture
def archs(benchmark: Benchmark) -> list[Architecture]:
    return benchmark.architectures[:5]


@pytest.fixture
def rows(scores: ScoreTable, archs: list[Architecture]) -> Rows:
    return [dict(scores.features[arch.fingerprint]) for arch in archs]


def width(estimate: Estimate) -> float:
    interval = interval_of(estimate)
    return interval.high - interval.low


def test_with_scores_stacked_answers(ensemble: Ensemble, archs: list[Architecture], rows: Rows) -> None:
    for prediction in ensemble.predict(archs, rows):
        assert prediction.combiner == "stacked"
        assert tuple(prediction.combiners) == COMBINERS
        stacked = Estimate(prediction.accuracy, prediction.interval, prediction.percentile)
        assert prediction.combiners["stacked"] == stacked
        for estimate in prediction.combiners.values():
            assert estimate is not None
            assert 0 <= estimate.percentile <= 1
        assert prediction.warnings == []
        assert prediction.interval_scale == 1
        assert isinstance(prediction.accuracy, float)


def test_without_proxies_structure_answers_and_nothing_is_warned_of(
    ensemble: Ensemble, archs: list[Architecture]
) -> None:
    for prediction in ensemble.predict(archs):
        assert prediction.combiner == "structure"
        assert prediction.warnings == []
        available = {name for name, estimate in prediction.combiners.items() if estimate is not None}
        assert available == {"structure", "ridge", "rank_trees"}


def test_a_failed_proxy_stays_with_its_architecture(ensemble: Ensemble, archs: list[Architecture], rows: Rows) -> None:
    complete = ensemble.predict(archs, rows)
    rows[1]["zen"] = None
    del rows[2]["nwot"]
    incomplete = ensemble.predict(archs, rows)
    assert incomplete[0] == complete[0]
    assert incomplete[1].combiner == incomplete[2].combiner == "structure"
    assert incomplete[1].warnings == ["stacked cannot predict without scores of zen: the prediction is from structure"]
    assert incomplete[1].combiners["stacked"] is None
    assert incomplete[1].combiners["vote"] is not None
    assert ensemble.predict(archs, rows, "mean")[2].warnings == ["no scores of nwot"]


def test_the_combiner_can_be_chosen(ensemble: Ensemble, archs: list[Architecture], rows: Rows) -> None:
    assert {prediction.combiner for prediction in ensemble.predict(archs, rows, "vote")} == {"vote"}
    without_scores = ensemble.predict(archs, None, "vote")[0]
    assert without_scores.combiner == "structure"
    assert without_scores.warnings == ["vote cannot predict without proxy scores: the prediction is from structure"]
    with pytest.raises(UnknownNameError, match="stacked"):
        ensemble.predict(archs, rows, "oracle")
    with pytest.raises(InputError, match="one for each"):
        ensemble.predict(archs, rows[:1])


def test_no_architectures_have_no_predictions(ensemble: Ensemble) -> None:
    assert ensemble.predict([], []) == []


def test_percentiles_are_among_held_out_predictions(ensemble: Ensemble, benchmark: Benchmark) -> None:
    by_accuracy = sorted(ensemble.predict(benchmark.architectures), key=accuracy_of)
    assert by_accuracy == sorted(by_accuracy, key=lambda prediction: prediction.percentile)
    assert np.mean([prediction.percentile for prediction in by_accuracy]) == pytest.approx(0.5, abs=0.05)


def test_outside_of_the_reference_set(ensemble: Ensemble, benchmark: Benchmark) -> None:
    outlier = benchmark.space.parse({"layers": [["L2"], ["S"], ["S"], ["S"]]})
    (prediction,) = ensemble.predict([outlier])
    of_space = benchmark.space.warnings(outlier)
    assert prediction.warnings[: len(of_space)] == of_space != []
    assert any("structure is unlike" in warning for warning in prediction.warnings)
    assert prediction.interval_scale >= MIN_INTERVAL_SCALE
    inlier = next(arch for arch in benchmark.architectures if len(arch.mask) == 4)  # type: ignore[attr-defined]
    (inside,) = ensemble.predict([inlier])
    assert width(prediction) > 1.5 * width(inside)
    for name in ("structure", "ridge"):
        outer, inner = prediction.combiners[name], inside.combiners[name]
        assert outer is not None
        assert inner is not None
        assert width(outer) > width(inner), "the intervals of every combiner are widened"


def test_every_estimate_has_an_interval(ensemble: Ensemble, benchmark: Benchmark, scores: ScoreTable) -> None:
    rows = [scores.features[arch.fingerprint] for arch in benchmark.architectures]
    predictions = ensemble.predict(benchmark.architectures, rows)
    mean_width = {}
    for name in ensemble.combiners:
        estimates = [prediction.combiners[name] for prediction in predictions]
        known = [estimate for estimate in estimates if estimate is not None]
        assert len(known) == len(benchmark)
        for estimate in known:
            assert 0 <= interval_of(estimate).low < interval_of(estimate).high <= 1
            assert interval_of(estimate).level == LEVEL
        intervals = [interval_of(estimate) for estimate in known]
        predicted = [accuracy_of(estimate) for estimate in known]
        encloses = [ends.low <= value <= ends.high for ends, value in zip(intervals, predicted, strict=True)]
        assert np.mean(encloses) > 0.9
        covers = [ends.low <= y <= ends.high for ends, y in zip(intervals, benchmark.accuracy, strict=True)]
        assert np.mean(covers) > 0.85
        mean_width[name] = np.mean([width(estimate) for estimate in known])
    assert mean_width["stacked"] < mean_width["vote"], "the better combiner has the narrower intervals"


def test_the_interval_is_that_of_the_architectures_own_depth(plain: Ensemble, benchmark: Benchmark) -> None:
    residuals = ConformalResiduals(
        np.array([10.0]), np.array([-0.04, -0.01]), np.array([0.03, 0.02]), np.array([0.1, 0.02]), -0.1, 0.1, 2
    )
    fitted = {name: replace(combiner, residuals=residuals) for name, combiner in plain._fitted.items()}
    ensemble = Ensemble(plain.manifest, plain.space, fitted, plain.reference_set)
    predictions = ensemble.predict(benchmark.architectures)
    for depth, prediction in zip(benchmark.strata, predictions, strict=True):
        tails = (-0.04, 0.03) if depth == 10 else (-0.01, 0.02)
        interval, accuracy = interval_of(prediction), accuracy_of(prediction)
        assert [interval.low - accuracy, interval.high - accuracy] == pytest.approx(tails)
    probability = ensemble.win_probability(benchmark.architectures, predictions)
    deep, *_ = np.flatnonzero(benchmark.strata == 10)
    first, second = np.flatnonzero(benchmark.strata == 4)[:2]
    for i, j, std in ((first, second, (2 * 0.02**2) ** 0.5), (deep, first, (0.1**2 + 0.02**2) ** 0.5)):
        lead = accuracy_of(predictions[i]) - accuracy_of(predictions[j])
        assert probability[i, j] == pytest.approx(1 / (1 + np.exp(-2 * lead / std)))


def test_scores_that_were_computed_otherwise_are_warned_of(
    ensemble: Ensemble, archs: list[Architecture], rows: Rows
) -> None:
    reasons = ["the probe batch is another one", "zen has another version"]
    mismatched = ensemble.predict(archs, rows, score_mismatches=reasons)
    for plain, other in zip(ensemble.predict(archs, rows), mismatched, strict=True):
        assert other.warnings == reasons
        assert other.interval_scale >= MIN_INTERVAL_SCALE > plain.interval_scale
        assert other.accuracy == plain.accuracy
        low = interval_of(plain).low
        assert interval_of(other).low <= low - 0.5 * (accuracy_of(plain) - low)
        assert width(other) >= 1.9 * width(plain)
    assert ensemble.predict(archs, score_mismatches=reasons) == ensemble.predict(archs), "there are no scores"


def test_a_score_outside_of_the_reference_sets_range_is_warned_of(
    ensemble: Ensemble, archs: list[Architecture], rows: Rows
) -> None:
    rows[1]["zen"] = 1e6
    inside, outside = ensemble.predict(archs, rows)[:2]
    assert inside.warnings == []
    (warning,) = outside.warnings
    assert warning.startswith("zen: 1e+06, the ensemble was fitted on ")
    assert outside.interval_scale >= MIN_INTERVAL_SCALE


def test_win_probabilities_of_a_pair_sum_to_one(ensemble: Ensemble, archs: list[Architecture], rows: Rows) -> None:
    predictions = ensemble.predict(archs, rows)
    probability = ensemble.win_probability(archs, predictions)
    assert probability.shape == (5, 5)
    assert np.diag(probability).tolist() == [0.5] * 5
    assert probability + probability.T == pytest.approx(np.ones((5, 5)))
    accuracy = np.array([prediction.accuracy for prediction in predictions])
    assert probability[accuracy.argmax(), accuracy.argmin()] == probability.max() > 0.9
    assert np.array_equal(probability > 0.5, accuracy[:, None] > accuracy)


def test_win_probabilities_are_of_the_combiner_that_answered(
    ensemble: Ensemble, archs: list[Architecture], rows: Rows
) -> None:
    by_mean, by_structure = ensemble.predict(archs, rows, "mean"), ensemble.predict(archs)
    structure = ensemble.win_probability(archs, by_structure)
    assert not np.allclose(ensemble.win_probability(archs, by_mean), structure)
    mixed = [by_mean[0], *ensemble.predict(archs, [rows[0], *[{}] * 4], "mean")[1:]]
    assert {prediction.combiner for prediction in mixed} == {"mean", "structure"}
    assert np.array_equal(ensemble.win_probability(archs, mixed), structure)


def test_mismatched_scores_bring_win_probabilities_nearer_to_one_half(
    ensemble: Ensemble, archs: list[Architecture], rows: Rows
) -> None:
    plain = ensemble.win_probability(archs, ensemble.predict(archs, rows))
    unsure = ensemble.win_probability(archs, ensemble.predict(archs, rows, score_mismatches=["another batch"]))
    off_diagonal = ~np.eye(5, dtype=bool)
    assert (np.abs(unsure - 0.5)[off_diagonal] < np.abs(plain - 0.5)[off_diagonal]).all()
    assert ((unsure > 0.5) == (plain > 0.5)).all()


def test_explaining_an_unknown_combiner_or_too_few_scores(ensemble: Ensemble, archs: list[Architecture]) -> None:
    with pytest.raises(UnknownNameError, match="stacked"):
        ensemble.explain(archs[0], None, "oracle")
    assert ensemble.explain(archs[0], {}, "stacked").combiner == "structure"


def test_without_scores_at_fit(plain: Ensemble, archs: list[Architecture]) -> None:
    assert plain.combiners == ("ridge", "structure")
    assert plain.name == "synthetic"
    assert plain.predict(archs, [{}] * 5)[0].combiner == "structure"


def test_the_reference_set_is_the_benchmark(ensemble: Ensemble, benchmark: Benchmark) -> None:
    assert ensemble.reference_set.size == len(benchmark)
    assert set(ensemble.reference_set.proxy_quantiles) == set(ensemble.proxies)
    assert set(ensemble.held_out_predictions) == set(ensemble.combiners)
    for accuracy, depths in ensemble.held_out_predictions.values():
        assert (np.diff(accuracy) >= 0).all()
        assert sorted(depths) == sorted(benchmark.strata)


def test_a_vote_ranks_a_set_by_its_own_contests(ensemble: Ensemble, archs: list[Architecture], rows: Rows) -> None:
    voted = [prediction.ranking_score for prediction in ensemble.predict(archs, rows, "vote")]
    assert voted != [ensemble.predict(archs[:1], rows[:1], "vote")[0].ranking_score] * len(archs)
    assert sum(voted) == len(archs) * (len(archs) - 1) / 2, "every contest is won once"
    stacked = ensemble.predict(archs, rows)
    assert all(prediction.ranking_score == prediction.accuracy for prediction in stacked)
    without_scores = dict.fromkeys(rows[0])
    mixed = ensemble.predict(archs, [*rows[:-1], without_scores], "vote")
    assert {prediction.combiner for prediction in mixed} == {"vote", "structure"}
    assert all(one.ranking_score == one.accuracy for one in mixed), "only accuracies compare between combiners"


def test_a_proxy_without_scores_is_left_out_with_a_warning(
    benchmark: Benchmark, scores: ScoreTable, caplog: pytest.LogCaptureFixture
) -> None:
    features = {key: {**row, "zen": None} for key, row in scores.features.items()}
    fitted = Ensemble.fit(benchmark, ScoreTable(scores.header, features), folds=2, jobs=1, combiners=["mean"])
    assert fitted.proxies == ("grasp", "noise", "nwot")
    assert "zen" in caplog.text


def test_too_small_a_benchmark_is_refused(benchmark: Benchmark) -> None:
    small = Benchmark("small", benchmark.space, benchmark.entries[:19])
    with pytest.raises(BenchmarkError, match="at least 20"):
        Ensemble.fit(small)
    with pytest.raises(BenchmarkError, match="at least 20"):
        evaluate(small)
