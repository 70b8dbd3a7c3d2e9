import numpy as np
import pytest

from ensemble import Benchmark, BenchmarkError, Ensemble, ScoreTable, combiner_names, evaluate
from ensemble.predictor import Prediction
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
        assert prediction.combiners["stacked"] == {
            "accuracy": prediction.accuracy,
            "percentile": prediction.percentile,
        }
        assert all(answer is not None and 0 <= answer["percentile"] <= 100 for answer in prediction.combiners.values())
        assert prediction.warnings == []
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
    assert holed[0].accuracy == pytest.approx(whole[0].accuracy, abs=1e-12)
    assert holed[0].warnings == []
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


def test_one_by_one_is_all_at_once(ensemble: Ensemble, archs: list[Architecture], rows: Rows) -> None:
    together = ensemble.predict(archs, rows)
    alone = [ensemble.predict([arch], [row])[0] for arch, row in zip(archs, rows, strict=True)]
    assert [p.accuracy for p in alone] == pytest.approx([p.accuracy for p in together], abs=1e-9)
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
    assert prediction.warnings == benchmark.space.warnings(strange) != []


def test_without_scores_at_fit(benchmark: Benchmark, archs: list[Architecture]) -> None:
    plain = Ensemble.fit(benchmark, combiners=["ridge", "vote"], folds=2, jobs=1)
    assert plain.combiners == ("ridge", "structure")
    assert plain.name == "synthetic"
    assert plain.predict(archs, [{}] * 5)[0].combiner == "structure"
    with pytest.raises(UnknownNameError):
        plain.vote_ranks([])


def test_vote_inside_a_set(ensemble: Ensemble, rows: Rows) -> None:
    ranks = ensemble.vote_ranks(rows)
    assert ranks.sum() == pytest.approx(5 * 4 / 2)


def test_a_vote_ranks_a_set_by_its_own_contests(ensemble: Ensemble, archs: list[Architecture], rows: Rows) -> None:
    voted = ensemble.predict(archs, rows, "vote")
    assert [p.order for p in voted] == ensemble.vote_ranks(rows).tolist()
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
