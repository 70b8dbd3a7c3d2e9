"""Every combiner, found through the registry, keeps the same contract."""

from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from ensemble import COMBINERS, Benchmark, CombinerInfo, FeatureTable, combiner_names, get_combiner
from ensemble.combiners import Combiner, State
from ensemble.combiners.calibrated import Calibrated, _interpolate
from ensemble.combiners.fitting import _recent, held_out
from ensemble.combiners.registry import _unique
from ensemble.combiners.stacked import Stacked
from ensemble.evaluation.folds import seeded_folds
from models import InputError, UnknownNameError
from tests.ensemble.conftest import SIZE

Array = NDArray[np.float64]


@pytest.fixture(scope="module", params=COMBINERS, ids=lambda info: info.name)
def info(request: pytest.FixtureRequest) -> CombinerInfo:
    info: CombinerInfo = request.param
    return info


@pytest.fixture(scope="module")
def X(info: CombinerInfo, table: FeatureTable) -> Array:  # noqa: N802  # the estimators' name
    return table.select(info.columns(table.names))


@pytest.fixture(scope="module")
def fitted(info: CombinerInfo, X: Array, benchmark: Benchmark, table: FeatureTable) -> Combiner:
    return info.build(table.names, 0).fit(X, benchmark.accuracy)


@pytest.fixture(scope="module")
def alone(fitted: Combiner, X: Array) -> Array:
    return np.concatenate([fitted.predict(X[i : i + 1]) for i in range(len(X))])


def test_clone_and_parameters(info: CombinerInfo, table: FeatureTable) -> None:
    model = info.build(table.names, 3)
    copy = clone(model)
    assert set(copy.get_params(deep=False)) == set(model.get_params(deep=False))
    assert not any(name.endswith("_") for name in vars(model))


def test_it_predicts_accuracies_better_than_their_mean(fitted: Combiner, X: Array, benchmark: Benchmark) -> None:
    predicted = fitted.predict(X)
    assert predicted.shape == (len(X),)
    assert predicted.dtype == np.float64
    assert np.abs(predicted - benchmark.accuracy).mean() < np.abs(benchmark.accuracy - benchmark.accuracy.mean()).mean()


@settings(deadline=None, derandomize=True, max_examples=30)
@given(rows=st.lists(st.integers(0, SIZE - 1), min_size=1, max_size=80), layout=st.sampled_from("CF"))
def test_a_prediction_is_the_same_bits_whatever_stands_beside_it(
    rows: list[int], layout: Literal["C", "F"], fitted: Combiner, X: Array, alone: Array
) -> None:
    assert np.array_equal(fitted.predict(np.asarray(X[rows], order=layout)), alone[rows])


def test_nor_does_it_depend_on_how_many_are_predicted(fitted: Combiner, X: Array, alone: Array) -> None:
    """More than anyone works on at once."""
    rows = np.random.default_rng(2).integers(0, SIZE, 1300)
    assert np.array_equal(fitted.predict(X[rows]), alone[rows])


def test_contributions_are_the_same_bits_whatever_stands_beside_them(fitted: Combiner, X: Array) -> None:
    if not fitted.additive:
        return
    parts, shuffled = fitted.contributions(X[:20]), np.random.default_rng(3).permutation(20)
    assert np.array_equal(fitted.contributions(X[shuffled]), parts[shuffled])
    for i in (0, 7, 19):
        assert np.array_equal(fitted.contributions(X[i : i + 1])[0], parts[i])


def test_who_compares_the_rows_of_a_set_says_so(info: CombinerInfo, fitted: Combiner, X: Array) -> None:
    ranks = fitted.ranking_scores(X)
    assert ranks.shape == (len(X),)
    assert np.array_equal(fitted.ranking_scores(X[:7]), ranks[:7]) != info.depends_on_set


def test_same_data_same_model_and_no_global_randomness(
    info: CombinerInfo, fitted: Combiner, X: Array, benchmark: Benchmark, table: FeatureTable
) -> None:
    _recent.clear()  # what was fitted before must not answer for it
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
    again = info.build(table.names, 0).fit(X, benchmark.accuracy)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002
    assert np.array_equal(again.predict(X), fitted.predict(X))


def test_order_of_training_rows_is_irrelevant(
    info: CombinerInfo, fitted: Combiner, X: Array, benchmark: Benchmark, table: FeatureTable
) -> None:
    order = np.random.default_rng(1).permutation(len(X))
    shuffled = info.build(table.names, 0).fit(X[order], benchmark.accuracy[order])
    assert shuffled.predict(X) == pytest.approx(fitted.predict(X), abs=2e-5)


def test_missing_scores(info: CombinerInfo, fitted: Combiner, X: Array) -> None:
    holed = X.copy()
    holed[0, 0], holed[1] = np.nan, np.nan
    if not info.missing:
        with pytest.raises(InputError, match="needs every score"):
            fitted.predict(holed)
        return
    predicted = fitted.predict(holed)
    assert np.isfinite(predicted[0])
    assert np.isnan(predicted[1])
    assert np.array_equal(predicted[2:], fitted.predict(X)[2:])


def test_missing_scores_in_training(info: CombinerInfo, X: Array, benchmark: Benchmark, table: FeatureTable) -> None:
    holed = X.copy()
    holed[::7, 0] = np.nan
    model = info.build(table.names, 0)
    if info.missing:
        assert np.isfinite(model.fit(holed, benchmark.accuracy).predict(X)).all()
    else:
        with pytest.raises(InputError, match="needs every score"):
            model.fit(holed, benchmark.accuracy)


def test_not_fitted_and_wrong_width(info: CombinerInfo, fitted: Combiner, X: Array, table: FeatureTable) -> None:
    with pytest.raises(NotFittedError):
        info.build(table.names, 0).predict(X)
    with pytest.raises(NotFittedError):
        info.build(table.names, 0).get_state()
    with pytest.raises(ValueError, match="features"):
        fitted.predict(X[:, 1:])


def test_state_round_trip(info: CombinerInfo, fitted: Combiner, X: Array, table: FeatureTable) -> None:
    state = fitted.get_state()
    assert all(isinstance(array, np.ndarray) and array.dtype != object for array in state.arrays.values())
    again = info.build(table.names, 0).set_state(state)
    assert np.array_equal(again.predict(X), fitted.predict(X))
    with pytest.raises(KeyError):
        info.build(table.names, 0).set_state(State())


def test_contributions_sum_to_the_prediction(fitted: Combiner, X: Array) -> None:
    if not fitted.additive:
        with pytest.raises(NotImplementedError):
            fitted.contributions(X)
        return
    parts = fitted.contributions(X)
    assert parts.shape == (len(X), X.shape[1] + 1)
    assert parts.sum(axis=1) == pytest.approx(fitted.predict(X), abs=1e-6)
    assert np.ptp(parts[:, -1]) < 1e-6, "every row starts from the same"


def test_fitted_again_nothing_is_left_of_the_first_time(
    info: CombinerInfo, fitted: Combiner, X: Array, benchmark: Benchmark, table: FeatureTable
) -> None:
    model = info.build(table.names, 0).fit(X[:30], benchmark.accuracy[:30])
    predicted = model.predict(X)
    if model.additive:
        model.contributions(X[:1])
    model.fit(X, benchmark.accuracy)
    assert not np.array_equal(model.predict(X), predicted)
    assert np.array_equal(model.predict(X), fitted.predict(X))
    if model.additive:
        assert np.array_equal(model.contributions(X[:3]), fitted.contributions(X[:3]))


def test_a_column_that_is_ignored_contributes_nothing(
    info: CombinerInfo, X: Array, benchmark: Benchmark, table: FeatureTable
) -> None:
    model = info.build(table.names, 0)
    if not model.additive:
        return
    column = info.columns(table.names).index("network.T")
    constant, other = X[:30].copy(), X[:30].copy()
    constant[:, column] = 0.5  # nothing to learn from
    model.fit(constant, benchmark.accuracy[:30])
    assert np.array_equal(model.predict(other), model.predict(constant))
    assert not model.contributions(other)[:, column].any()


def test_state_keeps_contributions(info: CombinerInfo, fitted: Combiner, X: Array, table: FeatureTable) -> None:
    again = info.build(table.names, 0).set_state(fitted.get_state())
    assert again.additive == fitted.additive
    if fitted.additive:
        assert np.array_equal(again.contributions(X), fitted.contributions(X))


def test_held_out_predictions_are_made_without_the_rows_fold(fitted: Combiner, X: Array, benchmark: Benchmark) -> None:
    """Only a stack's few weights and a calibration's few knots are shared by all folds."""
    y = benchmark.accuracy
    train, test = seeded_folds(X, y, 5, 0)[1]

    def without(model: Combiner, columns: tuple[int, ...] = (*range(X.shape[1]),)) -> Array:
        predicted: Array = clone(model).fit(X[train][:, columns], y[train]).predict(X[test][:, columns])
        return predicted

    if isinstance(fitted, Stacked):
        members = np.stack([without(model, columns) for _, model, columns in fitted.members])
        expected = fitted.weights_ @ (members - fitted.centre_) + fitted.centre_
    elif isinstance(fitted, Calibrated):
        expected = _interpolate(without(fitted.model_), *fitted.knots_)
    else:
        expected = without(fitted)
    said = held_out(fitted, X, y)
    assert said.shape == y.shape
    assert said[test] == pytest.approx(expected, abs=1e-9)
    assert not np.allclose(said, fitted.predict(X), atol=1e-6)


def test_the_stacks_of_one_fold_fit_the_members_that_they_share_once(benchmark: Benchmark, table: FeatureTable) -> None:
    rows = np.arange(30)
    stacks = []
    for info in (get_combiner("stacked"), get_combiner("structure")):
        X = table.select(info.columns(table.names))[rows]
        stacks.append(info.build(table.names, 0).fit(X, benchmark.accuracy[rows]))
    stacked, structure = stacks
    assert isinstance(stacked, Stacked)
    assert isinstance(structure, Stacked)
    assert stacked.models_["trees"] is structure.models_["trees"]
    assert stacked.models_["xgboost"] is structure.models_["xgboost"]
    assert stacked.models_["process"] is not structure.models_["process"]


def test_registry(table: FeatureTable) -> None:
    assert combiner_names() == [info.name for info in COMBINERS]
    with pytest.raises(UnknownNameError, match="stacked"):
        get_combiner("best")
    with pytest.raises(ValueError, match="not unique"):
        _unique((*COMBINERS, COMBINERS[0]))
    assert get_combiner("vote").columns(table.names) == tuple(n for n in table.names if n.startswith("proxy."))
    assert get_combiner("stacked").columns(table.names) == table.names
