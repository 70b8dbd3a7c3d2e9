"""Every combiner, found through the registry, keeps the same contract."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from ensemble import COMBINERS, Benchmark, CombinerInfo, FeatureTable, combiner_names, get_combiner
from ensemble.combiners import Combiner, State
from ensemble.combiners.registry import _unique
from models import InputError, UnknownNameError

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
    assert fitted.predict(X[:1]) == pytest.approx(predicted[:1], abs=1e-7)


def test_same_data_same_model_and_no_global_randomness(
    info: CombinerInfo, fitted: Combiner, X: Array, benchmark: Benchmark, table: FeatureTable
) -> None:
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


def test_registry(table: FeatureTable) -> None:
    assert combiner_names() == [info.name for info in COMBINERS]
    with pytest.raises(UnknownNameError, match="stacked"):
        get_combiner("best")
    with pytest.raises(ValueError, match="not unique"):
        _unique((*COMBINERS, COMBINERS[0]))
    assert get_combiner("vote").columns(table.names) == tuple(n for n in table.names if n.startswith("proxy."))
    assert get_combiner("stacked").columns(table.names) == table.names
