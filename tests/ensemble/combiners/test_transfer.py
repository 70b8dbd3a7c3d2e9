"""Tests of the combiner that transfers."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import spearmanr

from ensemble.combiners import transfer_process
from ensemble.combiners.forest import Forest
from ensemble.combiners.transfer import HALF_WEIGHT_ROWS, Transfer
from ensemble.combiners.transfer_process import TransferProcess
from models import InputError

Array = NDArray[np.float64]
NUM_SOURCES, WIDTH = 3, 12


def table(size: int, seed: int = 0) -> tuple[Array, Array]:
    """Structure, of which two columns matter, two informative sources and one of noise; labels."""
    rng = np.random.default_rng(seed)
    structure = (rng.random((size, WIDTH)) < 0.4).astype(np.float64)
    effect = 2 * structure[:, 0] + structure[:, 1]
    sources = np.column_stack([effect, effect - structure[:, 2], np.zeros(size)]) + 0.5 * rng.normal(size=(size, 3))
    y = effect + structure[:, 3] + 0.2 * rng.normal(size=size)
    return np.column_stack([sources, structure]), y


REFERENCE, TEST = table(400, 1)[0], table(300, 2)


def rho(a: Array, b: Array) -> float:
    return float(spearmanr(a, b).statistic)


def fitted(size: int, **arguments: Any) -> Transfer:
    X, y = table(size, **arguments)
    return Transfer(NUM_SOURCES, reference=REFERENCE).fit(X, y)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 19, 20, 200])
class TestAnySize:
    def test_order_of_rows_does_not_matter(self, size: int) -> None:
        X, y = table(size)
        order = np.random.default_rng(3).permutation(size)
        one = Transfer(NUM_SOURCES, reference=REFERENCE).fit(X, y)
        other = Transfer(NUM_SOURCES, reference=REFERENCE[::-1]).fit(X[order], y[order])
        np.testing.assert_array_equal(one.predict(TEST[0]), other.predict(TEST[0]))
        np.testing.assert_array_equal(one.held_out_[order], other.held_out_)

    def test_prediction_does_not_depend_on_the_batch(self, size: int) -> None:
        model = fitted(size)
        whole = model.predict(TEST[0])
        np.testing.assert_array_equal(whole[7:8], model.predict(TEST[0][7:8]))
        np.testing.assert_array_equal(whole[100:], model.predict(TEST[0][100:]))

    def test_state_round_trip(self, size: int) -> None:
        model = fitted(size)
        restored = Transfer(NUM_SOURCES).set_state(model.get_state())
        np.testing.assert_array_equal(restored.predict(TEST[0]), model.predict(TEST[0]))

    def test_scores_are_finite_and_held_out_scores_complete(self, size: int) -> None:
        model = fitted(size)
        assert np.isfinite(model.predict(TEST[0])).all()
        assert model.held_out_.shape == (size,)
        assert np.isfinite(model.held_out_).all()

    def test_without_sources(self, size: int) -> None:
        X, y = table(size)
        model = Transfer(reference=REFERENCE[:, NUM_SOURCES:]).fit(X[:, NUM_SOURCES:], y)
        scores = model.predict(TEST[0][:, NUM_SOURCES:])
        assert np.isfinite(scores).all()
        assert size >= 2 or not scores.any()

    def test_without_reference(self, size: int) -> None:
        X, y = table(size)
        model = Transfer(NUM_SOURCES).fit(X, y)
        assert rho(model.predict(TEST[0]), TEST[1]) > 0.4


def test_more_rows_order_better_than_sources_alone() -> None:
    none, some, many = (rho(fitted(size).predict(TEST[0]), TEST[1]) for size in (0, 20, 200))
    assert none < some < many
    assert many > 0.9


def test_sources_help_where_rows_are_few() -> None:
    gains = []
    for seed in range(3):
        X, y = table(6, seed + 10)
        alone = (
            Transfer(reference=REFERENCE[:, NUM_SOURCES:]).fit(X[:, NUM_SOURCES:], y).predict(TEST[0][:, NUM_SOURCES:])
        )
        scores = Transfer(NUM_SOURCES, reference=REFERENCE).fit(X, y).predict(TEST[0])
        gains.append(rho(scores, TEST[1]) - rho(alone, TEST[1]))
    assert np.mean(gains) > 0.05


def test_sources_of_noise_hurt_little_with_100_rows() -> None:
    X, y = table(100)
    noise = np.random.default_rng(5)
    parts = [noise.normal(size=(len(rows), 5)) for rows in (X, REFERENCE, TEST[0])]
    train, reference, test = (
        np.column_stack([part, rows[:, NUM_SOURCES:]])
        for part, rows in zip(parts, (X, REFERENCE, TEST[0]), strict=True)
    )
    alone = Transfer(reference=reference[:, 5:]).fit(train[:, 5:], y).predict(test[:, 5:])
    assert rho(Transfer(5, reference=reference).fit(train, y).predict(test), TEST[1]) > rho(alone, TEST[1]) - 0.05


@pytest.mark.parametrize("size", [50, 400])
def test_held_out_scores_know_nothing_of_random_labels(size: int) -> None:
    X, _ = table(size)
    correlations = []
    for seed in range(4):
        y = np.random.default_rng(seed).normal(size=size)
        correlations.append(rho(Transfer(NUM_SOURCES, reference=REFERENCE).fit(X, y).held_out_, y))
    assert np.mean(correlations) < 2 / np.sqrt(size)


def test_held_out_scores_have_the_quality_of_predictions() -> None:
    X, y = table(200)
    model = Transfer(NUM_SOURCES, reference=REFERENCE).fit(X, y)
    assert rho(model.held_out_, y) == pytest.approx(rho(model.predict(TEST[0]), TEST[1]), abs=0.05)
    assert model.held_out_.std() == pytest.approx(model.predict(TEST[0]).std(), rel=0.2)


def test_constant_labels_leave_the_sources() -> None:
    X, _ = table(30)
    model = Transfer(NUM_SOURCES, reference=REFERENCE).fit(X, np.full(30, 0.5))
    np.testing.assert_array_equal(model.predict(TEST[0]), fitted(0).predict(TEST[0]))


def test_ties_and_duplicates() -> None:
    X, y = table(40)
    X, y = np.concatenate([X, X]), np.round(np.concatenate([y, y]))
    scores = Transfer(NUM_SOURCES, reference=REFERENCE).fit(X, y).predict(X)
    np.testing.assert_array_equal(scores[:40], scores[40:])


def test_unit_of_the_labels_does_not_matter() -> None:
    X, y = table(60)
    one, other = (
        Transfer(NUM_SOURCES, reference=REFERENCE).fit(X, labels).predict(TEST[0]) for labels in (y, 1024 * y)
    )
    np.testing.assert_array_equal(one, other)


def test_missing_score_is_refused() -> None:
    X, y = table(10)
    X[3, 1] = np.nan
    with pytest.raises(InputError, match=r"X\[3, 1\]"):
        Transfer(NUM_SOURCES, reference=REFERENCE).fit(X, y)


def test_similar_sources_share_a_weight() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 500))
    X = np.column_stack([first, first + 0.05 * rng.normal(size=500), second, rng.normal(size=500)])
    weights = TransferProcess(3).fit(X[:0], np.empty(0), X).source_weights_
    assert weights[0] == pytest.approx(weights[1], rel=0.1)
    assert weights[2] > 1.5 * weights[0]


def test_relevant_columns_count_more() -> None:
    process = TransferProcess(NUM_SOURCES).fit(*table(0), REFERENCE)
    scale = process.scale_[NUM_SOURCES:] / REFERENCE[:, NUM_SOURCES:].std(axis=0)
    assert set(np.argsort(scale)[:2]) == {0, 1}


def test_large_sets_are_fitted_to_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer_process, "MAX_ROWS", 50)
    X, y = table(120)
    process = TransferProcess(NUM_SOURCES).fit(X, (y - y.mean()) / y.std(), REFERENCE)
    assert len(process.dual_coef_) == 50
    assert rho(process.held_out_, y) > 0.7


def test_leave_one_out_equals_a_fit_without_the_row(monkeypatch: pytest.MonkeyPatch) -> None:
    variances = np.array(transfer_process.INITIAL_VARIANCES)
    monkeypatch.setattr(transfer_process, "maximize_likelihood", lambda *_: variances)
    X, y = table(25)
    held_out = TransferProcess(NUM_SOURCES).fit(X, y, REFERENCE).held_out_
    rest = np.arange(25) != 4
    other = TransferProcess(NUM_SOURCES).fit(X[rest], y[rest], REFERENCE)
    assert held_out[4] == pytest.approx(other.predict(X[4:5])[0], abs=1e-8)


def test_weight_of_the_trees_grows() -> None:
    assert fitted(HALF_WEIGHT_ROWS).tree_weight_ == pytest.approx(0.25)


@pytest.mark.parametrize(
    "name", ["process/X_train_", "process/scale_", "process/source_weights_", "process/variances_"]
)
def test_state_of_another_shape_is_refused(name: str) -> None:
    state = fitted(20).get_state()
    state.arrays[name] = state.arrays[name][:-1]
    with pytest.raises(ValueError, match="do not fit"):
        Transfer(NUM_SOURCES).set_state(state)


def test_out_of_bag_predictions_are_in_the_order_of_the_rows() -> None:
    X, y = table(100)
    order = np.random.default_rng(0).permutation(100)
    one, other = (Forest(extra_trees=True, oob_score=True).fit(X[rows], y[rows]) for rows in (np.arange(100), order))
    np.testing.assert_array_equal(one.oob_prediction_[order], other.oob_prediction_)
    assert 0.5 < rho(one.oob_prediction_, y) < rho(one.predict(X), y)
