from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from ensemble.calibration.conformal import ConformalResiduals
from ensemble.combiners import State
from ensemble.evaluation.metrics import brier_score, reliability_curve

Array = NDArray[np.float64]
FIELDS = ("strata", "lower", "upper", "std", "marginal_lower", "marginal_upper", "slope")


def of_residuals(residuals: Array, depths: Array | None = None, seed: int = 0) -> ConformalResiduals:
    """Errors of a model that says 0.5 and is off by these, in any order."""
    order = np.random.default_rng(seed).permutation(len(residuals))
    groups = np.full(len(residuals), 4) if depths is None else depths
    return ConformalResiduals.fit(np.full(len(residuals), 0.5), 0.5 + residuals[order], groups[order])


@pytest.fixture(scope="module")
def errors() -> ConformalResiduals:
    """Depth 4 is off by up to 1 point, depth 6 by up to 4; all are 20 points around their mean."""
    rng = np.random.default_rng(0)
    depths = np.repeat([4, 6], 100)
    held_out = rng.uniform(0.4, 0.6, 200)
    return ConformalResiduals.fit(
        held_out, held_out + rng.uniform(-1, 1, 200) * np.where(depths == 4, 0.01, 0.04), depths
    )


@pytest.mark.parametrize(
    ("n", "low", "high"),
    # ⌊(n + 1)·0.05⌋ and ⌈(n + 1)·0.95⌉, at least 1 and at most n
    [(5, 1, 5), (18, 1, 18), (19, 1, 19), (38, 1, 38), (39, 2, 38), (40, 2, 39), (59, 3, 57), (150, 7, 144)],
)
def test_tails_by_hand(n: int, low: int, high: int) -> None:
    residuals = np.arange(1, n + 1) / 1000
    errors = of_residuals(residuals)
    assert errors.lower[-1] == pytest.approx(residuals[low - 1])
    assert errors.upper[-1] == pytest.approx(residuals[high - 1])
    assert errors.std[-1] == pytest.approx(residuals.std())


def test_rows_without_a_prediction_are_left_out() -> None:
    held_out, y = np.array([0.5, np.nan, 0.5]), np.array([0.4, 0.9, 0.6])
    errors = ConformalResiduals.fit(held_out, y, np.array([4, 4, 4]))
    assert [errors.lower[-1], errors.upper[-1]] == pytest.approx([-0.1, 0.1])
    assert [errors.marginal_lower, errors.marginal_upper] == pytest.approx([-0.1, 0.1])


def test_nine_in_ten_intervals_hold_the_accuracy_at_every_depth(rng: np.random.Generator) -> None:
    depths = np.repeat([4, 6], 60)
    noise = np.where(depths == 4, 0.002, 0.01)
    coverage, width = [], []
    for _ in range(300):
        held_out, new = rng.uniform(0.4, 0.6, (2, 120))
        errors = ConformalResiduals.fit(held_out, held_out + noise * rng.normal(size=120), depths)
        low, high = errors.intervals(new, depths).T
        truth = new + noise * rng.normal(size=120)
        coverage.append(((low <= truth) & (truth <= high)).reshape(2, 60).mean(axis=1))
        width.append((high - low).reshape(2, 60).mean(axis=1))
    assert np.mean(coverage, axis=0).tolist() == pytest.approx([0.9, 0.9], abs=0.02)
    narrow, wide = np.mean(width, axis=0)
    assert wide / narrow == pytest.approx(5, rel=0.1)


def test_a_lopsided_error_gets_a_lopsided_interval(rng: np.random.Generator) -> None:
    residuals = 0.02 * (rng.exponential(size=2000) - 1)
    errors = of_residuals(residuals)
    low, high = errors.intervals(np.array([0.5]), np.array([4]))[0] - 0.5
    assert low == pytest.approx(0.02 * (-np.log(0.95) - 1), abs=0.002)
    assert high == pytest.approx(0.02 * (-np.log(0.05) - 1), abs=0.004)
    assert (residuals < low).mean() == pytest.approx((residuals > high).mean(), abs=0.002)


def test_a_depth_with_few_rows_takes_the_tails_of_all() -> None:
    depths = np.repeat([4, 6], [39, 60])
    errors = of_residuals(np.concatenate([np.linspace(-0.3, 0.3, 39), np.linspace(-0.01, 0.01, 60)]), depths)
    assert errors.strata.tolist() == [6]
    few, own, never_seen = np.ptp(errors.intervals(np.full(3, 0.5), np.array([4, 6, 10])), axis=1)
    assert few == never_seen == pytest.approx(errors.upper[-1] - errors.lower[-1])
    assert own < 0.02 < few
    one_more = of_residuals(np.linspace(-0.3, 0.3, 100), np.repeat([4, 6], [40, 60]))
    assert one_more.strata.tolist() == [4, 6]


def test_stretch_widens_by_that_much_and_never_below_the_spread_of_all(errors: ConformalResiduals) -> None:
    accuracy, depths = np.full(4, 0.5), np.array([4, 4, 6, 6])
    plain = errors.intervals(accuracy, depths)
    stretched = errors.intervals(accuracy, depths, np.array([1.0, 2.0, 1.0, 5.0]))
    assert np.array_equal(stretched[[0, 2]], plain[[0, 2]])
    far = [0.5 + errors.marginal_lower, 0.5 + errors.marginal_upper]
    assert stretched[1].tolist() == pytest.approx(far), "twice its error would be narrower than the population"
    assert stretched[3].tolist() == pytest.approx(list(0.5 + 5 * (plain[3] - 0.5)))
    assert stretched[3, 0] < far[0]
    assert stretched[3, 1] > far[1]


def test_stretch_widens_an_interval_that_lies_beside_the_prediction() -> None:
    """Where every residual is positive, twice the lower tail alone would narrow it."""
    errors = of_residuals(np.linspace(0.01, 0.02, 50))
    plain, far = errors.intervals(np.full(2, 0.5), np.array([4, 4]), np.array([1.0, 2.0]))
    assert plain[0] > 0.5
    assert far[0] < plain[0] < plain[1] < far[1]


def test_intervals_stay_fractions_and_nothing_stays_nothing(errors: ConformalResiduals) -> None:
    accuracy = np.array([0.001, 0.999, np.nan])
    interval = errors.intervals(accuracy, np.array([6, 6, 6]), np.array([1.0, 9.0, 2.0]))
    assert (interval[:2] >= 0).all()
    assert (interval[:2] <= 1).all()
    assert interval[0, 0] == 0
    assert interval[1, 1] == 1
    assert np.isnan(interval[2]).all()
    assert np.isnan(errors.win_probability(accuracy, np.array([6, 6, 6]))[2]).all()
    assert errors.intervals(np.empty(0), np.empty(0)).shape == (0, 2)


def test_swapping_a_pair_swaps_its_probability(errors: ConformalResiduals, rng: np.random.Generator) -> None:
    accuracy, depths = rng.uniform(0.4, 0.6, 12), rng.choice([4, 6, 10], 12)
    beats = errors.win_probability(accuracy, depths, rng.uniform(1, 3, 12))
    assert beats + beats.T == pytest.approx(np.ones((12, 12)))
    assert np.diag(beats).tolist() == [0.5] * 12


def test_a_larger_lead_is_surer_and_a_larger_error_is_less_sure(errors: ConformalResiduals) -> None:
    lead = errors.win_probability(np.array([0.5, 0.501, 0.505, 0.52]), np.full(4, 4))
    assert (np.diff(lead[:, 0]) > 0).all()
    assert lead[1, 0] > 0.5
    pair = np.array([0.51, 0.5])
    noisy, known = (
        errors.win_probability(pair, np.array([6, 6]))[0, 1],
        errors.win_probability(pair, np.array([4, 4]))[0, 1],
    )
    far = errors.win_probability(pair, np.array([4, 4]), np.array([3.0, 1.0]))[0, 1]
    assert 0.5 < noisy < known
    assert 0.5 < far < known


def test_probabilities_are_calibrated(rng: np.random.Generator) -> None:
    def draw() -> tuple[Array, Array]:
        held_out = 0.5 + 0.02 * rng.normal(size=250)
        return held_out, held_out + np.where(depths == 4, 0.01, 0.03) * rng.normal(size=250)

    depths = np.repeat([4, 6], 125)
    errors = ConformalResiduals.fit(*draw(), depths)
    accuracy, truth = draw()
    first, second = np.triu_indices(250, k=1)
    probability = errors.win_probability(accuracy, depths)[first, second]
    better = (truth[first] > truth[second]).astype(float)
    assert (brier_score(probability, better) or 1) < 0.2
    bins = reliability_curve(probability, better)
    assert len(bins) == 10
    for one in bins:
        assert one["predicted"] == pytest.approx(one["observed"], abs=0.06)


def test_without_information_nobody_is_surely_better(rng: np.random.Generator) -> None:
    guess, y, depths = rng.uniform(0.4, 0.6, 200), rng.uniform(0.4, 0.6, 200), np.full(200, 4)
    beats = ConformalResiduals.fit(guess, y, depths).win_probability(guess, depths)
    assert np.abs(beats - 0.5).max() < 0.2
    assert np.abs(beats - 0.5).mean() < 0.05
    upside_down = ConformalResiduals.fit(guess, 1 - guess + 0.01 * rng.normal(size=200), depths)
    assert upside_down.slope == 0, "a wrong order is no reason to turn it round"
    constant = ConformalResiduals.fit(np.full(200, 0.5), y, depths)
    assert constant.win_probability(np.full(3, 0.5), np.full(3, 4)).tolist() == [[0.5] * 3] * 3


def test_equal_accuracies_and_perfect_predictions_are_no_error() -> None:
    flat = ConformalResiduals.fit(np.linspace(0.4, 0.6, 50), np.full(50, 0.5), np.full(50, 4))
    assert np.isfinite(flat.win_probability(np.array([0.4, 0.5]), np.array([4, 4]))).all()
    y = np.linspace(0.4, 0.6, 50)[np.random.default_rng(0).permutation(50)]
    perfect = ConformalResiduals.fit(y, y, np.full(50, 4))
    assert perfect.intervals(np.array([0.5]), np.array([4]))[0].tolist() == [0.5, 0.5]
    assert perfect.win_probability(np.array([0.41, 0.4]), np.array([4, 4]))[0, 1] > 0.99


def test_state_round_trip_is_exact(errors: ConformalResiduals) -> None:
    again = ConformalResiduals.from_state(errors.get_state())
    for field in FIELDS:
        assert np.array_equal(getattr(again, field), getattr(errors, field)), field
    assert isinstance(again.slope, float)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("depths", lambda depths: depths[:1]),
        ("tails", lambda tails: tails[:, 1:]),
        ("tails", lambda tails: tails[:2]),
    ],
)
def test_a_state_that_does_not_fit_is_refused(
    errors: ConformalResiduals, name: str, change: Callable[[Array], Array]
) -> None:
    arrays = errors.get_state().arrays
    with pytest.raises(ValueError, match=r"fit their strata|values to unpack"):
        ConformalResiduals.from_state(State(arrays | {name: change(arrays[name])}))
    with pytest.raises(KeyError):
        ConformalResiduals.from_state(State({key: array for key, array in arrays.items() if key != name}))
