"""`StratumResidual`: stratum means, interpolation and contributions."""

import numpy as np
import pytest
from numpy.typing import NDArray

from ensemble.combiners import State
from ensemble.combiners.ridge import Ridge
from ensemble.combiners.stratum_residual import StratumResidual
from tests.ensemble.combiners.recorder import Recorder

Array = NDArray[np.float64]
X = np.array([[0.0, 4], [1, 4], [2, 4], [3, 8]])
Y = np.array([0.90, 0.92, 0.94, 0.96])
MEAN = 0.93
MEANS = [(0.90 + 0.92 + 0.94 + MEAN) / 4, (0.96 + MEAN) / 2]


@pytest.fixture
def model() -> StratumResidual:
    return StratumResidual(Recorder(), stratum_column=1).fit(X, Y)


def test_the_shrunken_mean_of_each_stratum_is_subtracted(model: StratumResidual) -> None:
    assert model.strata_.tolist() == [4, 8]
    assert model.means_.tolist() == pytest.approx(MEANS)
    assert isinstance(model.estimator_, Recorder)
    assert model.estimator_.y_.tolist() == pytest.approx([*(Y[:3] - MEANS[0]), Y[3] - MEANS[1]])


def test_means_are_interpolated_between_strata_and_constant_beyond(model: StratumResidual) -> None:
    strata = [4, 8, 6, 5, 2, 10]
    difference = MEANS[1] - MEANS[0]
    expected = [*MEANS, MEANS[0] + difference / 2, MEANS[0] + difference / 4, MEANS[0], MEANS[1]]
    assert model.predict(np.array([[0.0, stratum] for stratum in strata])).tolist() == pytest.approx(expected)


def test_the_stratum_contributes_the_difference_between_its_mean_and_the_overall_mean(model: StratumResidual) -> None:
    contributions = model.contributions(X)
    assert contributions[:, 0].tolist() == [0] * 4
    assert contributions[:, 1].tolist() == pytest.approx([MEANS[0] - MEAN] * 3 + [MEANS[1] - MEAN])
    assert contributions[:, 2].tolist() == pytest.approx([MEAN] * 4)
    assert contributions.sum(axis=1) == pytest.approx(model.predict(X))


def test_state_holds_strata_and_estimator(rng: np.random.Generator) -> None:
    wide = np.column_stack([rng.normal(size=(40, 3)), rng.choice([4, 6], size=40)])
    model = StratumResidual(Ridge(), stratum_column=3).fit(wide, wide @ [1, 0, 0, 1])
    restored = StratumResidual(Ridge(), stratum_column=3).set_state(model.get_state())
    assert np.array_equal(restored.predict(wide), model.predict(wide))
    assert np.array_equal(restored.contributions(wide), model.contributions(wide))
    without_estimator = {key: part for key, part in model.get_state().arrays.items() if "estimator/" not in key}
    with pytest.raises(KeyError):
        StratumResidual(Ridge(), stratum_column=3).set_state(State(without_estimator))
