import json
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import kendalltau, spearmanr
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from ensemble.evaluation.metrics import (
    brier_score,
    interval_metrics,
    pairwise_accuracy,
    prediction_metrics,
    reliability_curve,
    rows_by_stratum,
    search_metrics,
    spearman,
    summarize_repeats,
)

SEARCH_METRICS = ("precision_at_10", "mean_rank_at_10", "regret_at_5")
FRACTION = st.floats(0, 1, width=32).map(lambda value: round(value, 2))
"""Two decimals, so that ties occur and no differences vanish."""


@st.composite
def predictions(draw: st.DrawFn, min_size: int = 2, missing: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predictions, accuracies and strata; some predictions are NaN unless `missing` is false."""
    n = draw(st.integers(min_size, 40))
    value = st.one_of(FRACTION, st.just(float("nan"))) if missing else FRACTION
    predicted, accuracy = draw(arrays(float, n, elements=value)), draw(arrays(float, n, elements=FRACTION))
    return predicted, accuracy, draw(arrays(np.int64, n, elements=st.sampled_from([4, 6, 8])))


def flat(metrics: dict[str, Any]) -> list[float]:
    """All numbers of nested metrics."""
    numbers: list[float] = []
    for value in metrics.values():
        if isinstance(value, dict):
            numbers += flat(value)
        elif value is not None:
            numbers.append(value)
    return numbers


@pytest.mark.parametrize("sequence", [list, np.array])
def test_rows_by_stratum(sequence: Any) -> None:
    rows = rows_by_stratum(sequence([6, 4, 6]))
    assert {stratum: found.tolist() for stratum, found in rows.items()} == {4: [1], 6: [0, 2]}
    assert list(rows) == [4, 6]
    assert rows_by_stratum(sequence([])) == {}


def test_prediction_metrics_by_hand() -> None:
    accuracy, strata = np.array([0.1, 0.2, 0.3, 0.4]), np.array([4, 4, 6, 6])
    metrics = prediction_metrics(np.array([0.1, 0.2, 0.2, np.nan]), accuracy, strata)
    assert metrics["n"] == 3
    assert metrics["spearman_by_stratum"] == {"4": pytest.approx(1.0), "6": None}
    assert metrics["within_stratum_spearman"] == pytest.approx(1.0)
    assert metrics["mae"] == pytest.approx(0.1 / 3)
    assert metrics["pairwise_accuracy"] == pytest.approx(2.5 / 3)
    assert pairwise_accuracy(np.zeros(2), np.zeros(2)) is None
    assert summarize_repeats([metrics, metrics])["spearman_by_stratum"]["6"] is None


def test_partial_correlation_removes_the_stratum(rng: np.random.Generator) -> None:
    strata = np.repeat([4, 6, 8], 40)
    accuracy = strata + 0.1 * rng.normal(size=120)
    unrelated = prediction_metrics(strata + rng.normal(size=120), accuracy, strata)
    assert abs(unrelated["partial_spearman"] or 0) < 0.3
    assert prediction_metrics(accuracy, accuracy, strata)["partial_spearman"] == pytest.approx(1)
    assert prediction_metrics(strata.astype(float), accuracy, strata)["partial_spearman"] is None


@given(data=predictions())
def test_correlations_are_those_of_scipy(data: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    predicted, accuracy, strata = data
    metrics, known = prediction_metrics(predicted, accuracy, strata), ~np.isnan(predicted)
    assert metrics["n"] == known.sum()
    if known.sum() < 2 or np.ptp(predicted[known]) == 0 or np.ptp(accuracy[known]) == 0:
        assert metrics["spearman"] is metrics["kendall"] is None
    else:
        rho, tau = (f(predicted[known], accuracy[known]).statistic for f in (spearmanr, kendalltau))
        assert metrics["spearman"] == pytest.approx(rho)
        assert metrics["kendall"] == tau


@given(data=predictions())
def test_metrics_are_finite_and_in_range(data: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    metrics = prediction_metrics(*data) | search_metrics(*data)
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics
    for name in ("spearman", "partial_spearman", "kendall", "within_stratum_spearman"):
        assert metrics[name] is None or -1 - 1e-9 <= metrics[name] <= 1 + 1e-9
    for name in ("pairwise_accuracy", "mae", "precision_at_10", "regret_at_5"):
        assert metrics[name] is None or 0 <= metrics[name] <= 1


@given(data=predictions(missing=False))
def test_order_metrics_change_sign_with_the_predictions(data: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    predicted, accuracy, strata = data
    metrics, reversed_metrics = (prediction_metrics(sign * predicted, accuracy, strata) for sign in (1, -1))
    for name in ("spearman", "partial_spearman", "kendall", "within_stratum_spearman"):
        if metrics[name] is not None:
            assert reversed_metrics[name] == pytest.approx(-metrics[name], abs=1e-9)
    if metrics["pairwise_accuracy"] is not None:
        assert reversed_metrics["pairwise_accuracy"] == pytest.approx(1 - metrics["pairwise_accuracy"])


@given(data=predictions(missing=False), seed=st.integers(0, 100))
def test_order_metrics_do_not_depend_on_the_order_of_the_rows_or_on_scale(
    data: tuple[np.ndarray, np.ndarray, np.ndarray], seed: int
) -> None:
    predicted, accuracy, strata = data
    order = np.random.default_rng(seed).permutation(len(predicted))
    metrics = prediction_metrics(predicted, accuracy, strata, absolute=False)
    other = prediction_metrics(3 * predicted[order] + 1, accuracy[order], strata[order], absolute=False)
    assert flat(other) == pytest.approx(flat(metrics), abs=1e-9)


@given(data=predictions(min_size=20, missing=False))
def test_a_perfect_prediction_has_the_best_metrics(data: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    _, accuracy, strata = data
    assume(np.ptp(accuracy) > 0)
    metrics = prediction_metrics(accuracy, accuracy, strata) | search_metrics(accuracy, accuracy, strata)
    assert metrics["spearman"] == pytest.approx(1)
    assert (metrics["pairwise_accuracy"], metrics["mae"]) == (1, 0)
    assert (metrics["precision_at_10"], metrics["regret_at_5"]) == (1, 0)


def test_spearman_of_constants_is_not_defined() -> None:
    assert spearman(np.array([1.0, np.nan]), np.array([1.0, 2.0])) is None
    assert spearman(np.ones(3), np.arange(3.0)) is None
    assert spearman(np.arange(3.0), np.ones(3)) is None


def test_summary_of_metrics_that_every_repeat_defines() -> None:
    summary = summarize_repeats([{"a": 1.0, "b": None}, {"a": 3.0, "b": 1.0}])
    assert summary == {"a": {"mean": 2.0, "std": 1.0}, "b": None}
    assert summarize_repeats([{"a": 1.0}, {}]) == {"a": None}
    nested = summarize_repeats([{"a": {"x": 1.0, "y": 1.0}}, {"a": {"x": 3.0}}])
    assert nested == {"a": {"x": {"mean": 2.0, "std": 1.0}, "y": None}}


def test_search_metrics_by_hand() -> None:
    """Accuracies 1 to 20: a predictor that swaps halves finds the ranks 11 to 20."""
    accuracy, strata = np.arange(1, 21) / 100, np.full(20, 4)
    metrics = search_metrics(accuracy, accuracy, strata)
    assert [metrics[name] for name in SEARCH_METRICS] == [1.0, pytest.approx(5.5), 0.0]
    swapped = search_metrics(np.roll(accuracy, 10), accuracy, strata)
    assert [swapped[name] for name in SEARCH_METRICS] == [0.0, pytest.approx(15.5), pytest.approx(0.20 - 0.10)]
    exchanged = accuracy.copy()
    exchanged[[19, 0]] = exchanged[[0, 19]]  # the best is predicted to be the worst
    wrong = search_metrics(exchanged, accuracy, strata)
    # The best predictions have rank 20, then ranks 2 to 10.
    assert [wrong[name] for name in SEARCH_METRICS] == [0.9, pytest.approx((20 + 54) / 10), pytest.approx(0.01)]


def test_tied_accuracies_share_the_better_rank() -> None:
    accuracy = np.repeat([0.9, 0.8], [12, 8])
    metrics = search_metrics(np.arange(20.0), accuracy, np.full(20, 4))
    # The ten best predictions are the eight of 0.8, of rank 13, and two of 0.9, of rank 1.
    assert metrics["precision_at_10"] == pytest.approx(0.2)
    assert metrics["mean_rank_at_10"] == pytest.approx((8 * 13 + 2) / 10)
    assert metrics["regret_at_5"] == pytest.approx(0.1)


def test_within_stratum_search_metrics_are_the_mean_over_strata(rng: np.random.Generator) -> None:
    strata = np.repeat([4, 6, 8], [20, 20, 19])
    accuracy = np.concatenate([np.arange(20) / 100, 0.5 + np.arange(20) / 100, rng.uniform(size=19)])
    predicted = np.concatenate([accuracy[:20], np.roll(accuracy[20:40], 10), rng.uniform(size=19)])
    metrics = search_metrics(predicted, accuracy, strata)
    assert metrics["within_stratum_precision_at_10"] == pytest.approx((1 + 0) / 2), "19 of one stratum are too few"
    assert metrics["within_stratum_mean_rank_at_10"] == pytest.approx((5.5 + 15.5) / 2)
    assert metrics["within_stratum_regret_at_5"] == pytest.approx((0 + 0.1) / 2)


def test_search_metrics_need_twenty_predictions() -> None:
    predicted, strata = np.arange(20.0), np.full(20, 4)
    assert None not in search_metrics(predicted, predicted, strata).values()
    predicted[3] = np.nan
    assert set(search_metrics(predicted, np.arange(20.0), strata).values()) == {None}


def test_missing_predictions_are_never_the_best() -> None:
    accuracy = np.arange(21.0)
    predicted = np.where(accuracy == 20, np.nan, accuracy)
    metrics = search_metrics(predicted, accuracy, np.full(21, 4))
    assert [metrics[name] for name in SEARCH_METRICS] == [1.0, 5.5, 0.0]


def test_interval_metrics_by_hand() -> None:
    interval = np.array([[0.1, 0.3], [0.2, 0.6], [0.5, 0.6], [np.nan, np.nan]])
    metrics = interval_metrics(interval, np.array([0.3, 0.1, 0.55, 0.5]), np.array([4, 4, 6, 8]))
    assert metrics == {
        "coverage": {"overall": pytest.approx(2 / 3), "by_stratum": {"4": 0.5, "6": 1.0}},
        "interval_width": {
            "overall": pytest.approx(0.7 / 3),
            "by_stratum": {"4": pytest.approx(0.3), "6": pytest.approx(0.1)},
        },
    }
    without = interval_metrics(interval[3:], np.array([0.5]), np.array([8]))
    assert without == {name: {"overall": None, "by_stratum": {}} for name in ("coverage", "interval_width")}


@given(data=predictions(missing=False), half_width=FRACTION)
def test_interval_metrics_over_strata_average_to_the_overall_one(
    data: tuple[np.ndarray, np.ndarray, np.ndarray], half_width: float
) -> None:
    predicted, accuracy, strata = data
    interval = np.stack([predicted - half_width, predicted + half_width], axis=1)
    metrics = interval_metrics(interval, accuracy, strata)
    assert metrics["interval_width"]["overall"] == pytest.approx(2 * half_width, abs=1e-9)
    for metric in metrics.values():
        total = sum(value * (strata == int(stratum)).sum() for stratum, value in metric["by_stratum"].items())
        assert metric["overall"] == pytest.approx(total / len(strata))
    wider = interval_metrics(interval + np.array([-0.1, 0.1]), accuracy, strata)
    assert wider["coverage"]["overall"] >= metrics["coverage"]["overall"]


def test_brier_score_by_hand() -> None:
    assert brier_score(np.array([1.0, 0.5, 0.8]), np.array([1.0, 0.0, 0.5])) == pytest.approx((0 + 0.25 + 0.09) / 3)
    assert brier_score(np.full(8, 0.5), np.tile([0.0, 1.0], 4)) == 0.25
    assert brier_score(np.full(3, 0.5), np.full(3, 0.5)) == 0, "½ is right for a tie"
    assert brier_score(np.empty(0), np.empty(0)) is None


@given(pairs=st.lists(st.tuples(FRACTION, st.booleans()), min_size=1, max_size=40))
def test_without_ties_the_brier_score_is_that_of_scikit_learn(pairs: list[tuple[float, bool]]) -> None:
    probability, outcome = (np.array(column, dtype=float) for column in zip(*pairs, strict=True))
    assert brier_score(probability, outcome) == pytest.approx(brier_score_loss(outcome, probability, labels=[0, 1]))


def test_reliability_curve_by_hand() -> None:
    probability = np.array([0.5, 0.52, 0.08, 0.92, 0.94, 1.0, 0.0])
    outcome = np.array([1.0, 0.5, 1.0, 1.0, 0.5, 1.0, 0.0])
    curve = reliability_curve(probability, outcome)
    assert curve == [
        {"predicted": pytest.approx(0.51), "observed": pytest.approx(0.75), "n": 2},
        # 0.08 for the first is 0.92 for the second, which is worse; a tie is half right.
        {"predicted": pytest.approx((0.92 + 0.92 + 0.94) / 3), "observed": pytest.approx(0.5), "n": 3},
        {"predicted": 1.0, "observed": 1.0, "n": 2},
    ]
    assert reliability_curve(1 - probability[1:], 1 - outcome[1:]) == reliability_curve(probability[1:], outcome[1:])
    assert json.loads(json.dumps(curve)) == curve
    assert reliability_curve(np.empty(0), np.empty(0)) == []


@given(pairs=st.lists(st.tuples(st.floats(0.501, 0.999), st.booleans()), min_size=1, max_size=60))
def test_without_ties_the_reliability_curve_is_that_of_scikit_learn(pairs: list[tuple[float, bool]]) -> None:
    probability, outcome = (np.array(column, dtype=float) for column in zip(*pairs, strict=True))
    assume(np.abs(20 * probability - np.round(20 * probability)).min() > 1e-6)  # edges belong to different bins
    curve = reliability_curve(probability, outcome)
    assert sum(point["n"] for point in curve) == len(probability)
    observed, predicted = calibration_curve(outcome, probability, n_bins=20)
    assert [point["predicted"] for point in curve] == pytest.approx(predicted.tolist())
    assert [point["observed"] for point in curve] == pytest.approx(observed.tolist())
