"""Learning curves, noise estimate, and the control that detects a leak of test rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ensemble import Benchmark, CombinerInfo, FeatureTable, get_combiner
from ensemble.combiners import Combiner
from ensemble.combiners.ridge import Ridge
from ensemble.data.columns import Columns
from ensemble.data.features import feature_table
from ensemble.data.folds import Split, seeded_folds
from ensemble.evaluation.baselines import baselines
from ensemble.evaluation.cross_validation import HeldOutPredictions, held_out_predictions
from ensemble.evaluation.diagnostics import estimate_noise, shuffled_label_control
from ensemble.evaluation.learning_curves import compute_learning_curves, smaller_sizes
from ensemble.evaluation.metrics import spearman
from ensemble.evaluation.protocol import structural_folds
from models import get_space

Array = NDArray[np.float64]
RIDGE = get_combiner("ridge")
KEPT = 25
"""Number of columns that the selections below keep, of 800 columns of pure noise."""


@pytest.fixture(scope="module")
def repeats(benchmark: Benchmark, table: FeatureTable) -> list[list[Split]]:
    return [structural_folds(table, benchmark.accuracy, 4, seed) for seed in range(2)]


@pytest.fixture(scope="module")
def whole(benchmark: Benchmark, table: FeatureTable, repeats: list[list[Split]]) -> dict[str, HeldOutPredictions]:
    return held_out_predictions([RIDGE], table, benchmark.accuracy, repeats)


@pytest.fixture(scope="module")
def curve(
    benchmark: Benchmark, table: FeatureTable, repeats: list[list[Split]], whole: dict[str, HeldOutPredictions]
) -> list[dict[str, Any]]:
    return compute_learning_curves([RIDGE], table, benchmark.accuracy, benchmark.strata, repeats, whole)["ridge"]


def test_a_curve_has_a_row_a_size_and_one_for_all(curve: list[dict[str, Any]], benchmark: Benchmark) -> None:
    assert [row["n_train"] for row in curve] == [25, 45]
    for row in curve:
        assert row["n"] == {"mean": len(benchmark), "std": 0}, "every size is measured on the same candidates"
        assert {"spearman", "within_stratum_spearman", "mae", "precision_at_10", "regret_at_5"} <= set(row)


def test_more_rows_are_better(curve: list[dict[str, Any]]) -> None:
    few, most = curve
    assert most["spearman"]["mean"] > few["spearman"]["mean"] + 0.02
    assert most["mae"]["mean"] < few["mae"]["mean"]


def test_a_smaller_size_is_a_part_of_the_folds_own_training_rows(
    benchmark: Benchmark, table: FeatureTable, repeats: list[list[Split]], whole: dict[str, HeldOutPredictions]
) -> None:
    """Predictions of a fold do not depend on the accuracies of its test rows."""
    train, test = repeats[0][0]
    y = benchmark.accuracy.copy()
    y[test] = 1 - y[test]
    first_repeat = {name: predictions.first(1) for name, predictions in whole.items()}
    before, after = (
        compute_learning_curves([RIDGE], table, accuracy, benchmark.strata, [[(train, test)]], first_repeat)["ridge"][0]
        for accuracy in (benchmark.accuracy, y)
    )
    assert before["n"] == after["n"] == {"mean": len(test), "std": 0}
    assert after["spearman"]["mean"] == pytest.approx(-before["spearman"]["mean"]), (
        "the same predictions, reversed labels"
    )


def test_sizes_that_a_fold_leaves_no_rows_for_are_skipped() -> None:
    X, y = np.zeros((120, 1)), np.arange(120.0)
    assert smaller_sizes([seeded_folds(X, y, 6, 0)]) == [25, 50]
    assert smaller_sizes([seeded_folds(X[:30], y[:30], 6, 0)]) == [], "25 of 25 is the full size"


def test_noise_is_found_beside_what_modules_explain() -> None:
    space, rng, std = get_space("gcn-nas"), np.random.default_rng(0), 0.006
    archs = [space.sample(rng) for _ in range(150)]
    table = feature_table(space, archs)
    true = table.select(["depth", "slot9.L2", "slot8.S", "slot1.L"]) @ [0.004, 0.012, 0.008, 0.006]
    result = estimate_noise(table, 0.9 + true + std * rng.normal(size=150), table.select(["depth"])[:, 0].astype(int))
    assert result is not None
    assert std / 2 < result["std"] < 2 * std
    fraction, ceiling = result["variance_fraction"]["by_stratum"], result["spearman_ceiling"]["by_stratum"]
    assert set(fraction) == set(ceiling) == {"4", "6", "8", "10"}
    assert all(0 < value <= 1 for value in ceiling.values())
    assert result["spearman_ceiling"]["within_stratum"] == pytest.approx(np.mean(list(ceiling.values())))
    for stratum, part in fraction.items():
        assert ceiling[stratum] == pytest.approx((1 - part) ** 0.5)
    quiet = estimate_noise(table, 0.9 + true + 0.001 * rng.normal(size=150), table.select(["depth"])[:, 0].astype(int))
    assert quiet is not None
    assert quiet["std"] < result["std"] / 2
    assert quiet["spearman_ceiling"]["within_stratum"] > result["spearman_ceiling"]["within_stratum"]


# A planted leak: columns selected by their correlation with the accuracies.

Prepare = Callable[[FeatureTable, Array], Sequence[CombinerInfo]]


def strongest(X: Array, y: Array) -> NDArray[np.int64]:
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    return np.sort(np.argsort(-np.abs(Z.T @ (y - y.mean())))[:KEPT])


@dataclass(frozen=True)
class PreselectedInfo(CombinerInfo):
    """Combiner on columns that were selected beforehand."""

    selected: tuple[str, ...] = ()

    def columns(self, names: Sequence[str]) -> tuple[str, ...]:
        return self.selected


class SelectingRidge(Combiner):
    """Ridge regression on columns that `fit` selects by its own rows."""

    def fit(self, X: Array, y: Array) -> "SelectingRidge":
        X, y = self._check_fit_input(X, y)
        self.selected_ = strongest(X, y)
        self.model_ = Ridge().fit(X[:, self.selected_], y)
        return self

    def predict(self, X: Array) -> Array:
        return self.model_.predict(self._check_input(X)[:, self.selected_])


@pytest.fixture(scope="module")
def unpredictable() -> list[tuple[FeatureTable, Array]]:
    """Three samples of 800 columns and of accuracies that are independent of them."""
    rng = np.random.default_rng(0)
    depths = np.repeat([4.0, 6, 8, 10], 100)
    columns = Columns(("depth", *(f"noise.{i}" for i in range(800))), stratum="depth")
    return [
        (
            FeatureTable(columns, np.column_stack([depths, rng.normal(size=(400, 800))])),
            0.9 + 0.01 * rng.normal(size=400),
        )
        for _ in range(3)
    ]


def leaking(table: FeatureTable, y: Array) -> list[CombinerInfo]:
    """Select columns by the accuracies of all rows, before the folds are made."""
    selected = tuple(table.names[1 + i] for i in strongest(table.values[:, 1:], y))
    return [PreselectedInfo("selection", lambda _, seed: Ridge(), "structure", "accuracy", selected=selected)]


def honest(table: FeatureTable, y: Array) -> list[CombinerInfo]:
    """Make the same selection inside `fit`."""
    return [
        PreselectedInfo(
            "selection", lambda _, seed: SelectingRidge(), "structure", "accuracy", selected=table.names[1:]
        )
    ]


def cross_validated(prepare: Prepare, table: FeatureTable, y: Array) -> float:
    splits = seeded_folds(table.values, y, 5, 0)
    (held,) = held_out_predictions(prepare(table, y), table, y, [splits]).values()
    return spearman(held.accuracy[0], y) or 0.0


def test_a_selection_before_the_folds_seems_to_predict_independent_accuracies(
    unpredictable: list[tuple[FeatureTable, Array]],
) -> None:
    leaked, fair = ([cross_validated(prepare, *draw) for draw in unpredictable] for prepare in (leaking, honest))
    assert np.mean(leaked) > 0.3
    assert abs(np.mean(fair)) < 0.15
    assert min(leaked) > max(fair) + 0.2


def test_the_control_detects_the_selection_that_saw_the_test_rows(
    unpredictable: list[tuple[FeatureTable, Array]],
) -> None:
    def controlled(prepare: Prepare, table: FeatureTable, y: Array) -> float:
        splits, strata = seeded_folds(table.values, y, 5, 0), table.values[:, 0].astype(int)
        return shuffled_label_control(prepare, table, y, strata, splits)["selection"]["within_stratum_spearman"] or 0.0

    # Depth and one column are informative, which the control has to hide.
    draws = [(table, y + table.values[:, 0] / 100 + table.values[:, 7] / 50) for table, y in unpredictable]
    leaked, fair = ([controlled(prepare, *draw) for draw in draws] for prepare in (leaking, honest))
    assert np.mean(leaked) > 0.25
    assert abs(np.mean(fair)) < 0.15
    assert min(leaked) > max(fair) + 0.15
    assert cross_validated(honest, *draws[0]) > 0.4, "learnable structure is found"


def test_the_control_shuffles_within_strata(benchmark: Benchmark, table: FeatureTable) -> None:
    y, strata, calls = benchmark.accuracy, benchmark.strata, []

    def prepare(received: FeatureTable, shuffled: Array) -> Sequence[CombinerInfo]:
        assert received is table
        calls.append(shuffled)
        return baselines(table.columns)

    splits = structural_folds(table, y, 4, 0)
    result = shuffled_label_control(prepare, table, y, strata, splits, seed=3)
    (shuffled,) = calls
    assert not np.array_equal(shuffled, y)
    for stratum in np.unique(strata):
        assert sorted(shuffled[strata == stratum]) == sorted(y[strata == stratum])
    assert set(result) == {"stratum", "params"}
    assert (result["stratum"]["spearman"] or 0) > 0.6, "the depth is as informative as before"
    assert result == shuffled_label_control(lambda *_: baselines(table.columns), table, y, strata, splits, seed=3)
