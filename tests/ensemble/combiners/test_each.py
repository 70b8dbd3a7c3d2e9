"""Properties of single combiners beyond their common contract."""

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge as SklearnRidge

from ensemble.combiners import State
from ensemble.combiners.base import spearman
from ensemble.combiners.calibrated import Calibrated
from ensemble.combiners.forest import Forest
from ensemble.combiners.gaussian_process import AdditiveGaussianProcess
from ensemble.combiners.logrank import LogRank
from ensemble.combiners.mean import WeightedMean
from ensemble.combiners.ranknet import RankNet
from ensemble.combiners.ridge import ALPHAS, Ridge
from ensemble.combiners.robot import Robot
from ensemble.combiners.stacked import Stacked
from ensemble.combiners.vote import MajorityVote
from ensemble.data.columns import Columns
from models import FeatureGroup

Array = NDArray[np.float64]
RNG = np.random.default_rng(0)
Y = RNG.normal(size=40)


def brute_force(X: Array, y: Array, subset: tuple[int, ...]) -> float:
    """Pairwise accuracy of the vote of a subset of the columns."""
    correct = 0.0
    pairs = 0
    for i, j in combinations(range(len(y)), 2):
        if y[i] == y[j]:
            continue
        votes = sum(int(X[i, k] > X[j, k]) - int(X[i, k] < X[j, k]) for k in subset)
        correct += 0.5 if votes == 0 else float((votes > 0) == (y[i] > y[j]))
        pairs += 1
    return correct / pairs


def test_the_subset_search_agrees_with_brute_force() -> None:
    X = np.round(Y[:, None] * [1, 1, -1, 0, 0.5] + RNG.normal(size=(40, 5)), 0)  # rounding makes ties
    X[3, 1] = np.nan
    y = np.round(Y, 1)
    vote = MajorityVote().fit(X, y)
    subsets = [subset for size in range(1, 6) for subset in combinations(range(5), size)]
    expected = {subset: brute_force(X * vote.directions_, y, subset) for subset in subsets}
    for subset, accuracy in vote.top_subsets_:
        assert accuracy == pytest.approx(expected[subset])
    assert vote.top_subsets_[0][1] == pytest.approx(max(expected.values()))
    assert vote.directions_[2] == -1


def test_ties_and_missing_scores_are_no_votes() -> None:
    X = np.column_stack([Y, Y, Y])
    vote = MajorityVote().fit(X, Y)
    vote.support_ = np.array([True, True, True])
    contests = vote.contests(np.array([[1.0, 2, np.nan], [1.0, 1, 5], [1.0, np.nan, 9]]))
    assert contests.tolist() == [[0.5, 1.0, 0.5], [0.0, 0.5, 0.0], [0.5, 1.0, 0.5]]
    assert vote.ranking_scores(np.array([[3.0] * 3, [1.0] * 3, [2.0] * 3])).tolist() == [2.0, 0.0, 1.0]


def test_a_vote_predicts_the_fraction_of_the_training_rows_that_is_beaten() -> None:
    vote = MajorityVote().fit(Y[:, None], Y)
    assert vote.predict(np.array([[99.0], [-99.0], [np.median(Y)]])).tolist() == [1.0, 0.0, 0.5]


def test_large_searches_are_cut_to_the_strongest_proxies() -> None:
    X = np.column_stack([RNG.normal(size=(40, 4)), Y, Y + 0.3 * RNG.normal(size=40)])
    vote = MajorityVote(max_features=2, max_pairs=300).fit(X, Y)
    assert not vote.top_supports_[:, :4].any()
    assert len(vote.top_subsets_) == 3


def test_logarithms_of_ranks_by_hand() -> None:
    X = np.array([[1.0, 10], [2, 30], [2, 20], [4, np.nan]])
    model = LogRank().fit(X, np.zeros(4))
    ranks = np.array([[1 / 4, 1 / 3], [2.5 / 4, 3 / 3], [2.5 / 4, 2 / 3]])
    assert model.predict(X[:3]) == pytest.approx(np.log(ranks).mean(axis=1))
    rows = np.array([[4.0, np.nan], [3, np.nan], [9, 0], [np.nan, np.nan]])
    expected = [0, np.log(3.5 / 4), (np.log(4.5 / 4) + np.log(0.5 / 3)) / 2, np.nan]
    assert model.predict(rows) == pytest.approx(expected, nan_ok=True)


def test_logarithms_of_ranks_need_no_labels() -> None:
    X = RNG.normal(size=(40, 3))
    assert LogRank().fit(X, Y).predict(X).tolist() == LogRank().fit(X, -Y[::-1]).predict(X).tolist()


def test_weighted_mean_by_hand() -> None:
    X = np.column_stack([Y, -2 * Y, np.ones(40)])
    model = WeightedMean().fit(X, Y)
    assert model.weights_.tolist() == pytest.approx([1, -1, 0])
    low, high = Y.min(), Y.max()
    assert model.predict(np.array([[high, -2 * high, 7], [low, np.nan, 7], [high + (high - low), np.nan, 7]])) == (
        pytest.approx([0.5, 0.0, 2.0])
    )
    assert np.isnan(model.predict(np.array([[np.nan, np.nan, 1.0]])))


def test_optimized_weights_order_better_than_single_correlations() -> None:
    noise = 3 * RNG.normal(size=40)
    X = np.column_stack([Y + noise, -noise, np.ones(40)])  # good together alone
    robot, mean = Robot().fit(X, Y), WeightedMean().fit(X, Y)
    assert spearman(robot.predict(X), Y) > spearman(mean.predict(X), Y) + 0.2
    assert (np.abs(robot.weights_) <= 1).all()
    assert (
        robot.weights_.tolist()
        == Robot().fit(X, Y).weights_.tolist()
        != Robot(random_state=1).fit(X, Y).weights_.tolist()
    )
    assert np.isnan(robot.predict(np.array([[np.nan, np.nan, np.nan]])))


def test_ridge_chooses_the_penalty_with_the_smallest_leave_one_out_error() -> None:
    X = RNG.normal(size=(40, 60))
    y = X[:, 0] + RNG.normal(size=40)
    Z = (X - X.mean(axis=0)) / X.std(axis=0)

    def leave_one_out_error(alpha: float) -> float:
        errors = []
        for i in range(len(y)):
            model = SklearnRidge(alpha).fit(np.delete(Z, i, axis=0), np.delete(y, i))
            errors.append(float(model.predict(Z[i : i + 1])[0] - y[i]) ** 2)
        return float(np.mean(errors))

    ridge = Ridge().fit(X, y)
    assert ridge.alpha_ == min(ALPHAS, key=leave_one_out_error)
    expected = SklearnRidge(ridge.alpha_).fit(Z, y)
    assert ridge.coef_ == pytest.approx(expected.coef_)
    assert ridge.predict(X) == pytest.approx(expected.predict(Z))


def test_ranknet_ranks_and_its_networks_differ() -> None:
    X = np.column_stack([Y, RNG.normal(size=40)])
    model = RankNet().fit(X, Y)
    assert np.corrcoef(model.predict(X), Y)[0, 1] > 0.9
    assert not np.array_equal(model.w1_[0], model.w1_[1])


def test_calibration_is_strictly_increasing_beyond_the_training_range() -> None:
    y = 0.9 + 0.01 * np.tanh(Y)
    model = Calibrated(WeightedMean(), n_bins=8).fit(np.column_stack([Y, Y]), y)
    steps = np.linspace(Y.min() - 1, Y.max() + 1, 50)
    predicted = model.predict(np.column_stack([steps, steps]))
    assert (np.diff(predicted) > 0).all()
    assert not np.isin(model.knots_[1], y).any()


def test_stacking_weights_are_not_negative_and_prefer_the_better() -> None:
    X = np.column_stack([Y, RNG.normal(size=40)])
    model = Stacked((("good", Ridge(), (0,)), ("bad", Ridge(), (1,)))).fit(X, Y)
    assert (model.weights_ >= 0).all()
    assert model.weights_[0] > 0.9 > model.weights_[1]


def test_a_forest_predicts_as_scikit_learns(rng: np.random.Generator) -> None:
    X = rng.normal(size=(150, 6))
    y = X[:, 0] + X[:, 1] ** 2 + 0.1 * rng.normal(size=150)
    forest = Forest(n_estimators=20, random_state=3).fit(X, y)
    order = np.lexsort((*X.T, y))
    expected = RandomForestRegressor(20, min_samples_leaf=3, max_features=0.3, random_state=3).fit(X[order], y[order])
    new = rng.normal(size=(500, 6))
    np.testing.assert_allclose(forest.predict(new), expected.predict(new), rtol=1e-12)


def test_a_forest_with_broken_nodes_is_refused(rng: np.random.Generator) -> None:
    X = rng.normal(size=(50, 2))
    state = Forest(n_estimators=3).fit(X, X[:, 0]).get_state()
    for name, value in (("children_left_", 0), ("children_right_", 10**6), ("feature_", 2), ("feature_", -1)):
        arrays = {key: array.copy() for key, array in state.arrays.items()}
        arrays[name][-1] = value
        with pytest.raises(ValueError, match="a tree"):
            Forest(n_estimators=3).set_state(State(arrays))


def test_a_process_of_other_columns_is_refused(rng: np.random.Generator) -> None:
    X = rng.integers(0, 2, (20, 3)).astype(float)
    group = FeatureGroup("a", indicators=("a.on",), counts={"a.number=1": 1.0})
    columns = Columns(("level", "a.on", "a.number=1"), (group,), "level")
    state = AdditiveGaussianProcess(columns).fit(X, X[:, 1] + rng.normal(size=20)).get_state()
    for name in ("X_train_", "mean_", "scale_"):
        cut = State(state.arrays | {name: state.arrays[name][..., :2]})
        with pytest.raises(ValueError, match="do not fit its columns"):
            AdditiveGaussianProcess(columns).set_state(cut)
