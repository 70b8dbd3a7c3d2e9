import json

import numpy as np
import pytest

from ensemble.evaluation.metrics import (
    brier,
    interval_metrics,
    measure,
    pairwise_accuracy,
    reliability,
    search_metrics,
    summarize_repeats,
)

ALL = ("precision@10", "rank@10", "regret@5")


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
    assert summarize_repeats([metrics, metrics])["depth=6"] is None


def test_partial_correlation_takes_the_depth_out(rng: np.random.Generator) -> None:
    depths = np.repeat([4, 6, 8], 40)
    accuracy = depths + 0.1 * rng.normal(size=120)
    assert abs(measure(depths + rng.normal(size=120), accuracy, depths)["partial"] or 0) < 0.3
    assert (measure(accuracy, accuracy, depths)["partial"] or 0) == pytest.approx(1)
    assert measure(depths.astype(float), accuracy, depths)["partial"] is None


def test_mean_and_sd_of_what_every_repeat_defines() -> None:
    assert summarize_repeats([{"a": 1.0, "b": None}, {"a": 3.0, "b": 1.0}]) == {
        "a": {"mean": 2.0, "sd": 1.0},
        "b": None,
    }
    assert summarize_repeats([{"a": 1.0}, {}]) == {"a": None}


def test_search_measures_by_hand() -> None:
    """The best is 20, …, the worst 1: a predictor that swaps halves finds the true ranks 11 to 20."""
    accuracy, depths = np.arange(1, 21) / 100, np.full(20, 4)
    found = search_metrics(accuracy, accuracy, depths)
    assert [found[key] for key in ALL] == [1.0, pytest.approx(5.5), 0.0]
    swapped = search_metrics(np.roll(accuracy, 10), accuracy, depths)
    assert [swapped[key] for key in ALL] == [0.0, pytest.approx(15.5), pytest.approx(0.20 - 0.10)]
    off = accuracy.copy()
    off[[19, 0]] = off[[0, 19]]  # the best is thought to be the worst
    wrong = search_metrics(off, accuracy, depths)
    # Predicted best: rank 20, then the true ranks 2 to 10.
    assert [wrong[key] for key in ALL] == [0.9, pytest.approx((20 + 54) / 10), pytest.approx(0.01)]


def test_ties_of_the_truth_share_the_better_rank() -> None:
    accuracy = np.repeat([0.9, 0.8], [12, 8])
    found = search_metrics(np.arange(20.0), accuracy, np.full(20, 4))
    # The predicted ten best are the eight of 0.8, which rank 13, and two of 0.9, which rank 1.
    assert found["precision@10"] == pytest.approx(0.2)
    assert found["rank@10"] == pytest.approx((8 * 13 + 2) / 10)
    assert found["regret@5"] == pytest.approx(0.1)


def test_search_within_depth_is_the_mean_over_depths(rng: np.random.Generator) -> None:
    depths = np.repeat([4, 6, 8], [20, 20, 19])
    accuracy = np.concatenate([np.arange(20) / 100, 0.5 + np.arange(20) / 100, rng.uniform(size=19)])
    predicted = np.concatenate([accuracy[:20], np.roll(accuracy[20:40], 10), rng.uniform(size=19)])
    found = search_metrics(predicted, accuracy, depths)
    assert found["precision@10, within depth"] == pytest.approx((1 + 0) / 2), "19 of one depth are too few"
    assert found["rank@10, within depth"] == pytest.approx((5.5 + 15.5) / 2)
    assert found["regret@5, within depth"] == pytest.approx((0 + 0.1) / 2)


def test_search_measures_need_twenty_predictions() -> None:
    predicted, depths = np.arange(20.0), np.full(20, 4)
    assert None not in search_metrics(predicted, predicted, depths).values()
    predicted[3] = np.nan
    assert set(search_metrics(predicted, np.arange(20.0), depths).values()) == {None}


def test_predictions_that_are_missing_are_nobodys_best() -> None:
    accuracy = np.arange(21.0)
    predicted = np.where(accuracy == 20, np.nan, accuracy)
    found = search_metrics(predicted, accuracy, np.full(21, 4))
    assert [found[key] for key in ALL] == [1.0, 5.5, 0.0]


def test_interval_measures_by_hand() -> None:
    interval = np.array([[0.1, 0.3], [0.2, 0.6], [0.5, 0.6], [np.nan, np.nan]])
    found = interval_metrics(interval, np.array([0.3, 0.1, 0.55, 0.5]), np.array([4, 4, 6, 8]))
    assert found == {
        "coverage": pytest.approx(2 / 3),
        "width": pytest.approx(0.7 / 3),
        "coverage, depth=4": 0.5,
        "width, depth=4": pytest.approx(0.3),
        "coverage, depth=6": 1.0,
        "width, depth=6": pytest.approx(0.1),
    }
    nothing = interval_metrics(interval[3:], np.array([0.5]), np.array([8]))
    assert nothing == {"coverage": None, "width": None}


def test_brier_by_hand() -> None:
    assert brier(np.array([1.0, 0.5, 0.8]), np.array([1.0, 0.0, 0.5])) == pytest.approx((0 + 0.25 + 0.09) / 3)
    assert brier(np.full(8, 0.5), np.tile([0.0, 1.0], 4)) == 0.25
    assert brier(np.full(3, 0.5), np.full(3, 0.5)) == 0, "of a tie ½ is the truth"
    assert brier(np.empty(0), np.empty(0)) is None


def test_reliability_by_hand() -> None:
    probability = np.array([0.5, 0.52, 0.08, 0.92, 0.94, 1.0, 0.0])
    better = np.array([1.0, 0.5, 1.0, 1.0, 0.5, 1.0, 0.0])
    found = reliability(probability, better)
    assert found == [
        {"predicted": pytest.approx(0.51), "observed": pytest.approx(0.75), "pairs": 2},
        # 0.08 that the first is better is 0.92 that the other is, which was wrong; a tie is half right.
        {"predicted": pytest.approx((0.92 + 0.92 + 0.94) / 3), "observed": pytest.approx(0.5), "pairs": 3},
        {"predicted": 1.0, "observed": 1.0, "pairs": 2},
    ]
    assert reliability(1 - probability[1:], 1 - better[1:]) == reliability(probability[1:], better[1:])
    assert json.loads(json.dumps(reliability(probability, better))) == reliability(probability, better)
    assert reliability(np.empty(0), np.empty(0)) == []
