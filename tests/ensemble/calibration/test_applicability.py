import re

import numpy as np
import pytest
from numpy.typing import NDArray

from ensemble import FeatureTable, feature_table
from ensemble.calibration.applicability import MAX_INTERVAL_SCALE, MAX_NAMED_FEATURES, MIN_INTERVAL_SCALE, ReferenceSet
from ensemble.combiners import State
from models import Architecture, get_space

SPACE = get_space("gcn-nas")
SIZE = 600


def drawn(count: int, seed: int, depths: tuple[int, ...] = (4, 6, 8, 10)) -> FeatureTable:
    """Random networks, each with a score between 0 and 10."""
    rng = np.random.default_rng(seed)
    archs = [SPACE.sample(rng, depth=int(rng.choice(depths))) for _ in range(count)]
    return feature_table(SPACE, archs, [{"zen": float(score)} for score in rng.uniform(0, 10, count)], ["zen"])


def of(arch: Architecture, zen: float | None = 5.0) -> FeatureTable:
    return feature_table(SPACE, [arch], [{"zen": zen}], ["zen"])


def changed(table: FeatureTable, **values: float) -> FeatureTable:
    """Only its first row, with other values in some columns (`__` for a dot)."""
    row = table.values[:1].copy()
    for name, value in values.items():
        row[0, table.names.index(name.replace("__", "."))] = value
    return FeatureTable(table.names, row)


@pytest.fixture(scope="module")
def known() -> FeatureTable:
    return drawn(SIZE, 0)


@pytest.fixture(scope="module")
def reference_set(known: FeatureTable) -> ReferenceSet:
    return ReferenceSet.from_table(known)


def test_every_member_is_like_the_population(reference_set: ReferenceSet, known: FeatureTable) -> None:
    said = reference_set.mismatches(known)
    assert len(said) == SIZE
    assert all(one.reasons == [] and one.interval_scale == 1 for one in said)


def test_new_networks_of_the_same_kind_are_like_it(reference_set: ReferenceSet) -> None:
    alarms = [bool(one.reasons) for one in reference_set.mismatches(drawn(300, 1))]
    assert np.mean(alarms) < 0.05


def test_one_by_one_is_all_at_once(reference_set: ReferenceSet) -> None:
    new = drawn(20, 3, (4,))
    alone = [reference_set.mismatches(FeatureTable(new.names, row[None]))[0] for row in new.values]
    assert [one.reasons for one in alone] == [one.reasons for one in reference_set.mismatches(new)]


def test_a_depth_of_its_own() -> None:
    shallow = ReferenceSet.from_table(drawn(200, 0, (4, 6, 8)))
    for one in shallow.mismatches(drawn(5, 1, (10,))):
        assert one.reasons[0] == "it has 10 layers, the ensemble was fitted on networks of 4, 6, 8"
        assert one.interval_scale >= MIN_INTERVAL_SCALE


def test_modules_unlike_any_others(reference_set: ReferenceSet) -> None:
    everything = SPACE.parse({"mask": [[1] * 8] * 8})
    (one,) = reference_set.mismatches(of(everything))
    assert re.fullmatch(
        r"its modules are unlike those of any network that the ensemble was fitted on "
        r"\(distance [\d.]+, theirs at most [\d.]+\)",
        one.reasons[0],
    )
    assert one.interval_scale >= MIN_INTERVAL_SCALE
    hardly_any = SPACE.parse({"layers": [["S"]] * 8})
    assert reference_set.mismatches(of(hardly_any))[0].reasons


def test_the_farther_away_the_wider(reference_set: ReferenceSet, known: FeatureTable) -> None:
    zen = known.select(["proxy.zen"])
    for part, expected in (
        (0.05, 1),
        (0.3, 1.3 * MIN_INTERVAL_SCALE),
        (0.8, 1.8 * MIN_INTERVAL_SCALE),
        (5, MAX_INTERVAL_SCALE),
    ):
        for value in (zen.max() + part * np.ptp(zen), zen.min() - part * np.ptp(zen)):
            (one,) = reference_set.mismatches(changed(known, proxy__zen=float(value)))
            assert one.interval_scale == pytest.approx(expected)


def test_the_distance_that_is_told_is_beyond_the_limit(reference_set: ReferenceSet, known: FeatureTable) -> None:
    (one,) = reference_set.mismatches(FeatureTable(known.names, known.values[:1] + 5 * scale(known)))
    distance, limit = map(float, re.findall(r"[\d.]+\d", one.reasons[0]))
    assert distance > limit > 0
    assert MIN_INTERVAL_SCALE < one.interval_scale <= MAX_INTERVAL_SCALE


def scale(table: FeatureTable) -> NDArray[np.float64]:
    """A standard deviation of every column but the depth, which says who is compared."""
    return np.where(np.array(table.names) == "depth", 0, table.values.std(axis=0))


@pytest.mark.parametrize(("column", "word"), [("cost__log_params", "parameters"), ("cost__log_flops", "FLOPs")])
def test_a_cost_beyond_all_others(reference_set: ReferenceSet, known: FeatureTable, column: str, word: str) -> None:
    (one,) = reference_set.mismatches(changed(known, **{column: np.log(1e12)}))
    costs = np.exp(known.select([column.replace("__", ".")]))
    assert one.reasons == [f"{word}: 1e+12, the ensemble was fitted on {costs.min():.3g} to {costs.max():.3g}"]
    assert one.interval_scale == MAX_INTERVAL_SCALE


def test_a_score_that_no_network_of_the_population_has(reference_set: ReferenceSet, known: FeatureTable) -> None:
    zen = known.select(["proxy.zen"])
    for value in (1e4, -1e4):
        (one,) = reference_set.mismatches(changed(known, proxy__zen=value))
        assert one.reasons == [f"zen: {value:.3g}, the ensemble was fitted on {zen.min():.3g} to {zen.max():.3g}"]
        assert one.interval_scale == MAX_INTERVAL_SCALE
    for value in (10.5, -0.5, np.nan):
        (one,) = reference_set.mismatches(changed(known, proxy__zen=value))
        assert one.reasons == [], "hardly a record, or no score, is nothing strange"


def test_only_the_farthest_features_are_named(reference_set: ReferenceSet, known: FeatureTable) -> None:
    far = {"network__T": 20.0, "network__S": 30.0, "proxy__zen": 1e6, "network__L": 10.0, "cost__log_flops": 24.5}
    (one,) = reference_set.mismatches(changed(known, **far))
    reasons = [reason for reason in one.reasons if "modules are unlike" not in reason]
    assert len(reasons) == MAX_NAMED_FEATURES + 1
    assert [reason.split(":")[0] for reason in reasons[:-1]] == ["zen", "network.S", "network.T"]
    assert reasons[-1] == "2 more features outside of the reference set's range"
    (said,) = reference_set.mismatches(changed(known, **far), SPACE.meaning)
    reasons = [reason for reason in said.reasons if "modules are unlike" not in reason]
    assert [reason.split(":")[0] for reason in reasons[:-1]] == [
        "zen",
        "share of layers with S",
        "share of layers with T",
    ]


def test_a_proxy_without_any_score_sets_nobody_apart(known: FeatureTable) -> None:
    place = known.names.index("proxy.zen")
    silent = FeatureTable(known.names, known.values[:100].copy())
    silent.values[:, place] = np.nan
    (one,) = ReferenceSet.from_table(silent).mismatches(changed(known, proxy__zen=3.0))
    assert one.reasons == []


def test_a_feature_that_never_varied_sets_apart_who_differs(known: FeatureTable) -> None:
    fixed = FeatureTable(known.names, known.values[:100].copy())
    fixed.values[:, known.names.index("proxy.zen")] = 3.0
    reference_set = ReferenceSet.from_table(fixed)
    assert reference_set.mismatches(changed(fixed))[0].reasons == []
    assert reference_set.mismatches(changed(fixed, proxy__zen=3.1))[0].reasons == [
        "zen: 3.1, the ensemble was fitted on 3 to 3"
    ]


def test_state_round_trip_is_exact(reference_set: ReferenceSet, known: FeatureTable) -> None:
    state = reference_set.get_state()
    again = ReferenceSet.from_state(state, known.names)
    for name, array in again.get_state().arrays.items():
        assert np.array_equal(state.arrays[name], array), name
    new = drawn(30, 2)
    assert again.mismatches(new) == reference_set.mismatches(new)


@pytest.mark.parametrize("name", ["rows", "depths", "low"])
def test_a_state_that_does_not_fit_is_refused(reference_set: ReferenceSet, known: FeatureTable, name: str) -> None:
    arrays = reference_set.get_state().arrays
    with pytest.raises(ValueError, match="do not fit its columns"):
        ReferenceSet.from_state(State(arrays | {name: arrays[name][1:]}), known.names)
    with pytest.raises(ValueError, match="do not fit its columns"):
        ReferenceSet.from_state(State(arrays), known.names[1:])
