"""Contract of combiners as a pytest class, for built-in combiners and plug-ins.

Example:
    >>> from ensemble import get_combiner
    >>> from ensemble.testing import CombinerContract
    >>> from models import get_space
    >>> class TestRidge(CombinerContract):
    ...     info = get_combiner("ridge")
    ...     space = get_space("gcn-nas")
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from ensemble.combiners import Combiner, CombinerInfo, State
from ensemble.combiners.calibrated import Calibrated
from ensemble.combiners.fitting import clear_cached_fits, out_of_fold_predictions, stored_out_of_fold_predictions
from ensemble.combiners.stacked import Stacked
from ensemble.data.columns import CURVE, PROXY, SOURCE
from ensemble.data.curve import Curve, CurveFeatures
from ensemble.data.features import FeatureTable, feature_table
from models import EncodedSpace, InputError, SearchSpace

Array = NDArray[np.float64]
PROXIES = ("informative", "opposite", "structural", "noise")
"""Synthetic proxies: close to the accuracy, to its negative, to a feature, and unrelated."""
CURVE_FEATURES = CurveFeatures(2, ("training_loss", "accuracy"))
"""Features of the synthetic training curves."""


@dataclass(frozen=True)
class SyntheticTable:
    """Feature table of random architectures whose accuracy depends on their features.

    Attributes:
        table: features of n architectures, with proxies, sources and a training curve.
        accuracy: (n,), fractions.
    """

    table: FeatureTable
    accuracy: Array


def synthetic_table(space: SearchSpace[Any], size: int, seed: int = 0) -> SyntheticTable:
    """Make a feature table of distinct random architectures and synthetic accuracies.

    Args:
        space: search space of the architectures.
        size: number of architectures.
        seed: seed of architectures, accuracies and proxies.
    """
    rng = np.random.default_rng(seed)
    distinct = {arch.fingerprint: arch for arch in (space.sample(rng) for _ in range(20 * size))}
    architectures = [distinct[key] for key in sorted(distinct)][:size]
    signal = np.zeros(len(architectures))
    if isinstance(space, EncodedSpace):
        features = space.feature_values(architectures)
        varied = features[:, features.std(axis=0) > 0]
        standardized = (varied - varied.mean(axis=0)) / varied.std(axis=0)
        signal = standardized @ rng.normal(size=standardized.shape[1]) / standardized.shape[1] ** 0.5
    accuracy = 0.9 + 0.01 * np.tanh(signal) + 0.002 * rng.normal(size=len(signal))
    noise = rng.normal(size=(4, len(signal)))
    columns = (accuracy + 0.004 * noise[0], -accuracy + 0.008 * noise[1], signal + 0.5 * noise[2], noise[3])
    rows = [dict(zip(PROXIES, row, strict=True)) for row in np.transpose(columns).tolist()]
    source_noise = rng.normal(size=(2, len(signal)))
    sources = {"similar": signal + source_noise[0], "unrelated": source_noise[1]}
    early = np.clip(accuracy[:, None] - (0.4, 0.2) + 0.004 * rng.normal(size=(len(signal), 2)), 0, 1)
    curves = [Curve(training_loss=tuple(-np.log(row)), accuracy=tuple(row)) for row in early]
    table = feature_table(space, architectures, rows, PROXIES, sources, CURVE_FEATURES, curves)
    return SyntheticTable(table, accuracy)


class CombinerContract:
    """Tests that every combiner passes.

    Subclass it in a test module under a name that begins with `Test`, and set `info` and `space`.

    Attributes:
        info: registry entry of the combiner.
        space: search space of the synthetic table that it is tested on.
        size: number of architectures of the table.
    """

    info: ClassVar[CombinerInfo]
    space: ClassVar[SearchSpace[Any]]
    size: ClassVar[int] = 60

    @pytest.fixture
    def synthetic(self) -> SyntheticTable:
        """The synthetic table."""
        synthetic = _synthetic_table(self.space, self.size)
        if reason := self.info.missing_input(synthetic.table.columns):
            pytest.skip(f"{self.info.name} on {self.space.name}: {reason}")
        return synthetic

    @pytest.fixture
    def X(self, synthetic: SyntheticTable) -> Array:  # noqa: N802  # the name in scikit-learn's interface
        """Columns that the combiner uses."""
        return synthetic.table.select(self.info.columns(synthetic.table.names))

    @pytest.fixture
    def y(self, synthetic: SyntheticTable) -> Array:
        """Accuracies."""
        return synthetic.accuracy

    @pytest.fixture
    def unfitted(self, synthetic: SyntheticTable) -> Combiner:
        """The combiner, not fitted."""
        return self.info.build(synthetic.table.columns, 0)

    @pytest.fixture
    def fitted(self, synthetic: SyntheticTable) -> Combiner:
        """The combiner, fitted to the table; the tests of a class share it."""
        return _fitted(self.info, self.space, self.size)

    @pytest.fixture
    def alone(self, fitted: Combiner, X: Array) -> Array:
        """Predictions of single rows."""
        return np.concatenate([fitted.predict(X[i : i + 1]) for i in range(len(X))])

    def _new(self, unfitted: Combiner) -> Combiner:
        copy: Combiner = clone(unfitted)
        return copy

    def test_parameters_are_cloned_and_fitted_state_is_not(self, unfitted: Combiner, fitted: Combiner) -> None:
        copy = self._new(fitted)
        assert set(copy.get_params(deep=False)) == set(unfitted.get_params(deep=False))
        assert not any(name.endswith("_") for name in vars(copy))

    def test_predictions_are_better_than_the_mean(self, fitted: Combiner, X: Array, y: Array) -> None:
        predicted = fitted.predict(X)
        assert predicted.shape == (len(X),)
        assert predicted.dtype == np.float64
        assert np.abs(predicted - y).mean() < np.abs(y - y.mean()).mean()

    def test_a_prediction_has_the_same_bits_in_any_batch(self, fitted: Combiner, X: Array, alone: Array) -> None:
        rng = np.random.default_rng(1)
        for size in (1, 2, 3, 5, 8, 17, 33, 64, 80):
            rows = rng.integers(0, len(X), size)
            for layout in ("C", "F"):
                assert np.array_equal(fitted.predict(np.asarray(X[rows], order=layout)), alone[rows])

    def test_a_prediction_has_the_same_bits_in_a_large_batch(self, fitted: Combiner, X: Array, alone: Array) -> None:
        """A batch larger than any chunk that a combiner may divide it into."""
        rows = np.random.default_rng(2).integers(0, len(X), 1300)
        assert np.array_equal(fitted.predict(X[rows]), alone[rows])

    def test_contributions_have_the_same_bits_in_any_batch(self, fitted: Combiner, X: Array) -> None:
        if not fitted.additive:
            return
        contributions, shuffled = fitted.contributions(X[:20]), np.random.default_rng(3).permutation(20)
        assert np.array_equal(fitted.contributions(X[shuffled]), contributions[shuffled])
        for i in (0, 7, 19):
            assert np.array_equal(fitted.contributions(X[i : i + 1])[0], contributions[i])

    def test_depends_on_set_marks_a_combiner_that_compares_rows(self, fitted: Combiner, X: Array) -> None:
        ranks = fitted.ranking_scores(X)
        assert ranks.shape == (len(X),)
        assert np.array_equal(fitted.ranking_scores(X[:7]), ranks[:7]) != self.info.depends_on_set

    def test_same_data_same_model_and_no_global_randomness(
        self, unfitted: Combiner, fitted: Combiner, X: Array, y: Array
    ) -> None:
        clear_cached_fits()  # earlier fits must not be reused
        before = torch.get_rng_state(), _numpy_state()
        again = self._new(unfitted).fit(X, y)
        assert torch.equal(torch.get_rng_state(), before[0])
        assert _numpy_state() == before[1]
        assert np.array_equal(again.predict(X), fitted.predict(X))

    def test_the_order_of_training_rows_is_irrelevant(
        self, unfitted: Combiner, fitted: Combiner, X: Array, y: Array
    ) -> None:
        order = np.random.default_rng(1).permutation(len(X))
        shuffled = self._new(unfitted).fit(X[order], y[order])
        assert shuffled.predict(X) == pytest.approx(fitted.predict(X), abs=2e-5)

    def test_missing_scores(self, fitted: Combiner, X: Array) -> None:
        incomplete = X.copy()
        incomplete[0, 0], incomplete[1] = np.nan, np.nan
        if not self.info.accepts_missing:
            with pytest.raises(InputError, match="needs every score"):
                fitted.predict(incomplete)
            return
        predicted = fitted.predict(incomplete)
        assert np.isfinite(predicted[0])
        assert np.isnan(predicted[1])
        assert np.array_equal(predicted[2:], fitted.predict(X)[2:])

    def test_missing_scores_in_training(self, unfitted: Combiner, X: Array, y: Array) -> None:
        incomplete = X.copy()
        incomplete[::7, 0] = np.nan
        if self.info.accepts_missing:
            assert np.isfinite(self._new(unfitted).fit(incomplete, y).predict(X)).all()
        else:
            with pytest.raises(InputError, match="needs every score"):
                self._new(unfitted).fit(incomplete, y)

    def test_not_fitted_and_wrong_width(self, unfitted: Combiner, fitted: Combiner, X: Array) -> None:
        with pytest.raises(NotFittedError):
            unfitted.predict(X)
        with pytest.raises(NotFittedError):
            unfitted.get_state()
        with pytest.raises(ValueError, match="features"):
            fitted.predict(X[:, 1:])

    def test_state_round_trip(self, unfitted: Combiner, fitted: Combiner, X: Array) -> None:
        state = fitted.get_state()
        assert all(isinstance(array, np.ndarray) and array.dtype != object for array in state.arrays.values())
        restored = self._new(unfitted).set_state(state)
        assert np.array_equal(restored.predict(X), fitted.predict(X))
        assert restored.additive == fitted.additive
        if fitted.additive:
            assert np.array_equal(restored.contributions(X[:20]), fitted.contributions(X[:20]))
        with pytest.raises(KeyError):
            self._new(unfitted).set_state(State())

    def test_contributions_sum_to_the_prediction(self, fitted: Combiner, X: Array) -> None:
        if not fitted.additive:
            with pytest.raises(NotImplementedError):
                fitted.contributions(X)
            return
        contributions = fitted.contributions(X[:20])
        assert contributions.shape == (20, X.shape[1] + 1)
        assert contributions.sum(axis=1) == pytest.approx(fitted.predict(X[:20]), abs=1e-6)
        assert np.ptp(contributions[:, -1]) < 1e-6, "the base value is common to all rows"

    def test_a_second_fit_replaces_the_first(self, unfitted: Combiner, fitted: Combiner, X: Array, y: Array) -> None:
        half = len(X) // 2
        model = self._new(unfitted).fit(X[:half], y[:half])
        predicted = model.predict(X)
        if model.additive:
            model.contributions(X[:1])
        model.fit(X, y)
        assert not np.array_equal(model.predict(X), predicted)
        assert np.array_equal(model.predict(X), fitted.predict(X))
        if model.additive:
            assert np.array_equal(model.contributions(X[:3]), fitted.contributions(X[:3]))

    def test_a_constant_column_contributes_nothing(
        self, unfitted: Combiner, synthetic: SyntheticTable, X: Array, y: Array
    ) -> None:
        model = self._new(unfitted)
        columns = synthetic.table.columns
        grouped = {name for group in columns.groups for name in group.features}
        free = [name for name in columns.structure if name not in grouped and name != columns.stratum]
        names, half = self.info.columns(columns.names), len(X) // 2
        if not model.additive or not free or free[-1] not in names:
            return
        column = names.index(free[-1])
        constant, other = X[:half].copy(), X[:half].copy()
        constant[:, column] = 0.5  # nothing to learn from
        model.fit(constant, y[:half])
        assert np.array_equal(model.predict(other), model.predict(constant))
        assert not model.contributions(other[:10])[:, column].any()

    def test_out_of_fold_predictions_are_made_without_the_rows_fold(self, fitted: Combiner, X: Array, y: Array) -> None:
        """Only the few weights of a stack and the few knots of a calibration are shared by all folds."""
        if isinstance(fitted, Stacked):
            predictions = [
                out_of_fold_predictions(estimator, X[:, columns], y, 5, 0)
                for _, estimator, columns in fitted.estimators
            ]
            expected = fitted.weights_ @ (np.stack(predictions) - fitted.y_mean_) + fitted.y_mean_
        elif isinstance(fitted, Calibrated):
            expected = fitted.calibrate(out_of_fold_predictions(fitted.base_estimator, X, y, 5, 0))
        else:
            expected = out_of_fold_predictions(fitted, X, y, 5, 0)
        predicted = stored_out_of_fold_predictions(fitted, X, y)
        assert predicted.shape == y.shape
        assert predicted == pytest.approx(expected, abs=1e-9)
        assert not np.allclose(predicted, fitted.predict(X), atol=1e-6)

    def test_scores_are_used_only_if_needed(self, X: Array, synthetic: SyntheticTable) -> None:
        names = self.info.columns(synthetic.table.names)
        assert X.shape[1] == len(names)
        assert any(name.startswith(PROXY) for name in names) == self.info.needs_proxies
        assert any(name.startswith(SOURCE) for name in names) == self.info.needs_sources
        assert any(name.startswith(CURVE) for name in names) == self.info.needs_curve


def contract_classes(
    infos: Iterable[CombinerInfo], spaces: Iterable[SearchSpace[Any]]
) -> dict[str, type[CombinerContract]]:
    """Make a test class by name for each combiner and space, to be added to the names of a test module."""
    classes = {}
    for info, space in product(infos, spaces):
        name = "Test" + "".join(part.title() for part in re.split(r"\W|_", f"{info.name}-{space.name}"))
        classes[name] = type(name, (CombinerContract,), {"info": info, "space": space})
    return classes


@lru_cache(maxsize=8)
def _synthetic_table(space: SearchSpace[Any], size: int) -> SyntheticTable:
    return synthetic_table(space, size)


@lru_cache(maxsize=4)
def _fitted(info: CombinerInfo, space: SearchSpace[Any], size: int) -> Combiner:
    synthetic = _synthetic_table(space, size)
    X = synthetic.table.select(info.columns(synthetic.table.names))
    return info.build(synthetic.table.columns, 0).fit(X, synthetic.accuracy)


def _numpy_state() -> list[int]:
    """Global random state of NumPy."""
    state: list[int] = np.random.get_state(legacy=False)["state"]["key"].tolist()  # noqa: NPY002
    return state
