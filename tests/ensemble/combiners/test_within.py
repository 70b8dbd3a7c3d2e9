import numpy as np
import pytest
from numpy.typing import NDArray

from ensemble.combiners import Combiner, State
from ensemble.combiners.ridge import Ridge
from ensemble.combiners.stratum_residual import WithinDepth

Array = NDArray[np.float64]
X = np.array([[0.0, 4], [1, 4], [2, 4], [3, 8]])
Y = np.array([0.90, 0.92, 0.94, 0.96])
MEAN = 0.93
MEANS = [(0.90 + 0.92 + 0.94 + MEAN) / 4, (0.96 + MEAN) / 2]


class Rest(Combiner):
    """Keeps what it was given to fit, and predicts nothing."""

    fitted_arrays = ("y_",)
    additive = True

    def fit(self, X: Array, y: Array) -> "Rest":
        X, self.y_ = self._training_data(X, y)
        return self

    def predict(self, X: Array) -> Array:
        return np.zeros(len(self._data(X)))

    def contributions(self, X: Array) -> Array:
        return np.zeros((len(X), X.shape[1] + 1))


@pytest.fixture
def model() -> WithinDepth:
    return WithinDepth(Rest(), column=1).fit(X, Y)


def test_each_depths_mean_is_taken_off_drawn_in_by_one_row(model: WithinDepth) -> None:
    assert model.depths_.tolist() == [4, 8]
    assert model.means_.tolist() == pytest.approx(MEANS)
    assert isinstance(model.model_, Rest)
    assert model.model_.y_.tolist() == pytest.approx([*(Y[:3] - MEANS[0]), Y[3] - MEANS[1]])


def test_depths_between_are_interpolated_and_those_beyond_are_the_nearest(model: WithinDepth) -> None:
    depths = [4, 8, 6, 5, 2, 10]
    between = MEANS[1] - MEANS[0]
    expected = [*MEANS, MEANS[0] + between / 2, MEANS[0] + between / 4, MEANS[0], MEANS[1]]
    assert model.predict(np.array([[0.0, depth] for depth in depths])).tolist() == pytest.approx(expected)


def test_the_depth_contributes_what_its_mean_differs_from_the_mean_of_all(model: WithinDepth) -> None:
    parts = model.contributions(X)
    assert parts[:, 0].tolist() == [0] * 4
    assert parts[:, 1].tolist() == pytest.approx([MEANS[0] - MEAN] * 3 + [MEANS[1] - MEAN])
    assert parts[:, 2].tolist() == pytest.approx([MEAN] * 4)
    assert parts.sum(axis=1) == pytest.approx(model.predict(X))


def test_state_holds_depths_and_model(rng: np.random.Generator) -> None:
    wide = np.column_stack([rng.normal(size=(40, 3)), rng.choice([4, 6], size=40)])
    model = WithinDepth(Ridge(), column=3).fit(wide, wide @ [1, 0, 0, 1])
    again = WithinDepth(Ridge(), column=3).set_state(model.get_state())
    assert np.array_equal(again.predict(wide), model.predict(wide))
    assert np.array_equal(again.contributions(wide), model.contributions(wide))
    with pytest.raises(KeyError):
        WithinDepth(Ridge(), column=3).set_state(
            State({key: part for key, part in model.get_state().arrays.items() if "model/" not in key})
        )
