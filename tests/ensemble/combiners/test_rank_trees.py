"""`RankTrees`: the target of its estimators."""

import numpy as np
import pytest

from ensemble.combiners.rank_trees import RankTrees
from tests.ensemble.combiners.recorder import Recorder

X = np.arange(4.0)[:, None]
Y = np.array([0.1, 0.94, 0.95, 0.93])
RANKS = np.array([0.125, 0.625, 0.875, 0.375])


@pytest.mark.parametrize("weight", [0.0, 0.25, 1.0])
def test_the_target_is_a_weighted_mean_of_ranks_and_scaled_accuracies(weight: float) -> None:
    scaled = 0.5 + RANKS.std() * (Y - Y.mean()) / Y.std()
    (estimator,) = RankTrees([Recorder()], accuracy_weight=weight).fit(X, Y).estimators_
    assert isinstance(estimator, Recorder)
    assert estimator.y_.tolist() == pytest.approx((1 - weight) * RANKS + weight * scaled)
    assert estimator.y_.argsort().tolist() == Y.argsort().tolist()


def test_equal_accuracies_have_one_target() -> None:
    (estimator,) = RankTrees([Recorder()]).fit(X, np.full(4, 0.9)).estimators_
    assert isinstance(estimator, Recorder)
    assert estimator.y_.tolist() == [0.5] * 4
