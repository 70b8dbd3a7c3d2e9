"""Conformal intervals and win probabilities."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ensemble.calibration.conformal import MIN_RESIDUALS, MIN_STD, ConformalResiduals
from ensemble.combiners import State
from ensemble.evaluation.metrics import brier_score, reliability_curve

Array = NDArray[np.float64]
FIELDS = ("strata", "lower", "upper", "std", "marginal_lower", "marginal_upper", "slope")
EXAMPLES = settings(deadline=None, max_examples=50)


def fit_residuals(residuals: Array, strata: Array | None = None, seed: int = 0) -> ConformalResiduals:
    """Fit to the residuals of a constant prediction of 0.5, in random order."""
    order = np.random.default_rng(seed).permutation(len(residuals))
    groups = np.full(len(residuals), 4) if strata is None else strata
    return ConformalResiduals.fit(np.full(len(residuals), 0.5), 0.5 + residuals[order], groups[order])


@pytest.fixture(scope="module")
def residuals() -> ConformalResiduals:
    """Errors of up to 0.01 in stratum 4 and 0.04 in stratum 6; accuracies within 0.1 of their mean."""
    rng = np.random.default_rng(0)
    strata = np.repeat([4, 6], 100)
    held_out = rng.uniform(0.4, 0.6, 200)
    errors = rng.uniform(-1, 1, 200) * np.where(strata == 4, 0.01, 0.04)
    return ConformalResiduals.fit(held_out, held_out + errors, strata)


@pytest.mark.parametrize(
    ("n", "low", "high"),
    # ⌊(n + 1)·0.05⌋ and ⌈(n + 1)·0.95⌉, at least 1 and at most n
    [(5, 1, 5), (18, 1, 18), (19, 1, 19), (38, 1, 38), (39, 2, 38), (40, 2, 39), (59, 3, 57), (150, 7, 144)],
)
def test_tails_by_hand(n: int, low: int, high: int) -> None:
    errors = np.arange(1, n + 1) / 1000
    fitted = fit_residuals(errors)
    assert fitted.lower[-1] == pytest.approx(errors[low - 1])
    assert fitted.upper[-1] == pytest.approx(errors[high - 1])
    assert fitted.std[-1] == pytest.approx(errors.std())


def test_marginal_tails_are_around_the_mean_accuracy() -> None:
    """The residuals of a perfect prediction are 0, the marginal tails are those of the accuracies."""
    y = np.arange(1, 40) / 100
    fitted = ConformalResiduals.fit(y, y, np.full(39, 4))
    assert [fitted.lower[-1], fitted.upper[-1]] == [0, 0]
    assert [fitted.marginal_lower, fitted.marginal_upper] == pytest.approx([0.02 - 0.20, 0.38 - 0.20])


def test_rows_without_a_prediction_are_left_out() -> None:
    held_out, y = np.array([0.5, np.nan, 0.5]), np.array([0.4, 0.9, 0.6])
    fitted = ConformalResiduals.fit(held_out, y, np.array([4, 4, 4]))
    assert [fitted.lower[-1], fitted.upper[-1]] == pytest.approx([-0.1, 0.1])
    assert [fitted.marginal_lower, fitted.marginal_upper] == pytest.approx([-0.1, 0.1])


def test_nine_in_ten_intervals_contain_the_accuracy_in_every_stratum(rng: np.random.Generator) -> None:
    strata = np.repeat([4, 6], 60)
    noise = np.where(strata == 4, 0.002, 0.01)
    coverage, width = [], []
    for _ in range(300):
        held_out, new = rng.uniform(0.4, 0.6, (2, 120))
        fitted = ConformalResiduals.fit(held_out, held_out + noise * rng.normal(size=120), strata)
        low, high = fitted.intervals(new, strata).T
        accuracy = new + noise * rng.normal(size=120)
        coverage.append(((low <= accuracy) & (accuracy <= high)).reshape(2, 60).mean(axis=1))
        width.append((high - low).reshape(2, 60).mean(axis=1))
    assert np.mean(coverage, axis=0).tolist() == pytest.approx([0.9, 0.9], abs=0.02)
    narrow, wide = np.mean(width, axis=0)
    assert wide / narrow == pytest.approx(5, rel=0.1)


def test_a_skewed_error_has_a_skewed_interval(rng: np.random.Generator) -> None:
    errors = 0.02 * (rng.exponential(size=2000) - 1)
    fitted = fit_residuals(errors)
    low, high = fitted.intervals(np.array([0.5]), np.array([4]))[0] - 0.5
    assert low == pytest.approx(0.02 * (-np.log(0.95) - 1), abs=0.002)
    assert high == pytest.approx(0.02 * (-np.log(0.05) - 1), abs=0.004)
    assert (errors < low).mean() == pytest.approx((errors > high).mean(), abs=0.002)


def test_a_stratum_with_few_rows_uses_the_tails_of_all() -> None:
    strata = np.repeat([4, 6], [MIN_RESIDUALS - 1, 60])
    errors = np.concatenate([np.linspace(-0.3, 0.3, MIN_RESIDUALS - 1), np.linspace(-0.01, 0.01, 60)])
    fitted = fit_residuals(errors, strata)
    assert fitted.strata.tolist() == [6]
    few, enough, unknown = np.ptp(fitted.intervals(np.full(3, 0.5), np.array([4, 6, 10])), axis=1)
    assert few == unknown == pytest.approx(fitted.upper[-1] - fitted.lower[-1])
    assert enough < 0.02 < few
    one_more = fit_residuals(np.linspace(-0.3, 0.3, 100), np.repeat([4, 6], [MIN_RESIDUALS, 60]))
    assert one_more.strata.tolist() == [4, 6]


def test_without_any_large_stratum_all_rows_share_their_tails() -> None:
    fitted = fit_residuals(np.linspace(-0.1, 0.1, 21), np.repeat([4, 6, 8], 7))
    assert fitted.strata.tolist() == []
    assert len(fitted.lower) == len(fitted.upper) == len(fitted.std) == 1
    interval = fitted.intervals(np.array([0.5, 0.5]), np.array([4, 99]))
    assert interval == pytest.approx(np.array([[0.4, 0.6]] * 2))


def test_an_interval_is_scaled_and_at_least_the_marginal_one(residuals: ConformalResiduals) -> None:
    accuracy, strata = np.full(4, 0.5), np.array([4, 4, 6, 6])
    plain = residuals.intervals(accuracy, strata)
    scaled = residuals.intervals(accuracy, strata, np.array([1.0, 2.0, 1.0, 5.0]))
    assert np.array_equal(scaled[[0, 2]], plain[[0, 2]])
    marginal = [0.5 + residuals.marginal_lower, 0.5 + residuals.marginal_upper]
    assert scaled[1].tolist() == pytest.approx(marginal), "twice the residuals would be narrower"
    assert scaled[3].tolist() == pytest.approx(list(0.5 + 5 * (plain[3] - 0.5)))
    assert scaled[3, 0] < marginal[0]
    assert scaled[3, 1] > marginal[1]


def test_scaling_widens_an_interval_beside_the_prediction() -> None:
    """Where every residual is positive, scaling the lower tail alone would narrow the interval."""
    fitted = fit_residuals(np.linspace(0.01, 0.02, 50))
    plain, scaled = fitted.intervals(np.full(2, 0.5), np.array([4, 4]), np.array([1.0, 2.0]))
    assert plain[0] > 0.5
    assert scaled[0] < plain[0] < plain[1] < scaled[1]


def test_intervals_are_fractions_and_nan_without_a_prediction(residuals: ConformalResiduals) -> None:
    accuracy = np.array([0.001, 0.999, np.nan])
    interval = residuals.intervals(accuracy, np.array([6, 6, 6]), np.array([1.0, 9.0, 2.0]))
    assert (interval[:2] >= 0).all()
    assert (interval[:2] <= 1).all()
    assert interval[0, 0] == 0
    assert interval[1, 1] == 1
    assert np.isnan(interval[2]).all()
    assert np.isnan(residuals.win_probability(accuracy, np.array([6, 6, 6]))[2]).all()
    assert residuals.intervals(np.empty(0), np.empty(0)).shape == (0, 2)


ACCURACIES = st.lists(st.floats(0, 1), min_size=1, max_size=12)


@EXAMPLES
@given(accuracies=ACCURACIES, stratum=st.sampled_from([4, 6, 10]), scale=st.floats(1, 8), more=st.floats(1, 4))
def test_properties_of_intervals(
    accuracies: list[float], stratum: int, scale: float, more: float, residuals: ConformalResiduals
) -> None:
    """Intervals are ordered fractions, increase with the prediction, and a larger scale encloses a smaller one."""
    accuracy, strata = np.sort(accuracies), np.full(len(accuracies), stratum)
    narrow, wide = (residuals.intervals(accuracy, strata, np.full(len(strata), s)) for s in (scale, scale * more))
    for interval in (narrow, wide):
        assert ((interval >= 0) & (interval <= 1)).all()
        assert (interval[:, 0] <= interval[:, 1]).all()
        assert (np.diff(interval, axis=0) >= 0).all()
        assert ((interval[:, 0] <= accuracy) & (accuracy <= interval[:, 1])).all()
    assert (wide[:, 0] <= narrow[:, 0]).all()
    assert (narrow[:, 1] <= wide[:, 1]).all()


@EXAMPLES
@given(accuracies=ACCURACIES, data=st.data())
def test_properties_of_win_probabilities(
    accuracies: list[float], data: st.DataObject, residuals: ConformalResiduals
) -> None:
    """The probabilities of a pair sum to 1, ½ is a tie, and the better prediction is the probable winner."""
    n = len(accuracies)
    strata = np.array(data.draw(st.lists(st.sampled_from([4, 6, 10]), min_size=n, max_size=n)))
    scale = np.array(data.draw(st.lists(st.floats(1, 4), min_size=n, max_size=n)))
    accuracy = np.array(accuracies)
    probability = residuals.win_probability(accuracy, strata, scale)
    assert probability + probability.T == pytest.approx(np.ones((n, n)))
    assert np.diag(probability).tolist() == [0.5] * n
    assert ((probability >= 0.5) | (accuracy[:, None] < accuracy)).all()


@EXAMPLES
@given(
    errors=st.lists(st.floats(-0.2, 0.2), min_size=2, max_size=120),
    factor=st.floats(0.1, 2),
    seed=st.integers(0, 2**31),
)
def test_tails_scale_with_the_residuals_and_ignore_their_order(errors: list[float], factor: float, seed: int) -> None:
    fitted, shuffled = (fit_residuals(np.array(errors), seed=s) for s in (0, seed))
    scaled = fit_residuals(factor * np.array(errors))
    assert [*fitted.lower, *fitted.upper] == [*shuffled.lower, *shuffled.upper]
    assert [*scaled.lower, *scaled.upper] == pytest.approx(
        [*(factor * fitted.lower), *(factor * fitted.upper)], abs=1e-12
    )
    assert (fitted.lower <= fitted.upper).all()


def test_swapping_a_pair_complements_its_probability(residuals: ConformalResiduals, rng: np.random.Generator) -> None:
    accuracy, strata = rng.uniform(0.4, 0.6, 12), rng.choice([4, 6, 10], 12)
    probability = residuals.win_probability(accuracy, strata, rng.uniform(1, 3, 12))
    assert probability + probability.T == pytest.approx(np.ones((12, 12)))
    assert np.diag(probability).tolist() == [0.5] * 12


def test_win_probabilities_by_hand() -> None:
    """Logit P = slope · difference / √(sum of the squared, scaled standard deviations)."""
    fitted = ConformalResiduals(
        np.array([4.0]), np.array([-0.1, -0.2]), np.array([0.1, 0.2]), np.array([0.03, 0.04]), -0.3, 0.3, 2.0
    )
    accuracy, strata = np.array([0.6, 0.5]), np.array([4, 6])
    assert fitted.win_probability(accuracy, strata)[0, 1] == pytest.approx(1 / (1 + np.exp(-2 * 0.1 / 0.05)))
    scaled = fitted.win_probability(accuracy, strata, np.array([4.0, 4.0]))
    assert scaled[0, 1] == pytest.approx(1 / (1 + np.exp(-2 * 0.1 / 0.2)))
    assert scaled[1, 0] == pytest.approx(1 / (1 + np.exp(2 * 0.1 / 0.2)))


def test_a_larger_lead_is_surer_and_a_larger_error_is_less_sure(residuals: ConformalResiduals) -> None:
    probability = residuals.win_probability(np.array([0.5, 0.501, 0.505, 0.52]), np.full(4, 4))
    assert (np.diff(probability[:, 0]) > 0).all()
    assert probability[1, 0] > 0.5
    pair = np.array([0.51, 0.5])
    noisy, precise = (residuals.win_probability(pair, np.full(2, stratum))[0, 1] for stratum in (6, 4))
    scaled = residuals.win_probability(pair, np.array([4, 4]), np.array([3.0, 1.0]))[0, 1]
    assert 0.5 < noisy < precise
    assert 0.5 < scaled < precise


def test_win_probabilities_are_calibrated(rng: np.random.Generator) -> None:
    def draw() -> tuple[Array, Array]:
        held_out = 0.5 + 0.02 * rng.normal(size=250)
        return held_out, held_out + np.where(strata == 4, 0.01, 0.03) * rng.normal(size=250)

    strata = np.repeat([4, 6], 125)
    fitted = ConformalResiduals.fit(*draw(), strata)
    accuracy, y = draw()
    first, second = np.triu_indices(250, k=1)
    probability = fitted.win_probability(accuracy, strata)[first, second]
    wins = (y[first] > y[second]).astype(float)
    assert (brier_score(probability, wins) or 1) < 0.2
    bins = reliability_curve(probability, wins)
    assert len(bins) == 10
    for one in bins:
        assert one["predicted"] == pytest.approx(one["observed"], abs=0.06)


def test_the_slope_does_not_depend_on_the_order_of_the_rows(rng: np.random.Generator) -> None:
    held_out = rng.uniform(0.4, 0.6, 60)
    y, strata = held_out + 0.03 * rng.normal(size=60), np.full(60, 4)
    fitted = ConformalResiduals.fit(held_out, y, strata)
    assert fitted.slope > 0.5
    for order in (np.argsort(y), np.argsort(-y), rng.permutation(60)):
        assert ConformalResiduals.fit(held_out[order], y[order], strata).slope == pytest.approx(fitted.slope, rel=1e-4)


def test_the_slope_maximizes_the_likelihood_of_the_pairs() -> None:
    """Its derivative, the sum of (outcome − probability)·margin over the pairs, is 0. Few pairs, so no shrinkage."""
    held_out, y = np.array([0.40, 0.45, 0.50, 0.55, 0.60]), np.array([0.45, 0.40, 0.50, 0.60, 0.55])
    strata = np.full(5, 4)
    fitted = ConformalResiduals.fit(held_out, y, strata)
    first, second = np.triu_indices(5, k=1)
    margin = (held_out[first] - held_out[second]) / (fitted.std[-1] * np.sqrt(2))
    probability = fitted.win_probability(held_out, strata)[first, second]
    assert probability == pytest.approx(1 / (1 + np.exp(-fitted.slope * margin)))
    derivative = ((y[first] > y[second]) - probability) * margin
    assert derivative.sum() == pytest.approx(0, abs=1e-3 * np.abs(derivative).sum())


def test_pairs_of_equal_accuracy_do_not_count_for_the_slope() -> None:
    """With two accuracies, only the pairs between the two groups are decided, all of them in the predicted order."""
    held_out = np.concatenate([np.linspace(0.40, 0.45, 20), np.linspace(0.55, 0.60, 20)])
    y = np.repeat([0.4, 0.6], 20)
    fitted = ConformalResiduals.fit(held_out, y, np.full(40, 4))
    assert fitted.win_probability(np.array([0.6, 0.4]), np.array([4, 4]))[0, 1] > 0.999


def test_uninformative_predictions_have_no_sure_winner(rng: np.random.Generator) -> None:
    guess, y, strata = rng.uniform(0.4, 0.6, 200), rng.uniform(0.4, 0.6, 200), np.full(200, 4)
    probability = ConformalResiduals.fit(guess, y, strata).win_probability(guess, strata)
    assert np.abs(probability - 0.5).max() < 0.2
    assert np.abs(probability - 0.5).mean() < 0.05
    inverted = ConformalResiduals.fit(guess, 1 - guess + 0.01 * rng.normal(size=200), strata)
    assert inverted.slope == 0, "an inverted order is not turned round"
    constant = ConformalResiduals.fit(np.full(200, 0.5), y, strata)
    assert constant.slope == 1
    assert constant.win_probability(np.full(3, 0.5), np.full(3, 4)).tolist() == [[0.5] * 3] * 3


def test_equal_accuracies_and_perfect_predictions_are_accepted() -> None:
    flat = ConformalResiduals.fit(np.linspace(0.4, 0.6, 50), np.full(50, 0.5), np.full(50, 4))
    assert np.isfinite(flat.win_probability(np.array([0.4, 0.5]), np.array([4, 4]))).all()
    y = np.linspace(0.4, 0.6, 50)[np.random.default_rng(0).permutation(50)]
    perfect = ConformalResiduals.fit(y, y, np.full(50, 4))
    assert perfect.std.tolist() == [MIN_STD] * 2
    assert perfect.intervals(np.array([0.5]), np.array([4]))[0].tolist() == [0.5, 0.5]
    assert perfect.win_probability(np.array([0.41, 0.4]), np.array([4, 4]))[0, 1] > 0.99


def test_state_round_trip_is_exact(residuals: ConformalResiduals) -> None:
    restored = ConformalResiduals.from_state(residuals.get_state())
    for field in FIELDS:
        assert np.array_equal(getattr(restored, field), getattr(residuals, field)), field
    assert all(isinstance(getattr(restored, name), float) for name in ("marginal_lower", "marginal_upper", "slope"))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("strata", lambda strata: strata[:1]),
        ("strata", lambda strata: strata[None]),
        ("lower", lambda lower: lower[1:]),
        ("upper", lambda upper: upper[1:]),
        ("std", lambda std: std[None]),
    ],
)
def test_a_state_that_does_not_fit_is_refused(
    residuals: ConformalResiduals, name: str, change: Callable[[Array], Array]
) -> None:
    arrays = residuals.get_state().arrays
    with pytest.raises(ValueError, match=r"^the residuals' tails do not fit their strata$"):
        ConformalResiduals.from_state(State(arrays | {name: change(arrays[name])}))


@pytest.mark.parametrize("name", FIELDS)
def test_an_incomplete_state_is_refused(residuals: ConformalResiduals, name: str) -> None:
    arrays = residuals.get_state().arrays
    with pytest.raises(KeyError, match=name):
        ConformalResiduals.from_state(State({key: array for key, array in arrays.items() if key != name}))
