"""Learning curves, the noise, and the control that finds what has seen the test rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ensemble import Benchmark, CombinerInfo, FeatureTable, get_combiner
from ensemble.combiners import Combiner
from ensemble.combiners.ridge import Ridge
from ensemble.data.features import feature_table
from ensemble.evaluation.crossval import HeldOut, held_out_predictions
from ensemble.evaluation.evaluate import BASELINES, structural_folds
from ensemble.evaluation.folds import Split, seeded_folds
from ensemble.evaluation.learning_curves import learning_curves, noise, shuffled_control, smaller_sizes
from ensemble.evaluation.metrics import rank_correlation
from models import get_space

Array = NDArray[np.float64]
RIDGE = get_combiner("ridge")
KEPT = 25
"""Columns that the selections below keep, of 800 that are pure noise."""


@pytest.fixture(scope="module")
def repeats(benchmark: Benchmark, table: FeatureTable) -> list[list[Split]]:
    return [structural_folds(table, benchmark.accuracy, 4, seed) for seed in range(2)]


@pytest.fixture(scope="module")
def whole(benchmark: Benchmark, table: FeatureTable, repeats: list[list[Split]]) -> dict[str, HeldOut]:
    return held_out_predictions([RIDGE], table, benchmark.accuracy, repeats)


@pytest.fixture(scope="module")
def curve(
    benchmark: Benchmark, table: FeatureTable, repeats: list[list[Split]], whole: dict[str, HeldOut]
) -> list[dict[str, Any]]:
    return learning_curves([RIDGE], table, benchmark.accuracy, benchmark.depths, repeats, whole)["ridge"]


def test_a_curve_has_a_row_a_size_and_one_for_all(curve: list[dict[str, Any]], benchmark: Benchmark) -> None:
    assert [row["n_train"] for row in curve] == [25, 45]
    for row in curve:
        assert row["predicted"] == {"mean": len(benchmark), "sd": 0}, "every size is measured on the same candidates"
        assert {"spearman", "within_depth", "mae", "precision@10", "regret@5"} <= set(row)


def test_more_rows_are_better(curve: list[dict[str, Any]]) -> None:
    few, most = curve
    assert most["spearman"]["mean"] > few["spearman"]["mean"] + 0.02
    assert most["mae"]["mean"] < few["mae"]["mean"]


def test_a_smaller_size_is_a_part_of_the_folds_own_training_rows(
    benchmark: Benchmark, table: FeatureTable, repeats: list[list[Split]], whole: dict[str, HeldOut]
) -> None:
    """Other accuracies in the test rows of one fold leave the predictions of that fold as they were."""
    train, test = repeats[0][0]
    y = benchmark.accuracy.copy()
    y[test] = 1 - y[test]
    one = {name: held.first(1) for name, held in whole.items()}
    before, after = (
        learning_curves([RIDGE], table, accuracy, benchmark.depths, [[(train, test)]], one)["ridge"][0]
        for accuracy in (benchmark.accuracy, y)
    )
    assert before["predicted"] == after["predicted"] == {"mean": len(test), "sd": 0}
    assert after["spearman"]["mean"] == pytest.approx(-before["spearman"]["mean"]), "the same order, told it is wrong"


def test_sizes_that_a_fold_leaves_no_rows_for_are_skipped() -> None:
    X, y = np.zeros((120, 1)), np.arange(120.0)
    assert smaller_sizes([seeded_folds(X, y, 6, 0)]) == [25, 50]
    assert smaller_sizes([seeded_folds(X[:30], y[:30], 6, 0)]) == [], "25 of 25 is all"


def test_noise_is_found_beside_what_modules_explain() -> None:
    space, rng, sd = get_space("gcn-nas"), np.random.default_rng(0), 0.006
    archs = [space.sample(rng) for _ in range(150)]
    table = feature_table(space, archs)
    true = table.select(["depth", "slot9.L2", "slot8.S", "slot1.L"]) @ [0.004, 0.012, 0.008, 0.006]
    found = noise(table, 0.9 + true + sd * rng.normal(size=150), table.select(["depth"])[:, 0].astype(int))
    assert sd / 2 < found["sd"] < 2 * sd
    assert set(found["share"]) == set(found["ceiling"]) == {"depth=4", "depth=6", "depth=8", "depth=10"}
    assert all(0 < ceiling <= 1 for ceiling in found["ceiling"].values())
    assert found["within_depth"] == pytest.approx(np.mean(list(found["ceiling"].values())))
    for depth, share in found["share"].items():
        assert found["ceiling"][depth] == pytest.approx((1 - share) ** 0.5)
    quiet = noise(table, 0.9 + true + 0.001 * rng.normal(size=150), table.select(["depth"])[:, 0].astype(int))
    assert quiet["sd"] < found["sd"] / 2
    assert quiet["within_depth"] > found["within_depth"]


# The planted leak: columns chosen by how they correlate with the accuracies.

Prepare = Callable[[FeatureTable, Array], Sequence[CombinerInfo]]


def strongest(X: Array, y: Array) -> NDArray[np.int64]:
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    return np.sort(np.argsort(-np.abs(Z.T @ (y - y.mean())))[:KEPT])


@dataclass(frozen=True)
class OfChosen(CombinerInfo):
    """A combiner that sees some columns, which were chosen before."""

    chosen: tuple[str, ...] = ()

    def columns(self, names: Sequence[str]) -> tuple[str, ...]:
        return self.chosen


class ChoosingRidge(Combiner):
    """Ridge regression on the columns that it chooses itself, on the rows that it is fitted on."""

    def fit(self, X: Array, y: Array) -> "ChoosingRidge":
        X, y = self._check_fit_input(X, y)
        self.chosen_ = strongest(X, y)
        self.model_ = Ridge().fit(X[:, self.chosen_], y)
        return self

    def predict(self, X: Array) -> Array:
        return self.model_.predict(self._check_input(X)[:, self.chosen_])


@pytest.fixture(scope="module")
def unpredictable() -> list[tuple[FeatureTable, Array]]:
    """Three draws of 800 columns and of accuracies that have to do with nothing."""
    rng = np.random.default_rng(0)
    depths = np.repeat([4.0, 6, 8, 10], 100)
    names = ("depth", *(f"noise.{i}" for i in range(800)))
    return [
        (FeatureTable(names, np.column_stack([depths, rng.normal(size=(400, 800))])), 0.9 + 0.01 * rng.normal(size=400))
        for _ in range(3)
    ]


def leaking(table: FeatureTable, y: Array) -> list[CombinerInfo]:
    """Looks at the accuracies of all rows, before there are any folds."""
    chosen = tuple(table.names[1 + i] for i in strongest(table.values[:, 1:], y))
    return [OfChosen("chooses", lambda _, seed: Ridge(), "structure", "accuracy", chosen=chosen)]


def honest(table: FeatureTable, y: Array) -> list[CombinerInfo]:
    """The same selection, inside of `fit`."""
    return [OfChosen("chooses", lambda _, seed: ChoosingRidge(), "structure", "accuracy", chosen=table.names[1:])]


def cross_validated(prepare: Prepare, table: FeatureTable, y: Array) -> float:
    splits = seeded_folds(table.values, y, 5, 0)
    (held,) = held_out_predictions(prepare(table, y), table, y, [splits]).values()
    return rank_correlation(held.accuracy[0], y) or 0.0


def test_a_selection_before_the_folds_are_drawn_seems_to_predict_what_nobody_can(
    unpredictable: list[tuple[FeatureTable, Array]],
) -> None:
    leaked, fair = ([cross_validated(prepare, *draw) for draw in unpredictable] for prepare in (leaking, honest))
    assert np.mean(leaked) > 0.3
    assert abs(np.mean(fair)) < 0.15
    assert min(leaked) > max(fair) + 0.2


def test_the_control_finds_the_selection_that_saw_the_test_rows(
    unpredictable: list[tuple[FeatureTable, Array]],
) -> None:
    def controlled(prepare: Prepare, table: FeatureTable, y: Array) -> float:
        splits, depths = seeded_folds(table.values, y, 5, 0), table.values[:, 0].astype(int)
        return shuffled_control(prepare, table, y, depths, splits)["chooses"]["within_depth"] or 0.0

    # Depth and one column do tell something, which the control has to hide.
    draws = [(table, y + table.values[:, 0] / 100 + table.values[:, 7] / 50) for table, y in unpredictable]
    leaked, fair = ([controlled(prepare, *draw) for draw in draws] for prepare in (leaking, honest))
    assert np.mean(leaked) > 0.25
    assert abs(np.mean(fair)) < 0.15
    assert min(leaked) > max(fair) + 0.15
    assert cross_validated(honest, *draws[0]) > 0.4, "what can be learned is found"


def test_the_control_shuffles_within_depth_alone(benchmark: Benchmark, table: FeatureTable) -> None:
    y, depths, seen = benchmark.accuracy, benchmark.depths, []

    def prepare(given: FeatureTable, shuffled: Array) -> Sequence[CombinerInfo]:
        assert given is table
        seen.append(shuffled)
        return BASELINES

    splits = structural_folds(table, y, 4, 0)
    found = shuffled_control(prepare, table, y, depths, splits, seed=3)
    (shuffled,) = seen
    assert not np.array_equal(shuffled, y)
    for depth in np.unique(depths):
        assert sorted(shuffled[depths == depth]) == sorted(y[depths == depth])
    assert set(found) == {"depth", "params"}
    assert (found["depth"]["spearman"] or 0) > 0.6, "the depth still tells what it told"
    assert found == shuffled_control(lambda *_: BASELINES, table, y, depths, splits, seed=3)
