from dataclasses import replace

import numpy as np
import pytest

from ensemble import Benchmark, BenchmarkError, Ensemble, ScoreTable, combiner_names, evaluate
from ensemble.calibration.applicability import FAR
from ensemble.calibration.conformal import ConformalResiduals
from ensemble.predictor import Answer, Prediction
from models import Architecture, InputError, UnknownNameError

Rows = list[dict[str, float | None]]


@pytest.fixture
def archs(benchmark: Benchmark) -> list[Architecture]:
    return benchmark.architectures[:5]


@pytest.fixture
def rows(scores: ScoreTable, archs: list[Architecture]) -> Rows:
    return [dict(scores.features[arch.fingerprint]) for arch in archs]


def test_with_scores_stacked_answers(ensemble: Ensemble, archs: list[Architecture], rows: Rows) -> None:
    for prediction in ensemble.predict(archs, rows):
        assert prediction.combiner == "stacked"
        assert list(prediction.combiners) == combiner_names()
        assert prediction.combiners["stacked"] == Answer(
            prediction.accuracy, prediction.percentile, prediction.low, prediction.high
        )
        assert all(answer is not None and 0 <= answer.percentile <= 100 for answer in prediction.combiners.values())
        assert prediction.warnings == []
        assert prediction.stretch == 1
        assert isinstance(prediction.accuracy, float)


def test_without_proxies_structure_answers_and_nothing_is_warned_of(
    ensemble: Ensemble, archs: list[Architecture]
) -> None:
    for prediction in ensemble.predict(archs):
        assert prediction.combiner == "structure"
        assert prediction.warnings == []
        spoken = {name for name, answer in prediction.combiners.items() if answer is not None}
        assert spoken == {"structure", "ridge"}


def test_a_failed_proxy_stays_with_its_architecture(ensemble: Ensemble, archs: list[Architecture], rows: Rows) -> None:
    whole = ensemble.predict(archs, rows)
    rows[1]["zen"] = None
    del rows[2]["nwot"]
    holed = ensemble.predict(archs, rows)
    assert holed[0] == whole[0]
    assert holed[1].combiner == holed[2].combiner == "structure"
    assert holed[1].warnings == ["stacked cannot tell without scores of zen: the prediction is from structure"]
    assert holed[1].combiners["stacked"] is None
    assert holed[1].combiners["vote"] is not None
    assert ensemble.predict(archs, rows, "mean")[2].warnings == ["no scores of nwot"]


def test_asking_for_a_combiner(ensemble: Ensemble, archs: list[Architecture], rows: Rows) -> None:
    assert {p.combiner for p in ensemble.predict(archs, rows, "vote")} == {"vote"}
    silent = ensemble.predict(archs, None, "vote")[0]
    assert silent.combiner == "structure"
    assert silent.warnings == ["vote cannot tell without proxy scores: the prediction is from structure"]
    with pytest.raises(UnknownNameError, match="stacked"):
        ensemble.predict(archs, rows, "oracle")
    with pytest.raises(InputError, match="one for each"):
        ensemble.predict(archs, rows[:1])


def test_nothing_is_said_of_nothing(ensemble: Ensemble) -> None:
    assert ensemble.predict([], []) == []


def test_percentiles_are_among_held_out_predictions(ensemble: Ensemble, benchmark: Benchmark) -> None:
    def percentile(prediction: Prediction) -> float:
        return prediction.percentile

    predictions = sorted(ensemble.predict(benchmark.architectures), key=lambda prediction: prediction.accuracy)
    assert predictions == sorted(predictions, key=percentile)
    assert np.mean([percentile(prediction) for prediction in predictions]) == pytest.approx(50, abs=5)


def test_outside_of_the_population(ensemble: Ensemble, benchmark: Benchmark) -> None:
    strange = benchmark.space.parse({"layers": [["L2"], ["S"], ["S"], ["S"]]})
    (prediction,) = ensemble.predict([strange])
    own = benchmark.space.warnings(strange)
    assert prediction.warnings[: len(own)] == own != []
    assert any("modules are unlike" in warning for warning in prediction.warnings)
    assert prediction.stretch >= FAR
    like_it = next(arch for arch in benchmark.architectures if len(arch.mask) == 4)  # type: ignore[attr-defined]
    (inside,) = ensemble.predict([like_it])
    assert width(prediction) > 1.5 * width(inside)
    for name in ("structure", "ridge"):
        outer, inner = prediction.combiners[name], inside.combiners[name]
        assert outer is not None
        assert inner is not None
        assert width(outer) > width(inner), "every combiner is less sure of it"


def width(answer: Answer) -> float:
    return answer.high - answer.low


def test_every_answer_has_an_interval(ensemble: Ensemble, benchmark: Benchmark, scores: ScoreTable) -> None:
    rows = [scores.features[arch.fingerprint] for arch in benchmark.architectures]
    predictions = ensemble.predict(benchmark.architectures, rows)
    for name in ensemble.combiners:
        answers = [one.combiners[name] for one in predictions]
        for answer in answers:
            assert answer is not None
            assert 0 <= answer.low < answer.high <= 1
        holds = [a.low <= a.accuracy <= a.high for a in answers if a is not None]
        assert np.mean(holds) > 0.9
        inside = [a.low <= y <= a.high for a, y in zip(answers, benchmark.accuracy, strict=True) if a is not None]
        assert np.mean(inside) > 0.85
    stacked, vote = (np.mean([width(one.combiners[name]) for one in predictions]) for name in ("stacked", "vote"))  # type: ignore[arg-type]
    assert stacked < vote, "who knows more is surer"


def test_the_interval_is_that_of_the_architectures_own_depth(plain: Ensemble, benchmark: Benchmark) -> None:
    own = ConformalResiduals(
        np.array([10.0]), np.array([-0.04, -0.01]), np.array([0.03, 0.02]), np.array([0.1, 0.02]), -0.1, 0.1, 2
    )
    members = {name: replace(member, errors=own) for name, member in plain._members.items()}
    ensemble = Ensemble(plain.manifest, plain.space, members, plain._population)
    predictions = ensemble.predict(benchmark.architectures)
    for depth, one in zip(benchmark.strata, predictions, strict=True):
        tails = (-0.04, 0.03) if depth == 10 else (-0.01, 0.02)
        assert [one.low - one.accuracy, one.high - one.accuracy] == pytest.approx(tails)
    beats = ensemble.beats(benchmark.architectures, predictions)
    deep, *_ = np.flatnonzero(benchmark.strata == 10)
    first, second = np.flatnonzero(benchmark.strata == 4)[:2]
    for i, j, spread in ((first, second, (2 * 0.02**2) ** 0.5), (deep, first, (0.1**2 + 0.02**2) ** 0.5)):
        lead = predictions[i].accuracy - predictions[j].accuracy
        assert beats[i, j] == pytest.approx(1 / (1 + np.exp(-2 * lead / spread)))


def test_scores_that_were_computed_otherwise_are_warned_of(
    ensemble: Ensemble, archs: list[Architecture], rows: Rows
) -> None:
    reasons = ["the probe batch is another one", "zen has another version"]
    for plain, other in zip(ensemble.predict(archs, rows), ensemble.predict(archs, rows, unlike=reasons), strict=True):
        assert other.warnings == reasons
        assert other.stretch >= FAR > plain.stretch
        assert other.accuracy == plain.accuracy
        assert other.low <= plain.low - 0.5 * (plain.accuracy - plain.low)
        assert width(other) >= 1.9 * width(plain)
    assert ensemble.predict(archs, unlike=reasons) == ensemble.predict(archs), "no scores, nothing to be unlike"


def test_a_score_beyond_the_populations_is_warned_of(ensemble: Ensemble, archs: list[Architecture], rows: Rows) -> None:
    rows[1]["zen"] = 1e6
    plain, far = ensemble.predict(archs, rows)[:2]
    assert plain.warnings == []
    (warning,) = far.warnings
    assert warning.startswith("zen: 1e+06, the ensemble was fitted on ")
    assert far.stretch >= FAR


def test_one_of_a_pair_is_better(ensemble: Ensemble, archs: list[Architecture], rows: Rows) -> None:
    predictions = ensemble.predict(archs, rows)
    beats = ensemble.beats(archs, predictions)
    assert beats.shape == (5, 5)
    assert np.diag(beats).tolist() == [0.5] * 5
    assert beats + beats.T == pytest.approx(np.ones((5, 5)))
    accuracy = np.array([prediction.accuracy for prediction in predictions])
    assert beats[accuracy.argmax(), accuracy.argmin()] == beats.max() > 0.9
    assert np.array_equal(beats > 0.5, accuracy[:, None] > accuracy)


def test_probabilities_are_of_the_combiner_that_answered(
    ensemble: Ensemble, archs: list[Architecture], rows: Rows
) -> None:
    by_mean, by_structure = ensemble.predict(archs, rows, "mean"), ensemble.predict(archs)
    structure = ensemble.beats(archs, by_structure)
    assert not np.allclose(ensemble.beats(archs, by_mean), structure)
    mixed = [by_mean[0], *ensemble.predict(archs, [rows[0], *[{}] * 4], "mean")[1:]]
    assert {prediction.combiner for prediction in mixed} == {"mean", "structure"}
    assert np.array_equal(ensemble.beats(archs, mixed), structure)


def test_nobody_is_surely_better_among_scores_that_are_unlike(
    ensemble: Ensemble, archs: list[Architecture], rows: Rows
) -> None:
    plain = ensemble.beats(archs, ensemble.predict(archs, rows))
    unsure = ensemble.beats(archs, ensemble.predict(archs, rows, unlike=["another batch"]))
    apart = ~np.eye(5, dtype=bool)
    assert (np.abs(unsure - 0.5)[apart] < np.abs(plain - 0.5)[apart]).all()
    assert ((unsure > 0.5) == (plain > 0.5)).all()


def test_explaining_an_unknown_combiner_or_too_few_scores(ensemble: Ensemble, archs: list[Architecture]) -> None:
    with pytest.raises(UnknownNameError, match="stacked"):
        ensemble.explain(archs[0], None, "oracle")
    assert ensemble.explain(archs[0], {}, "stacked").combiner == "structure"


def test_without_scores_at_fit(plain: Ensemble, archs: list[Architecture]) -> None:
    assert plain.combiners == ("ridge", "structure")
    assert plain.name == "synthetic"
    assert plain.predict(archs, [{}] * 5)[0].combiner == "structure"


def test_a_vote_ranks_a_set_by_its_own_contests(ensemble: Ensemble, archs: list[Architecture], rows: Rows) -> None:
    voted = ensemble.predict(archs, rows, "vote")
    assert [p.order for p in voted] != [p.order for p in ensemble.predict(archs[:1], rows[:1], "vote")] * len(archs)
    assert sum(p.order for p in voted) == len(archs) * (len(archs) - 1) / 2, "every contest is won once"
    assert [p.order for p in ensemble.predict(archs, rows)] == [p.accuracy for p in ensemble.predict(archs, rows)]
    silent = dict.fromkeys(rows[0])
    mixed = ensemble.predict(archs, [*rows[:-1], silent], "vote")
    assert {p.combiner for p in mixed} == {"vote", "structure"}
    assert [p.order for p in mixed] == [p.accuracy for p in mixed], "of two combiners only accuracies compare"


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
