import json

import numpy as np
import pytest

from ensemble import Benchmark, Entry, FeatureTable, ScoreTable, evaluate, get_combiner
from ensemble.crossval import fit_combiner, held_out_predictions
from ensemble.folds import seeded_folds
from ensemble.metrics import mean_and_sd, measure, pairwise_accuracy


def test_report(benchmark: Benchmark, scores: ScoreTable) -> None:
    calls: list[tuple[int, int]] = []

    def evaluated() -> dict[str, object]:
        names = ["vote", "mean", "ridge"]
        return evaluate(benchmark, scores, 2, 4, progress=lambda *c: calls.append(c), jobs=1, combiners=names)

    report = evaluated()
    assert calls == [(i, 8) for i in range(1, 9)]
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert set(report["combiners"]) == {"vote", "mean", "ridge"}  # type: ignore[call-overload]
    ridge, depth = report["combiners"]["ridge"], report["baselines"]["depth"]  # type: ignore[index]
    assert ridge["spearman"]["mean"] > depth["spearman"]["mean"] > 0.5
    assert ridge["mae"]["mean"] < depth["mae"]["mean"] < 0.02
    assert set(report["scores"]) == {"zen", "nwot", "grasp", "noise"}  # type: ignore[call-overload]
    assert evaluated()["combiners"] == report["combiners"]


def test_without_scores_only_structure_is_measured(benchmark: Benchmark) -> None:
    report = evaluate(benchmark, repeats=1, folds=3, jobs=1, combiners=["vote", "ridge"])
    assert set(report["combiners"]) == {"ridge"}
    assert report["scores"] == {}


def test_workers_do_not_change_the_report(benchmark: Benchmark, scores: ScoreTable) -> None:
    one, two = (evaluate(benchmark, scores, 1, 3, jobs=jobs, combiners=["mean"])["combiners"] for jobs in (1, 2))
    assert one == two


def test_permuted_accuracies_cannot_be_predicted(benchmark: Benchmark, scores: ScoreTable) -> None:
    order = np.random.default_rng(5).permutation(len(benchmark))
    entries = tuple(
        Entry(entry.architecture, float(accuracy))
        for entry, accuracy in zip(benchmark.entries, benchmark.accuracy[order], strict=True)
    )
    permuted = Benchmark("permuted", benchmark.space, entries)
    report = evaluate(permuted, scores, 1, 5, jobs=1, combiners=["ridge", "xgboost", "mean", "vote"])
    for summary in report["combiners"].values():
        assert summary["spearman"] is None or summary["spearman"]["mean"] < 0.3


def test_no_combiner_sees_test_rows(benchmark: Benchmark, table: FeatureTable) -> None:
    """Other accuracies and features in the test rows leave the predictions of the fold as they were."""
    infos = [get_combiner(name) for name in ("stacked", "vote", "mean", "ranknet")]
    train, test = seeded_folds(table.values, benchmark.accuracy, 4, 0)[0]
    changed = benchmark.accuracy.copy()
    changed[test] = changed[test][::-1] + 0.05
    plain, other = (held_out_predictions(infos, table, y, [[(train, test)]]) for y in (benchmark.accuracy, changed))
    for info in infos:
        assert np.array_equal(plain[info.name], other[info.name], equal_nan=True)
        assert np.isnan(plain[info.name][0, train]).all()
    alone = fit_combiner(infos[2], FeatureTable(table.names, table.values[train]), benchmark.accuracy[train], 0)
    row = table.select(infos[2].columns(table.names))[test[:1]]
    assert alone.predict(row) == pytest.approx(plain["mean"][0, test[:1]])


def test_rows_without_scores_are_left_out_and_counted(benchmark: Benchmark, scores: ScoreTable) -> None:
    gone: dict[str, dict[str, float | None]] = {key: {} for key in list(scores.features)[:5]}
    holed = ScoreTable(scores.header, {**scores.features, **gone})
    report = evaluate(benchmark, holed, 1, 4, jobs=1, combiners=["xgboost", "vote", "ridge"])["combiners"]
    counts = {name: summary["predicted"]["mean"] for name, summary in report.items()}
    n = len(benchmark)
    assert counts == {"xgboost": n - 5, "vote": n - 5, "ridge": n}


def test_folds_follow_the_rows() -> None:
    X, y = np.random.default_rng(0).normal(size=(20, 2)), np.arange(20.0)
    order = np.random.default_rng(1).permutation(20)
    plain, shuffled = seeded_folds(X, y, 4, 7), seeded_folds(X[order], y[order], 4, 7)
    for (train, test), (_, other) in zip(plain, shuffled, strict=True):
        assert set(order[other]) == set(test)
        assert set(train) | set(test) == set(range(20))
    assert sorted(np.concatenate([test for _, test in plain])) == list(range(20))


def test_measures_by_hand() -> None:
    accuracy, depths = np.array([0.1, 0.2, 0.3, 0.4]), np.array([4, 4, 6, 6])
    metrics = measure(np.array([0.1, 0.2, 0.2, np.nan]), accuracy, depths)
    assert metrics["predicted"] == 3
    assert metrics["depth=4"] == pytest.approx(1.0)
    assert metrics["depth=6"] is None
    assert metrics["within_depth"] == pytest.approx(1.0)
    assert metrics["mae"] == pytest.approx(0.1 / 3)
    assert metrics["pairwise"] == pytest.approx(2.5 / 3)
    assert pairwise_accuracy(np.zeros(2), np.zeros(2)) is None
    assert mean_and_sd([metrics, metrics])["depth=6"] is None


def test_partial_correlation_takes_the_depth_out(rng: np.random.Generator) -> None:
    depths = np.repeat([4, 6, 8], 40)
    accuracy = depths + 0.1 * rng.normal(size=120)
    assert abs(measure(depths + rng.normal(size=120), accuracy, depths)["partial"] or 0) < 0.3
    assert (measure(accuracy, accuracy, depths)["partial"] or 0) == pytest.approx(1)
    assert measure(depths.astype(float), accuracy, depths)["partial"] is None
