"""Mismatches between architectures and a reference set of random ones."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ensemble import FeatureTable, feature_table
from ensemble.calibration.applicability import (
    ARRAYS,
    MAX_INTERVAL_SCALE,
    MAX_NAMED_FEATURES,
    MIN_INTERVAL_SCALE,
    NUM_NEIGHBORS,
    Mismatch,
    ReferenceSet,
)
from ensemble.combiners import State
from ensemble.data.columns import Columns
from models import Architecture, get_space

SPACE = get_space("gcn-nas")
SIZE = 600
DEPTHS = (4, 6, 8, 10)


def random_table(count: int, seed: int, depths: tuple[int, ...] = DEPTHS) -> FeatureTable:
    """Features of random networks, each with a score between 0 and 10."""
    rng = np.random.default_rng(seed)
    archs = [SPACE.sample(rng, depth=int(rng.choice(depths))) for _ in range(count)]
    return feature_table(SPACE, archs, [{"zen": float(score)} for score in rng.uniform(0, 10, count)], ["zen"])


def single_table(arch: Architecture, zen: float | None = 5.0) -> FeatureTable:
    return feature_table(SPACE, [arch], [{"zen": zen}], ["zen"])


def first_row(table: FeatureTable, **values: float) -> FeatureTable:
    """The first row, with other values in some columns (`__` stands for a dot)."""
    row = table.values[:1].copy()
    for name, value in values.items():
        row[0, table.names.index(name.replace("__", "."))] = value
    return FeatureTable(table.columns, row)


@pytest.fixture(scope="module")
def known() -> FeatureTable:
    return random_table(SIZE, 0)


@pytest.fixture(scope="module")
def reference_set(known: FeatureTable) -> ReferenceSet:
    return ReferenceSet.from_table(known)


def test_the_reference_set_has_no_mismatches(reference_set: ReferenceSet, known: FeatureTable) -> None:
    assert reference_set.size == SIZE
    assert reference_set.mismatches(known) == [Mismatch([], 1.0)] * SIZE


def test_new_networks_of_the_same_distribution_have_few(reference_set: ReferenceSet) -> None:
    alarms = [bool(mismatch.reasons) for mismatch in reference_set.mismatches(random_table(300, 1))]
    assert np.mean(alarms) < 0.05


def test_a_mismatch_is_the_same_alone_and_in_a_batch(reference_set: ReferenceSet) -> None:
    new = random_table(20, 3, (4,))
    rows = [FeatureTable(new.columns, new.values[i : i + 1]) for i in range(20)]
    alone = [mismatch for row in rows for mismatch in reference_set.mismatches(row)]
    assert alone == reference_set.mismatches(new)
    assert reference_set.mismatches(FeatureTable(new.columns, new.values[:0])) == []


def test_distances_are_the_mean_over_the_nearest_neighbors(reference_set: ReferenceSet, known: FeatureTable) -> None:
    """The largest distance of a stratum, by all pairs of rows."""
    rows = reference_set.rows.astype(np.float64)
    distances = np.sqrt(((rows[:, None] - rows) ** 2).sum(axis=2))
    np.fill_diagonal(distances, np.inf)
    mean = np.sort(distances, axis=1)[:, :NUM_NEIGHBORS].mean(axis=1)
    assert reference_set.max_distances[:, 0].tolist() == list(DEPTHS)
    expected = [mean[reference_set.strata == depth].max() for depth in DEPTHS]
    assert reference_set.max_distances[:, 1] == pytest.approx(expected, rel=1e-4)


def test_a_small_reference_set_has_fewer_neighbors() -> None:
    """Three rows have two neighbors each; a new one has three."""
    table = random_table(3, 0, (4,))
    small = ReferenceSet.from_table(table)
    assert small.mismatches(table)[0].reasons == []
    rows = small.rows.astype(np.float64)
    distances = np.sqrt(((rows[:, None] - rows) ** 2).sum(axis=2))
    assert small.max_distances[0, 1] == pytest.approx((distances.sum(axis=1) / 2).max(), rel=1e-4)


def test_an_unknown_depth() -> None:
    shallow = ReferenceSet.from_table(random_table(200, 0, (4, 6, 8)))
    for mismatch in shallow.mismatches(random_table(5, 1, (10,)), SPACE.describe_feature):
        assert mismatch.reasons[0] == "number of layers: 10, the ensemble was fitted on 4, 6, 8"
        assert mismatch.interval_scale >= MIN_INTERVAL_SCALE


def test_modules_unlike_any_others(reference_set: ReferenceSet) -> None:
    all_modules = SPACE.parse({"mask": [[1] * 8] * 8})
    (mismatch,) = reference_set.mismatches(single_table(all_modules))
    assert re.fullmatch(
        r"its structure is unlike that of any architecture that the ensemble was fitted on "
        r"\(distance [\d.]+, theirs at most [\d.]+\)",
        mismatch.reasons[0],
    )
    assert mismatch.interval_scale >= MIN_INTERVAL_SCALE
    few_modules = SPACE.parse({"layers": [["S"]] * 8})
    assert reference_set.mismatches(single_table(few_modules))[0].reasons


def test_the_interval_scale_grows_with_the_excess(reference_set: ReferenceSet, known: FeatureTable) -> None:
    zen = known.select(["proxy.zen"])
    for excess, expected in (
        (0.05, 1),
        (0.3, 1.3 * MIN_INTERVAL_SCALE),
        (0.8, 1.8 * MIN_INTERVAL_SCALE),
        (5, MAX_INTERVAL_SCALE),
    ):
        for value in (zen.max() + excess * np.ptp(zen), zen.min() - excess * np.ptp(zen)):
            (mismatch,) = reference_set.mismatches(first_row(known, proxy__zen=float(value)))
            assert mismatch.interval_scale == pytest.approx(expected)


@settings(deadline=None, max_examples=50)
@given(zen=st.floats(-1e6, 1e6), farther=st.floats(1, 1e3))
def test_properties_of_mismatches(zen: float, farther: float, reference_set: ReferenceSet, known: FeatureTable) -> None:
    """A scale is 1 without reasons, else within its range, and does not decrease with the distance."""
    near, far = (reference_set.mismatches(first_row(known, proxy__zen=zen * factor))[0] for factor in (1, farther))
    for mismatch in (near, far):
        if mismatch.reasons:
            assert MIN_INTERVAL_SCALE <= mismatch.interval_scale <= MAX_INTERVAL_SCALE
        else:
            assert mismatch.interval_scale == 1
    assert near.interval_scale <= far.interval_scale


def test_the_reported_distance_exceeds_the_limit(reference_set: ReferenceSet, known: FeatureTable) -> None:
    shifted = FeatureTable(known.columns, known.values[:1] + 5 * column_scale(known))
    (mismatch,) = reference_set.mismatches(shifted)
    distance, limit = map(float, re.findall(r"[\d.]+\d", mismatch.reasons[0]))
    assert distance > limit > 0
    assert MIN_INTERVAL_SCALE < mismatch.interval_scale <= MAX_INTERVAL_SCALE


def column_scale(table: FeatureTable) -> NDArray[np.float64]:
    """Standard deviation of every column; 0 for the depth, which selects the limit."""
    return np.where(np.array(table.names) == "depth", 0, table.values.std(axis=0))


@pytest.mark.parametrize(("column", "label"), [("cost__log_params", "parameters"), ("cost__log_flops", "FLOPs")])
def test_a_cost_out_of_range(reference_set: ReferenceSet, known: FeatureTable, column: str, label: str) -> None:
    (mismatch,) = reference_set.mismatches(first_row(known, **{column: np.log(1e12)}))
    costs = np.exp(known.select([column.replace("__", ".")]))
    expected = f"{label}: 1e+12, the ensemble was fitted on {costs.min():.3g} to {costs.max():.3g}"
    assert mismatch.reasons == [expected]
    assert mismatch.interval_scale == MAX_INTERVAL_SCALE


def test_a_score_out_of_range(reference_set: ReferenceSet, known: FeatureTable) -> None:
    zen = known.select(["proxy.zen"])
    for value in (1e4, -1e4):
        (mismatch,) = reference_set.mismatches(first_row(known, proxy__zen=value))
        expected = f"zen: {value:.3g}, the ensemble was fitted on {zen.min():.3g} to {zen.max():.3g}"
        assert mismatch.reasons == [expected]
        assert mismatch.interval_scale == MAX_INTERVAL_SCALE
    for value in (10.5, -0.5, np.nan):
        (mismatch,) = reference_set.mismatches(first_row(known, proxy__zen=value))
        assert mismatch.reasons == [], "a small excess or a missing score is no mismatch"


def test_only_the_features_with_the_largest_excess_are_named(reference_set: ReferenceSet, known: FeatureTable) -> None:
    values = {"network__T": 20.0, "network__S": 30.0, "proxy__zen": 1e6, "network__L": 10.0, "cost__log_flops": 24.5}
    (mismatch,) = reference_set.mismatches(first_row(known, **values))
    reasons = [reason for reason in mismatch.reasons if "structure is unlike" not in reason]
    assert len(reasons) == MAX_NAMED_FEATURES + 1
    assert [reason.split(":")[0] for reason in reasons[:-1]] == ["zen", "network.S", "network.T"]
    assert reasons[-1] == "2 more features outside of the reference set's range"
    del values["cost__log_flops"]
    (mismatch,) = reference_set.mismatches(first_row(known, **values))
    reasons = [reason for reason in mismatch.reasons if "structure is unlike" not in reason]
    assert reasons[-1] == "1 more feature outside of the reference set's range"
    (described,) = reference_set.mismatches(first_row(known, **values), SPACE.describe_feature)
    reasons = [reason for reason in described.reasons if "structure is unlike" not in reason]
    assert [reason.split(":")[0] for reason in reasons[:-1]] == [
        "zen",
        "share of layers with S",
        "share of layers with T",
    ]


def test_a_proxy_without_scores_is_no_mismatch(known: FeatureTable) -> None:
    column = known.names.index("proxy.zen")
    unscored = FeatureTable(known.columns, known.values[:100].copy())
    unscored.values[:, column] = np.nan
    reference_set = ReferenceSet.from_table(unscored)
    (mismatch,) = reference_set.mismatches(first_row(known, proxy__zen=3.0))
    assert mismatch.reasons == []
    assert reference_set.proxy_quantiles == {}


def test_proxy_quantiles_are_the_percentiles_of_the_scores(reference_set: ReferenceSet, known: FeatureTable) -> None:
    zen = known.select(["proxy.zen"])[:, 0]
    assert set(reference_set.proxy_quantiles) == {"zen"}
    quantiles = reference_set.proxy_quantiles["zen"]
    assert quantiles.shape == (101,)
    assert quantiles[[0, 25, 50, 100]] == pytest.approx([zen.min(), np.quantile(zen, 0.25), np.median(zen), zen.max()])


def test_any_other_value_of_a_constant_feature_is_a_mismatch(known: FeatureTable) -> None:
    constant = FeatureTable(known.columns, known.values[:100].copy())
    constant.values[:, known.names.index("proxy.zen")] = 3.0
    reference_set = ReferenceSet.from_table(constant)
    assert reference_set.mismatches(first_row(constant))[0].reasons == []
    assert reference_set.mismatches(first_row(constant, proxy__zen=3.1))[0].reasons == [
        "zen: 3.1, the ensemble was fitted on 3 to 3"
    ]


def test_state_round_trip_is_exact(reference_set: ReferenceSet, known: FeatureTable) -> None:
    state = reference_set.get_state()
    restored = ReferenceSet.from_state(state, known.columns)
    assert set(state.arrays) == set(ARRAYS)
    for name in ARRAYS:
        assert np.array_equal(getattr(restored, name), state.arrays[name]), name
    new = random_table(30, 2)
    assert restored.mismatches(new) == reference_set.mismatches(new)


def small_reference_set(**changes: NDArray[np.float64]) -> ReferenceSet:
    """Six equal networks of 4 layers and as many of 6 layers, with unscaled features `a` and `b` at 0."""
    arrays = {
        "rows": np.zeros((12, 3)),
        "mean": np.zeros(3),
        "scale": np.array([np.inf, 1.0, 1.0]),
        "strata": np.repeat([4.0, 6.0], 6),
        "max_distances": np.array([[4.0, 0.5], [6.0, 3.0]]),
        "low": np.array([0.0, 4.0, -100.0, -100.0]),
        "high": np.array([10.0, 6.0, 100.0, 100.0]),
        "quantiles": np.zeros((1, 101)),
    }
    arrays |= changes
    return ReferenceSet(
        Columns(("proxy.zen", "level", "a", "b"), stratum="level"),
        **arrays | {"rows": arrays["rows"].astype(np.float32)},
    )


def small_mismatch(
    reference_set: ReferenceSet, zen: float = 5, depth: float = 4, a: float = 0, b: float = 0
) -> Mismatch:
    table = FeatureTable(reference_set.columns, np.array([[zen, depth, a, b]]))
    (mismatch,) = reference_set.mismatches(table)
    return mismatch


def distance_reason(distance: float, limit: float) -> str:
    modules = "its structure is unlike that of any architecture that the ensemble was fitted on"
    return f"{modules} (distance {distance:.1f}, theirs at most {limit:.1f})"


def test_rows_are_standardized_and_clipped() -> None:
    """An outlier among 101 rows lies 10 standard deviations from the mean, a constant column at 0."""
    values = np.zeros((101, 4))
    values[:, 1] = 4
    values[-1, 2:] = 50, -50
    rows = ReferenceSet.from_table(
        FeatureTable(Columns(("proxy.zen", "level", "a", "b"), stratum="level"), values)
    ).rows
    assert rows.dtype == np.float32
    assert rows[-1].tolist() == [0, 4, -4]
    assert rows[0] == pytest.approx([0, -0.1, 0.1])


def test_missing_scores_do_not_count_for_the_range() -> None:
    values = np.array([[1.0, 4, 0], [np.nan, 4, 1], [3, 4, 2]])
    reference_set = ReferenceSet.from_table(FeatureTable(Columns(("proxy.zen", "level", "a"), stratum="level"), values))
    assert [reference_set.low.tolist(), reference_set.high.tolist()] == [[1, 4, 0], [3, 4, 2]]
    assert reference_set.proxy_quantiles["zen"][[0, 50, 100]].tolist() == [1, 2, 3]


@pytest.mark.parametrize("a", [-10.0, 10.0])
def test_new_rows_are_clipped(a: float) -> None:
    assert small_mismatch(small_reference_set(), a=a) == Mismatch([distance_reason(4, 0.5)], MIN_INTERVAL_SCALE)


def test_the_limit_is_that_of_the_stratum() -> None:
    assert small_mismatch(small_reference_set(), depth=4, a=2).reasons == [distance_reason(2, 0.5)]
    assert small_mismatch(small_reference_set(), depth=6, a=2).reasons == []
    assert small_mismatch(small_reference_set(), depth=6, a=3.5).reasons == [distance_reason(3.5, 3)]


def test_a_distance_equal_to_the_limit_is_no_mismatch() -> None:
    assert small_mismatch(small_reference_set(), a=0.5).reasons == []


def test_without_any_distance_between_its_rows_a_reference_set_has_no_limit() -> None:
    equal_rows = small_reference_set(max_distances=np.array([[4.0, 0.0], [6.0, 0.0]]))
    assert small_mismatch(equal_rows, a=2).reasons == []


def test_an_unknown_depth_within_the_range_has_the_largest_limit() -> None:
    reason = "level: 5, the ensemble was fitted on 4, 6"
    assert small_mismatch(small_reference_set(), depth=5).reasons == [reason]
    assert small_mismatch(small_reference_set(), depth=5, a=2).reasons == [reason]
    assert small_mismatch(small_reference_set(), depth=5, a=3.5).reasons == [reason, distance_reason(3.5, 3)]


@pytest.mark.parametrize(
    ("low", "high", "zen", "scale"),
    [
        (0.0, 0.5, 0.75, 1.5 * MIN_INTERVAL_SCALE),
        (0.0, 0.5, 0.54, 1),
        (3.0, 3.0, 3.001, 1.2 * MIN_INTERVAL_SCALE),
        (np.inf, -np.inf, 3.0, 1),
    ],
    ids=["half of the range", "tolerated", "constant", "without scores"],
)
def test_interval_scales_by_hand(low: float, high: float, zen: float, scale: float) -> None:
    reference_set = small_reference_set(
        low=np.array([low, 4.0, -100.0, -100.0]), high=np.array([high, 6.0, 100.0, 100.0])
    )
    assert small_mismatch(reference_set, zen=zen).interval_scale == pytest.approx(scale)
    distant = small_mismatch(reference_set, zen=zen, a=1)
    assert distance_reason(1, 0.5) in distant.reasons
    excess = max(scale, MIN_INTERVAL_SCALE) if zen != 0.54 else 1.08 * MIN_INTERVAL_SCALE
    assert distant.interval_scale == pytest.approx(excess)


def test_a_feature_at_the_tolerated_excess_is_not_named() -> None:
    """11 exceeds the range of 0 … 10 by exactly a tenth."""
    reference_set = small_reference_set(high=np.array([10.0, 6.0, 0.25, 100.0]), low=np.array([0.0, 4.0, 0.0, -100.0]))
    assert small_mismatch(reference_set, zen=11).reasons == []
    mismatch = small_mismatch(reference_set, zen=11, a=0.5)
    assert mismatch.reasons == ["a: 0.5, the ensemble was fitted on 0 to 0.25"]
    assert mismatch.interval_scale == MAX_INTERVAL_SCALE


@pytest.mark.parametrize("name", ["rows", "strata", "low", "quantiles"])
def test_a_state_that_does_not_fit_is_refused(reference_set: ReferenceSet, known: FeatureTable, name: str) -> None:
    arrays = reference_set.get_state().arrays
    with pytest.raises(ValueError, match=r"^the reference set's rows do not fit its columns$"):
        ReferenceSet.from_state(State(arrays | {name: arrays[name][1:]}), known.columns)
    with pytest.raises(ValueError, match=r"^the reference set's rows do not fit its columns$"):
        ReferenceSet.from_state(State(arrays), known.columns.select(known.names[1:]))
