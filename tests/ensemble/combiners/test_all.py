"""Contract of every combiner in the registry."""

from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from ensemble import Benchmark, CombinerInfo, FeatureTable, combiner_infos, combiner_names, get_combiner
from ensemble.combiners import Combiner, State
from ensemble.combiners.calibrated import Calibrated, _interpolate
from ensemble.combiners.fitting import _fits, stored_out_of_fold_predictions
from ensemble.combiners.stacked import Stacked
from ensemble.data.folds import seeded_folds
from models import InputError, UnknownNameError
from tests.ensemble.conftest import SIZE

Array = NDArray[np.float64]


@pytest.fixture(scope="module", params=combiner_infos(), ids=lambda info: info.name)
def info(request: pytest.FixtureRequest) -> CombinerInfo:
    info: CombinerInfo = request.param
    return info


@pytest.fixture(scope="module")
def X(info: CombinerInfo, table: FeatureTable) -> Array:  # noqa: N802  # the name in scikit-learn's interface
    return table.select(info.columns(table.names))


@pytest.fixture(scope="module")
def fitted(info: CombinerInfo, X: Array, benchmark: Benchmark, table: FeatureTable) -> Combiner:
    return info.build(table.columns, 0).fit(X, benchmark.accuracy)


@pytest.fixture(scope="module")
def alone(fitted: Combiner, X: Array) -> Array:
    """Predictions of single rows."""
    return np.concatenate([fitted.predict(X[i : i + 1]) for i in range(len(X))])


def test_clone_and_parameters(info: CombinerInfo, table: FeatureTable) -> None:
    model = info.build(table.columns, 3)
    copy = clone(model)
    assert set(copy.get_params(deep=False)) == set(model.get_params(deep=False))
    assert not any(name.endswith("_") for name in vars(model))


def test_predictions_are_better_than_the_mean(fitted: Combiner, X: Array, benchmark: Benchmark) -> None:
    predicted = fitted.predict(X)
    assert predicted.shape == (len(X),)
    assert predicted.dtype == np.float64
    assert np.abs(predicted - benchmark.accuracy).mean() < np.abs(benchmark.accuracy - benchmark.accuracy.mean()).mean()


@settings(max_examples=30)
@given(rows=st.lists(st.integers(0, SIZE - 1), min_size=1, max_size=80), layout=st.sampled_from("CF"))
def test_a_prediction_has_the_same_bits_in_any_batch(
    rows: list[int], layout: Literal["C", "F"], fitted: Combiner, X: Array, alone: Array
) -> None:
    assert np.array_equal(fitted.predict(np.asarray(X[rows], order=layout)), alone[rows])


def test_a_prediction_has_the_same_bits_in_a_large_batch(fitted: Combiner, X: Array, alone: Array) -> None:
    """A batch larger than any combiner's chunks."""
    rows = np.random.default_rng(2).integers(0, SIZE, 1300)
    assert np.array_equal(fitted.predict(X[rows]), alone[rows])


def test_contributions_have_the_same_bits_in_any_batch(fitted: Combiner, X: Array) -> None:
    if not fitted.additive:
        return
    contributions, shuffled = fitted.contributions(X[:20]), np.random.default_rng(3).permutation(20)
    assert np.array_equal(fitted.contributions(X[shuffled]), contributions[shuffled])
    for i in (0, 7, 19):
        assert np.array_equal(fitted.contributions(X[i : i + 1])[0], contributions[i])


def test_depends_on_set_marks_the_combiners_that_compare_rows(info: CombinerInfo, fitted: Combiner, X: Array) -> None:
    ranks = fitted.ranking_scores(X)
    assert ranks.shape == (len(X),)
    assert np.array_equal(fitted.ranking_scores(X[:7]), ranks[:7]) != info.depends_on_set


def numpy_state() -> list[int]:
    """Global random state of NumPy."""
    state: list[int] = np.random.get_state(legacy=False)["state"]["key"].tolist()  # noqa: NPY002
    return state


def test_same_data_same_model_and_no_global_randomness(
    info: CombinerInfo, fitted: Combiner, X: Array, benchmark: Benchmark, table: FeatureTable
) -> None:
    _fits.clear()  # earlier fits must not be reused
    before = torch.get_rng_state(), numpy_state()
    again = info.build(table.columns, 0).fit(X, benchmark.accuracy)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert numpy_state() == before[1]
    assert np.array_equal(again.predict(X), fitted.predict(X))


def test_order_of_training_rows_is_irrelevant(
    info: CombinerInfo, fitted: Combiner, X: Array, benchmark: Benchmark, table: FeatureTable
) -> None:
    order = np.random.default_rng(1).permutation(len(X))
    shuffled = info.build(table.columns, 0).fit(X[order], benchmark.accuracy[order])
    assert shuffled.predict(X) == pytest.approx(fitted.predict(X), abs=2e-5)


def test_missing_scores(info: CombinerInfo, fitted: Combiner, X: Array) -> None:
    incomplete = X.copy()
    incomplete[0, 0], incomplete[1] = np.nan, np.nan
    if not info.accepts_missing:
        with pytest.raises(InputError, match="needs every score"):
            fitted.predict(incomplete)
        return
    predicted = fitted.predict(incomplete)
    assert np.isfinite(predicted[0])
    assert np.isnan(predicted[1])
    assert np.array_equal(predicted[2:], fitted.predict(X)[2:])


def test_missing_scores_in_training(info: CombinerInfo, X: Array, benchmark: Benchmark, table: FeatureTable) -> None:
    incomplete = X.copy()
    incomplete[::7, 0] = np.nan
    model = info.build(table.columns, 0)
    if info.accepts_missing:
        assert np.isfinite(model.fit(incomplete, benchmark.accuracy).predict(X)).all()
    else:
        with pytest.raises(InputError, match="needs every score"):
            model.fit(incomplete, benchmark.accuracy)


def test_not_fitted_and_wrong_width(info: CombinerInfo, fitted: Combiner, X: Array, table: FeatureTable) -> None:
    with pytest.raises(NotFittedError):
        info.build(table.columns, 0).predict(X)
    with pytest.raises(NotFittedError):
        info.build(table.columns, 0).get_state()
    with pytest.raises(ValueError, match="features"):
        fitted.predict(X[:, 1:])


def test_state_round_trip(info: CombinerInfo, fitted: Combiner, X: Array, table: FeatureTable) -> None:
    state = fitted.get_state()
    assert all(isinstance(array, np.ndarray) and array.dtype != object for array in state.arrays.values())
    restored = info.build(table.columns, 0).set_state(state)
    assert np.array_equal(restored.predict(X), fitted.predict(X))
    with pytest.raises(KeyError):
        info.build(table.columns, 0).set_state(State())


def test_contributions_sum_to_the_prediction(fitted: Combiner, X: Array) -> None:
    if not fitted.additive:
        with pytest.raises(NotImplementedError):
            fitted.contributions(X)
        return
    contributions = fitted.contributions(X)
    assert contributions.shape == (len(X), X.shape[1] + 1)
    assert contributions.sum(axis=1) == pytest.approx(fitted.predict(X), abs=1e-6)
    assert np.ptp(contributions[:, -1]) < 1e-6, "the base value is common to all rows"


def test_a_second_fit_replaces_the_first(
    info: CombinerInfo, fitted: Combiner, X: Array, benchmark: Benchmark, table: FeatureTable
) -> None:
    model = info.build(table.columns, 0).fit(X[:30], benchmark.accuracy[:30])
    predicted = model.predict(X)
    if model.additive:
        model.contributions(X[:1])
    model.fit(X, benchmark.accuracy)
    assert not np.array_equal(model.predict(X), predicted)
    assert np.array_equal(model.predict(X), fitted.predict(X))
    if model.additive:
        assert np.array_equal(model.contributions(X[:3]), fitted.contributions(X[:3]))


def test_a_constant_column_contributes_nothing(
    info: CombinerInfo, X: Array, benchmark: Benchmark, table: FeatureTable
) -> None:
    model = info.build(table.columns, 0)
    if not model.additive:
        return
    column = info.columns(table.names).index("network.T")
    constant, other = X[:30].copy(), X[:30].copy()
    constant[:, column] = 0.5  # nothing to learn from
    model.fit(constant, benchmark.accuracy[:30])
    assert np.array_equal(model.predict(other), model.predict(constant))
    assert not model.contributions(other)[:, column].any()


def test_state_keeps_contributions(info: CombinerInfo, fitted: Combiner, X: Array, table: FeatureTable) -> None:
    restored = info.build(table.columns, 0).set_state(fitted.get_state())
    assert restored.additive == fitted.additive
    if fitted.additive:
        assert np.array_equal(restored.contributions(X), fitted.contributions(X))


def test_out_of_fold_predictions_are_made_without_the_rows_fold(
    fitted: Combiner, X: Array, benchmark: Benchmark
) -> None:
    """Only the few weights of a stack and the few knots of a calibration are shared by all folds."""
    y = benchmark.accuracy
    train, test = seeded_folds(X, y, 5, 0)[1]

    def without_fold(model: Combiner, columns: tuple[int, ...] = (*range(X.shape[1]),)) -> Array:
        predicted: Array = clone(model).fit(X[train][:, columns], y[train]).predict(X[test][:, columns])
        return predicted

    if isinstance(fitted, Stacked):
        predictions = np.stack([without_fold(estimator, columns) for _, estimator, columns in fitted.estimators])
        expected = fitted.weights_ @ (predictions - fitted.y_mean_) + fitted.y_mean_
    elif isinstance(fitted, Calibrated):
        expected = _interpolate(without_fold(fitted.estimator_), *fitted.knots_)
    else:
        expected = without_fold(fitted)
    predicted = stored_out_of_fold_predictions(fitted, X, y)
    assert predicted.shape == y.shape
    assert predicted[test] == pytest.approx(expected, abs=1e-9)
    assert not np.allclose(predicted, fitted.predict(X), atol=1e-6)


def test_two_stacks_fit_a_common_estimator_once(benchmark: Benchmark, table: FeatureTable) -> None:
    rows = np.arange(30)
    stacks = []
    for info in (get_combiner("stacked"), get_combiner("structure")):
        X = table.select(info.columns(table.names))[rows]
        stacks.append(info.build(table.columns, 0).fit(X, benchmark.accuracy[rows]))
    stacked, structure = stacks
    assert isinstance(stacked, Stacked)
    assert isinstance(structure, Stacked)
    for name, is_common in (("extra_trees", True), ("xgboost", True), ("gaussian_process", False)):
        assert (stacked.named_estimators_[name] is structure.named_estimators_[name]) == is_common


def test_registry(table: FeatureTable) -> None:
    assert combiner_names() == [info.name for info in combiner_infos()]
    with pytest.raises(UnknownNameError, match="stacked"):
        get_combiner("best")
    assert get_combiner("vote").columns(table.names) == tuple(n for n in table.names if n.startswith("proxy."))
    assert get_combiner("stacked").columns(table.names) == table.names
