"""Ensembles that learn from sources: ensembles of other tasks of the same search space."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ensemble import (
    Benchmark,
    BenchmarkError,
    Ensemble,
    Entry,
    Prediction,
    ScoreTable,
    card,
    load_benchmark,
    shortcomings,
)
from ensemble.combiners import TRANSFER
from ensemble.combiners.base import spearman
from ensemble.evaluation.protocol import benchmark_features
from ensemble.training import REFERENCE_SIZE
from models import Architecture, InputError, get_space
from service.settings import SHIPPED
from tests.conftest import data_folder

COMBINERS = ("ridge", "forest", TRANSFER)


def other_task(benchmark: Benchmark, name: str) -> Ensemble:
    """Ensemble of the same architectures on a task with similar accuracies, of other settings of the space."""
    noise = 0.001 * np.random.default_rng(len(name)).normal(size=len(benchmark))
    accuracy = 0.5 * benchmark.accuracy + noise
    entries = [
        Entry(entry.architecture, float(value)) for entry, value in zip(benchmark.entries, accuracy, strict=True)
    ]
    task = Benchmark(name, get_space("gcn-nas", num_classes=7), tuple(entries))
    return Ensemble.fit(task, combiners=["ridge"], default="ridge", folds=2, jobs=1)


@pytest.fixture(scope="module")
def sources(benchmark: Benchmark) -> list[Ensemble]:
    return [other_task(benchmark, "first"), other_task(benchmark, "another")]


@pytest.fixture(scope="module")
def transferred(benchmark: Benchmark, scores: ScoreTable, sources: list[Ensemble]) -> Ensemble:
    return Ensemble.fit(benchmark, scores, combiners=COMBINERS, sources=sources, folds=2, jobs=1)


@pytest.fixture(scope="module")
def rows(benchmark: Benchmark, scores: ScoreTable) -> list[dict[str, float | None]]:
    return [dict(scores.features[arch.fingerprint]) for arch in benchmark.architectures]


def ranks(benchmark: Benchmark, sources: Sequence[Ensemble], size: int) -> Ensemble:
    return Ensemble.fit(benchmark.sample(size, seed=1), sources=sources, folds=2, jobs=1)


def without(prediction: Prediction, combiner: str) -> Prediction:
    estimates = {name: estimate for name, estimate in prediction.combiners.items() if name != combiner}
    return replace(prediction, combiners=estimates)


def test_transfer_predicts_with_and_without_scores(
    transferred: Ensemble, benchmark: Benchmark, rows: list[dict[str, float | None]]
) -> None:
    assert transferred.default_combiner == TRANSFER
    for scores in (None, rows):
        predictions = transferred.predict(benchmark.architectures, scores)
        assert {prediction.combiner for prediction in predictions} == {TRANSFER}
        assert all(0 < (prediction.accuracy or 0) < 1 and prediction.interval for prediction in predictions)


def test_other_combiners_are_the_same_without_sources(
    transferred: Ensemble, benchmark: Benchmark, scores: ScoreTable, rows: list[dict[str, float | None]]
) -> None:
    alone = Ensemble.fit(benchmark, scores, combiners=COMBINERS[:-1], default="ridge", folds=2, jobs=1)
    architectures = [*benchmark.architectures, benchmark.space.parse({"layers": [["S"]] * 4})]
    for name in COMBINERS[:-1]:
        expected = alone.predict(architectures, [*rows, {}], name)
        predicted = transferred.predict(architectures, [*rows, {}], name)
        assert [without(prediction, TRANSFER) for prediction in predicted[:-1]] == expected[:-1]
        assert predicted[-1].warnings[:2] == expected[-1].warnings[:2]
        assert alone.manifest["metrics"]["combiners"][name] == transferred.manifest["metrics"]["combiners"][name]


def test_a_prediction_is_the_same_alone_and_in_a_batch(
    transferred: Ensemble, benchmark: Benchmark, sources: list[Ensemble]
) -> None:
    for ensemble in (transferred, ranks(benchmark, sources, 5)):
        together = ensemble.predict(benchmark.architectures[:20])
        assert [ensemble.predict([arch])[0] for arch in benchmark.architectures[:20]] == together


@pytest.mark.parametrize("size", [0, 1, 2, 19, 20])
def test_round_trip(size: int, benchmark: Benchmark, sources: list[Ensemble], tmp_path: Path) -> None:
    ensemble = Ensemble.fit(benchmark.sample(size), combiners=[TRANSFER, "ridge"], sources=sources, folds=2, jobs=1)
    ensemble.save(tmp_path / "saved")
    loaded = Ensemble.load(tmp_path / "saved")
    assert loaded.predict(benchmark.architectures) == ensemble.predict(benchmark.architectures)
    assert [source.name for source in loaded.sources] == ["first", "another"]
    assert card(loaded.manifest) | {"hash": None} == card(ensemble.manifest)
    assert all(source.fitted.mean_contributions is None for source in loaded.sources)


@pytest.mark.parametrize("size", [0, 1, 19])
def test_few_rows_give_ranks_and_no_accuracies(size: int, benchmark: Benchmark, sources: list[Ensemble]) -> None:
    ensemble = ranks(benchmark, sources, size)
    assert ensemble.ranks_only
    assert ensemble.combiners == (TRANSFER,)
    predictions = ensemble.predict(benchmark.architectures)
    for prediction in predictions:
        assert (prediction.accuracy, prediction.interval) == (None, None)
        assert 0 <= prediction.percentile <= 1
        assert prediction.warnings[0].startswith("ranks and percentiles only")
        assert prediction.interval_scale == 1
    by_score = sorted(predictions, key=lambda prediction: prediction.ranking_score)
    assert by_score == sorted(by_score, key=lambda prediction: prediction.percentile)
    assert np.corrcoef([one.ranking_score for one in predictions], benchmark.accuracy)[0, 1] > 0.5
    assert ensemble.held_out_predictions == {}
    assert REFERENCE_SIZE / 2 < ensemble.reference_set.size <= REFERENCE_SIZE


def test_the_note_says_what_ranks_rest_on(benchmark: Benchmark, sources: list[Ensemble]) -> None:
    for size, used, origin in (
        (0, sources, "on 2 sources alone:"),
        (1, sources[:1], "on 1 source alone:"),
        (2, sources, "on 2 trained architectures and 2 sources:"),
        (19, sources, "on 19 trained architectures and 2 sources:"),
    ):
        ensemble = ranks(benchmark, used, size)
        (prediction,) = ensemble.predict(benchmark.architectures[:1])
        assert origin in prediction.warnings[0]
        assert [limitation for limitation in card(ensemble.manifest)["limitations"] if origin in limitation]
        assert shortcomings(ensemble.manifest) == []


def test_what_needs_accuracies_is_refused(benchmark: Benchmark, sources: list[Ensemble]) -> None:
    ensemble, architectures = ranks(benchmark, sources, 5), benchmark.architectures[:2]
    for call in (
        lambda: ensemble.win_probability(architectures, ensemble.predict(architectures)),
        lambda: ensemble.explain(architectures[0]),
        lambda: ensemble.suggest_mutations(architectures[0]),
        ensemble.as_source,
    ):
        with pytest.raises(InputError, match=r"(ensemble|source): got 'synthetic'"):
            call()


def test_random_architectures_are_the_reference_set_of_ranks(benchmark: Benchmark, sources: list[Ensemble]) -> None:
    ensemble, rng = ranks(benchmark, sources, 1), np.random.default_rng(7)
    predictions = ensemble.predict([benchmark.space.sample(rng) for _ in range(200)])
    assert np.mean([prediction.percentile for prediction in predictions]) == pytest.approx(0.5, abs=0.1)
    (unlike,) = ensemble.predict([benchmark.space.parse({"mask": [[1] * 8] * 10})])
    assert any("a random sample of the space has" in warning for warning in unlike.warnings)


def test_the_manifest_describes_the_sources(transferred: Ensemble, sources: list[Ensemble]) -> None:
    (first, _) = card(transferred.manifest)["sources"]
    summary = sources[0].manifest["benchmark"]
    assert (first["name"], first["rows"], first["data_hash"]) == ("first", summary["size"], summary["data_hash"])
    assert first["settings"]["num_classes"] == 7
    assert first["task"] == sources[0].manifest["task"]
    assert card(transferred.manifest)["features"]["sources"] == 2
    assert {"source.first", "source.another"} <= set(transferred.manifest["columns"])


def test_an_explanation_is_of_a_combiner_with_contributions(transferred: Ensemble, benchmark: Benchmark) -> None:
    explanation = transferred.explain(benchmark.architectures[0])
    groups = {attribution.feature_group for attribution in explanation.attributions}
    (prediction,) = transferred.predict(benchmark.architectures[:1], combiner=explanation.combiner)
    total = explanation.base_value + sum(attribution.contribution for attribution in explanation.attributions)
    assert total == pytest.approx(prediction.accuracy, abs=1e-6)
    assert any(group.startswith("source ") for group in groups) == (explanation.combiner == TRANSFER)


def test_sources_that_cannot_be_used_are_refused(
    benchmark: Benchmark, sources: list[Ensemble], transferred: Ensemble
) -> None:
    first = sources[0]

    def fit(*used: Ensemble, rows: int = 0) -> Ensemble:
        return Ensemble.fit(benchmark.sample(rows), sources=used, folds=2, jobs=1)

    with pytest.raises(InputError, match=r"sources\[1\]: got 'first'; allowed: a name that no earlier source has"):
        fit(first, first)
    graph = Ensemble.load(SHIPPED / "nas-bench-graph-cora")
    with pytest.raises(InputError, match=r"sources\[1\]: .*nas-bench-graph.*allowed: an ensemble of gcn-nas"):
        fit(first, graph)
    with pytest.raises(InputError, match=r"sources\[0\]: .* with a combiner that predicts from structure alone"):
        fit(Ensemble({**first.manifest, "name": "x"}, first.space, {}, first.reference_set))
    with pytest.raises(InputError, match=r"sources\[0\]: got 'synthetic, fitted to the benchmark synthetic'"):
        fit(transferred)


def test_a_source_that_has_seen_the_accuracies_is_refused(benchmark: Benchmark, sources: list[Ensemble]) -> None:
    renamed = replace(benchmark, name="renamed")
    seen = Ensemble.fit(renamed.sample(30), combiners=["ridge"], default="ridge", folds=2, jobs=1)
    whole = Ensemble.fit(renamed, combiners=["ridge"], default="ridge", folds=2, jobs=1)
    for rows in (0, 5, 30, len(benchmark)):
        for source in (seen, whole):
            with pytest.raises(InputError, match="it has seen accuracies of the same benchmark"):
                Ensemble.fit(benchmark.sample(rows, seed=2), sources=[source], folds=2, jobs=1)


def test_an_ensemble_with_sources_is_a_source_by_its_structure_alone(
    transferred: Ensemble, benchmark: Benchmark
) -> None:
    source = transferred.as_source()
    assert source.fitted.info.name == "ridge"
    assert source.scores(benchmark.architectures).shape == (len(benchmark),)


def test_defaults_and_sizes_that_do_not_fit(benchmark: Benchmark, sources: list[Ensemble]) -> None:
    with pytest.raises(InputError, match=r"default: got 'transfer'; allowed: .* no sources"):
        Ensemble.fit(benchmark, default=TRANSFER)
    with pytest.raises(InputError, match="default: got 'ridge'; allowed: transfer"):
        Ensemble.fit(benchmark.sample(3), default="ridge", sources=sources)
    with pytest.raises(BenchmarkError, match="got 19; allowed: at least 20 without sources"):
        Ensemble.fit(benchmark.sample(19))


def test_left_out_combiners_have_reasons(benchmark: Benchmark, scores: ScoreTable, sources: list[Ensemble]) -> None:
    few = Ensemble.fit(benchmark.sample(3), scores, sources=sources, folds=2, jobs=1)
    left_out = card(few.manifest)["left_out"]
    assert left_out["combiners"]["ridge"] == left_out["proxies"]["zen"] == "it needs at least 20 trained architectures"
    alone = Ensemble.fit(benchmark, combiners=["ridge", TRANSFER], default="ridge", folds=2, jobs=1)
    assert "it needs sources" in card(alone.manifest)["left_out"]["combiners"][TRANSFER]


def test_features_of_sources_are_their_scores(benchmark: Benchmark, sources: list[Ensemble]) -> None:
    def shifted(architectures: Sequence[Architecture]) -> np.ndarray:
        return np.arange(len(architectures), dtype=np.float64)

    table = benchmark_features(benchmark, None, {"x": shifted(benchmark.architectures)})
    assert table.columns.sources == ("source.x",)
    assert table.select(["source.x"])[:, 0].tolist() == list(range(len(benchmark)))
    assert "source.x" not in table.columns.structure + table.columns.architectural


@pytest.mark.parametrize("size", [0, 25])
def test_nas_bench_graph_with_the_shipped_sources(size: int) -> None:
    """The shipped sources were fitted to other data sets, and no tested architecture is one of the fit."""
    folder = data_folder("ARCHRANK_BENCHMARKS", "benchmarks") / "nas-bench-graph"
    cora = load_benchmark(folder / "cora.npz")
    names = ("citeseer", "pubmed", "photo")
    sources = [Ensemble.load(SHIPPED / f"nas-bench-graph-{name}") for name in names]
    training = cora.sample(size, seed=3)
    ensemble = Ensemble.fit(training, sources=sources, combiners=[TRANSFER], folds=2, jobs=1)
    test = [entry for entry in cora.sample(400, seed=4).entries if entry not in training.entries]
    predictions = ensemble.predict([entry.architecture for entry in test])
    ranking_scores = np.array([prediction.ranking_score for prediction in predictions])
    assert spearman(ranking_scores, np.array([entry.accuracy for entry in test])) > 0.5
    with pytest.raises(InputError, match="it has seen accuracies of the same benchmark"):
        Ensemble.fit(training, sources=[Ensemble.load(SHIPPED / "nas-bench-graph-cora")])
