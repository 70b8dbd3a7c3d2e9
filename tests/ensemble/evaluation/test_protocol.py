import json
from typing import Any

import numpy as np
import pytest

from ensemble import Benchmark, Entry, FeatureTable, ScoreTable, evaluate, get_combiner
from ensemble.evaluation.cross_validation import fit_combiner, held_out_predictions
from ensemble.evaluation.folds import seeded_folds


def test_report(benchmark: Benchmark, scores: ScoreTable) -> None:
    calls: list[tuple[int, int]] = []

    def evaluated() -> dict[str, Any]:
        names = ["vote", "mean", "ridge"]
        return evaluate(benchmark, scores, 2, 4, progress=lambda *c: calls.append(c), jobs=1, combiners=names)

    report = evaluated()
    # Four folds: of two repeats, of both again with 25 training rows, and of the control.
    assert calls == [(i, 20) for i in range(1, 21)]
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert set(report["combiners"]) == {"vote", "mean", "ridge"}
    ridge, depth = report["combiners"]["ridge"], report["baselines"]["depth"]
    assert ridge["spearman"]["mean"] > depth["spearman"]["mean"] > 0.5
    assert ridge["mae"]["mean"] < depth["mae"]["mean"] < 0.02
    assert ridge["precision@10"]["mean"] > depth["precision@10"]["mean"]
    assert 0 <= ridge["regret@5"]["mean"] < 0.01
    assert set(report["scores"]) == {"zen", "nwot", "grasp", "noise"}
    assert report["method"] == {"repeats": 2, "folds": 4, "seed": 0, "learning_repeats": 2}
    again = evaluated()
    assert {key: part for key, part in again.items() if key != "seconds"} == {
        key: part for key, part in report.items() if key != "seconds"
    }


def test_the_report_says_how_honest_and_how_far_from_perfect(benchmark: Benchmark, scores: ScoreTable) -> None:
    report = evaluate(benchmark, scores, 1, 4, jobs=1, combiners=["mean", "ridge"])
    everybody = {"depth", "params", "mean", "ridge"}
    assert report["intervals"]["level"] == 0.9
    assert set(report["intervals"]["combiners"]) == set(report["pairs"]["combiners"]) == everybody
    for name in everybody:
        interval, pairs = report["intervals"]["combiners"][name], report["pairs"]["combiners"][name]
        assert 0.8 < interval["coverage"]["mean"] <= 1
        assert {"coverage, depth=4", "width, depth=10"} <= set(interval)
        assert sum(one["pairs"] for one in pairs["all"]["reliability"]) == pairs["all"]["pairs"] == 4 * 15 * 14 / 2
        assert 0 < pairs["within_depth"]["pairs"] < pairs["all"]["pairs"] / 2
        assert 0.5 <= pairs["all"]["reliability"][0]["predicted"] <= 0.55
    widths, briers = ({name: report[part]["combiners"][name] for name in everybody} for part in ("intervals", "pairs"))
    assert widths["ridge"]["width"]["mean"] < widths["mean"]["width"]["mean"]
    assert briers["ridge"]["all"]["brier"]["mean"] < briers["mean"]["all"]["brier"]["mean"] < 0.2
    learners = {"depth", "params", "ridge"}
    assert set(report["learning"]) == set(report["control"]) == learners
    assert [row["n_train"] for row in report["learning"]["ridge"]] == [25, 45]
    assert report["learning"]["ridge"][-1]["spearman"] == report["combiners"]["ridge"]["spearman"]
    assert abs(report["control"]["ridge"]["within_depth"]) < 0.4 < report["combiners"]["ridge"]["within_depth"]["mean"]
    assert report["control"]["depth"]["spearman"] > 0.5
    assert set(report["noise"]) == {"sd", "share", "ceiling", "within_depth"}


def test_without_scores_only_structure_is_measured(benchmark: Benchmark) -> None:
    report = evaluate(benchmark, repeats=1, folds=3, jobs=1, combiners=["vote", "ridge"])
    assert set(report["combiners"]) == {"ridge"}
    assert report["scores"] == {}


def test_workers_do_not_change_the_report(benchmark: Benchmark, scores: ScoreTable) -> None:
    one, two = (evaluate(benchmark, scores, 1, 3, jobs=jobs, combiners=["mean", "ridge"]) for jobs in (1, 2))
    for report in (one, two):
        del report["seconds"]
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
    for name, pairs in report["pairs"]["combiners"].items():
        assert pairs["all"]["brier"]["mean"] < 0.3, f"{name} is sure of what it cannot know"


def test_no_combiner_sees_test_rows(benchmark: Benchmark, table: FeatureTable) -> None:
    """Other accuracies and features in the test rows leave the predictions of the fold as they were."""
    infos = [get_combiner(name) for name in ("stacked", "vote", "mean", "ranknet")]
    train, test = seeded_folds(table.values, benchmark.accuracy, 4, 0)[0]
    changed = benchmark.accuracy.copy()
    changed[test] = changed[test][::-1] + 0.05
    plain, other = (held_out_predictions(infos, table, y, [[(train, test)]]) for y in (benchmark.accuracy, changed))
    for info in infos:
        one, two = plain[info.name], other[info.name]
        assert np.array_equal(one.accuracy, two.accuracy, equal_nan=True)
        assert np.array_equal(one.interval, two.interval, equal_nan=True)
        assert np.array_equal(one.probability[0], two.probability[0])
        assert np.isnan(one.accuracy[0, train]).all()
        assert np.isfinite(one.accuracy[0, test]).all()
    alone, _ = fit_combiner(infos[2], FeatureTable(table.names, table.values[train]), benchmark.accuracy[train], 0)
    row = table.select(infos[2].columns(table.names))[test[:1]]
    assert alone.predict(row) == pytest.approx(plain["mean"].accuracy[0, test[:1]])


def test_rows_without_scores_are_left_out_and_counted(benchmark: Benchmark, scores: ScoreTable) -> None:
    gone: dict[str, dict[str, float | None]] = {key: {} for key in list(scores.features)[:5]}
    holed = ScoreTable(scores.header, {**scores.features, **gone})
    report = evaluate(benchmark, holed, 1, 4, jobs=1, combiners=["xgboost", "vote", "ridge"])
    counts = {name: summary["predicted"]["mean"] for name, summary in report["combiners"].items()}
    n = len(benchmark)
    assert counts == {"xgboost": n - 5, "vote": n - 5, "ridge": n}
    pairs = {name: part["all"]["pairs"] for name, part in report["pairs"]["combiners"].items()}
    assert pairs["xgboost"] == pairs["vote"] < pairs["ridge"] == 4 * 15 * 14 / 2
    assert report["intervals"]["combiners"]["vote"]["coverage"] is not None


def test_folds_follow_the_rows() -> None:
    X, y = np.random.default_rng(0).normal(size=(20, 2)), np.arange(20.0)
    order = np.random.default_rng(1).permutation(20)
    plain, shuffled = seeded_folds(X, y, 4, 7), seeded_folds(X[order], y[order], 4, 7)
    for (train, test), (_, other) in zip(plain, shuffled, strict=True):
        assert set(order[other]) == set(test)
        assert set(train) | set(test) == set(range(20))
    assert sorted(np.concatenate([test for _, test in plain])) == list(range(20))
