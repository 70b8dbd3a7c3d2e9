import json
from typing import Any

import numpy as np
import pytest

from ensemble import Benchmark, Entry, FeatureTable, ScoreTable, evaluate, get_combiner
from ensemble.data.folds import seeded_folds
from ensemble.evaluation.cross_validation import fit_combiner, held_out_predictions


def test_report(benchmark: Benchmark, scores: ScoreTable) -> None:
    calls: list[tuple[int, int]] = []

    def evaluated() -> dict[str, Any]:
        names = ["vote", "mean", "ridge"]
        return evaluate(benchmark, scores, 2, 4, progress=lambda *c: calls.append(c), jobs=1, combiners=names)

    evaluation = evaluated()
    # Four folds: of two repeats, of both again with 25 training rows, and of the control.
    assert calls == [(i, 20) for i in range(1, 21)]
    assert json.loads(json.dumps(evaluation, allow_nan=False)) == evaluation
    assert set(evaluation["combiners"]) == {"vote", "mean", "ridge"}
    ridge, depth = evaluation["combiners"]["ridge"], evaluation["baselines"]["stratum"]
    assert ridge["spearman"]["mean"] > depth["spearman"]["mean"] > 0.5
    assert ridge["mae"]["mean"] < depth["mae"]["mean"] < 0.02
    assert ridge["precision_at_10"]["mean"] > depth["precision_at_10"]["mean"]
    assert 0 <= ridge["regret_at_5"]["mean"] < 0.01
    assert set(evaluation["scores"]) == {"zen", "nwot", "grasp", "noise"}
    assert evaluation["method"] == {"repeats": 2, "folds": 4, "seed": 0, "learning_repeats": 2}
    again = evaluated()
    assert {key: part for key, part in again.items() if key != "seconds"} == {
        key: part for key, part in evaluation.items() if key != "seconds"
    }


def test_calibration_learning_curves_control_and_noise(benchmark: Benchmark, scores: ScoreTable) -> None:
    evaluation = evaluate(benchmark, scores, 1, 4, jobs=1, combiners=["mean", "ridge"])
    models = {"stratum", "params", "mean", "ridge"}
    assert evaluation["intervals"]["level"] == 0.9
    assert set(evaluation["intervals"]["combiners"]) == set(evaluation["pairs"]["combiners"]) == models
    for name in models:
        interval, pairs = evaluation["intervals"]["combiners"][name], evaluation["pairs"]["combiners"][name]
        assert 0.8 < interval["coverage"]["overall"]["mean"] <= 1
        for metric in ("coverage", "interval_width"):
            assert set(interval[metric]["by_stratum"]) == {"4", "6", "8", "10"}
        reliability = pairs["reliability"]["overall"]
        assert sum(point["n"] for point in reliability) == pairs["n"]["overall"] == 4 * 15 * 14 / 2
        assert 0 < pairs["n"]["within_stratum"] < pairs["n"]["overall"] / 2
        assert 0.5 <= reliability[0]["predicted"] <= 0.55
    widths, briers = ({name: evaluation[part]["combiners"][name] for name in models} for part in ("intervals", "pairs"))
    ridge, mean = (widths[name]["interval_width"]["overall"]["mean"] for name in ("ridge", "mean"))
    assert ridge < mean
    ridge, mean = (briers[name]["brier"]["overall"]["mean"] for name in ("ridge", "mean"))
    assert ridge < mean < 0.2
    learners = {"stratum", "params", "ridge"}
    assert set(evaluation["learning_curves"]) == set(evaluation["control"]) == learners
    assert [row["n_train"] for row in evaluation["learning_curves"]["ridge"]] == [25, 45]
    assert evaluation["learning_curves"]["ridge"][-1]["spearman"] == evaluation["combiners"]["ridge"]["spearman"]
    control, combiner = (evaluation[part]["ridge"]["within_stratum_spearman"] for part in ("control", "combiners"))
    assert abs(control) < 0.4 < combiner["mean"]
    assert evaluation["control"]["stratum"]["spearman"] > 0.5
    assert set(evaluation["noise"]) == {"std", "variance_fraction", "spearman_ceiling"}


def test_without_scores_only_structure_is_measured(benchmark: Benchmark) -> None:
    evaluation = evaluate(benchmark, repeats=1, folds=3, jobs=1, combiners=["vote", "ridge"])
    assert set(evaluation["combiners"]) == {"ridge"}
    assert evaluation["scores"] == {}


def test_the_number_of_workers_does_not_change_the_evaluation(benchmark: Benchmark, scores: ScoreTable) -> None:
    first, second = (evaluate(benchmark, scores, 1, 3, jobs=jobs, combiners=["mean", "ridge"]) for jobs in (1, 2))
    for evaluation in (first, second):
        del evaluation["seconds"]
    assert first == second


def test_permuted_accuracies_cannot_be_predicted(benchmark: Benchmark, scores: ScoreTable) -> None:
    order = np.random.default_rng(5).permutation(len(benchmark))
    entries = tuple(
        Entry(entry.architecture, float(accuracy))
        for entry, accuracy in zip(benchmark.entries, benchmark.accuracy[order], strict=True)
    )
    permuted = Benchmark("permuted", benchmark.space, entries)
    evaluation = evaluate(permuted, scores, 1, 5, jobs=1, combiners=["ridge", "xgboost", "mean", "vote"])
    for summary in evaluation["combiners"].values():
        assert summary["spearman"] is None or summary["spearman"]["mean"] < 0.3
    for name, pairs in evaluation["pairs"]["combiners"].items():
        assert pairs["brier"]["overall"]["mean"] < 0.3, f"{name} is overconfident"


def test_no_combiner_sees_test_rows(benchmark: Benchmark, table: FeatureTable) -> None:
    """Predictions of a fold do not depend on the accuracies of its test rows."""
    infos = [get_combiner(name) for name in ("stacked", "vote", "mean", "ranknet")]
    train, test = seeded_folds(table.values, benchmark.accuracy, 4, 0)[0]
    changed = benchmark.accuracy.copy()
    changed[test] = changed[test][::-1] + 0.05
    original, changed_labels = (
        held_out_predictions(infos, table, y, [[(train, test)]]) for y in (benchmark.accuracy, changed)
    )
    for info in infos:
        first, second = original[info.name], changed_labels[info.name]
        assert np.array_equal(first.accuracy, second.accuracy, equal_nan=True)
        assert np.array_equal(first.interval, second.interval, equal_nan=True)
        assert np.array_equal(first.probability[0], second.probability[0])
        assert np.isnan(first.accuracy[0, train]).all()
        assert np.isfinite(first.accuracy[0, test]).all()
    alone, _ = fit_combiner(infos[2], FeatureTable(table.columns, table.values[train]), benchmark.accuracy[train], 0)
    row = table.select(infos[2].columns(table.names))[test[:1]]
    assert alone.predict(row) == pytest.approx(original["mean"].accuracy[0, test[:1]])


def test_rows_without_scores_are_left_out_and_counted(benchmark: Benchmark, scores: ScoreTable) -> None:
    no_scores: dict[str, dict[str, float | None]] = {key: {} for key in list(scores.features)[:5]}
    incomplete = ScoreTable(scores.header, {**scores.features, **no_scores})
    evaluation = evaluate(benchmark, incomplete, 1, 4, jobs=1, combiners=["xgboost", "vote", "ridge"])
    counts = {name: summary["n"]["mean"] for name, summary in evaluation["combiners"].items()}
    n = len(benchmark)
    assert counts == {"xgboost": n - 5, "vote": n - 5, "ridge": n}
    pairs = {name: part["n"]["overall"] for name, part in evaluation["pairs"]["combiners"].items()}
    assert pairs["xgboost"] == pairs["vote"] < pairs["ridge"] == 4 * 15 * 14 / 2
    assert evaluation["intervals"]["combiners"]["vote"]["coverage"]["overall"] is not None


def test_folds_follow_the_rows() -> None:
    X, y = np.random.default_rng(0).normal(size=(20, 2)), np.arange(20.0)
    order = np.random.default_rng(1).permutation(20)
    plain, shuffled = seeded_folds(X, y, 4, 7), seeded_folds(X[order], y[order], 4, 7)
    for (train, test), (_, other) in zip(plain, shuffled, strict=True):
        assert set(order[other]) == set(test)
        assert set(train) | set(test) == set(range(20))
    assert sorted(np.concatenate([test for _, test in plain])) == list(range(20))
