import re

import numpy as np
import pytest
from numpy.typing import NDArray

from ensemble import FeatureTable, feature_table
from ensemble.calibration.applicability import FAR, FARTHEST, NAMED, Population
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
def population(known: FeatureTable) -> Population:
    return Population.of(known)


def test_every_member_is_like_the_population(population: Population, known: FeatureTable) -> None:
    said = population.unlike(known)
    assert len(said) == SIZE
    assert all(one.reasons == [] and one.stretch == 1 for one in said)


def test_new_networks_of_the_same_kind_are_like_it(population: Population) -> None:
    alarms = [bool(one.reasons) for one in population.unlike(drawn(300, 1))]
    assert np.mean(alarms) < 0.05


def test_one_by_one_is_all_at_once(population: Population) -> None:
    new = drawn(20, 3, (4,))
    alone = [population.unlike(FeatureTable(new.names, row[None]))[0] for row in new.values]
    assert [one.reasons for one in alone] == [one.reasons for one in population.unlike(new)]


def test_a_depth_of_its_own() -> None:
    shallow = Population.of(drawn(200, 0, (4, 6, 8)))
    for one in shallow.unlike(drawn(5, 1, (10,))):
        assert one.reasons[0] == "it has 10 layers, the ensemble was fitted on networks of 4, 6, 8"
        assert one.stretch >= FAR


def test_modules_unlike_any_others(population: Population) -> None:
    everything = SPACE.parse({"mask": [[1] * 8] * 8})
    (one,) = population.unlike(of(everything))
    assert re.fullmatch(
        r"its modules are unlike those of any network that the ensemble was fitted on "
        r"\(distance [\d.]+, theirs at most [\d.]+\)",
        one.reasons[0],
    )
    assert one.stretch >= FAR
    hardly_any = SPACE.parse({"layers": [["S"]] * 8})
    assert population.unlike(of(hardly_any))[0].reasons


def test_the_farther_away_the_wider(population: Population, known: FeatureTable) -> None:
    zen = known.select(["proxy.zen"])
    for part, stretch in ((0.05, 1), (0.3, 1.3 * FAR), (0.8, 1.8 * FAR), (5, FARTHEST)):
        for value in (zen.max() + part * np.ptp(zen), zen.min() - part * np.ptp(zen)):
            (one,) = population.unlike(changed(known, proxy__zen=float(value)))
            assert one.stretch == pytest.approx(stretch)


def test_the_distance_that_is_told_is_beyond_the_limit(population: Population, known: FeatureTable) -> None:
    (one,) = population.unlike(FeatureTable(known.names, known.values[:1] + 5 * scale(known)))
    distance, limit = map(float, re.findall(r"[\d.]+\d", one.reasons[0]))
    assert distance > limit > 0
    assert FAR < one.stretch <= FARTHEST


def scale(table: FeatureTable) -> NDArray[np.float64]:
    """A standard deviation of every column but the depth, which says who is compared."""
    return np.where(np.array(table.names) == "depth", 0, table.values.std(axis=0))


@pytest.mark.parametrize(("column", "word"), [("cost__log_params", "parameters"), ("cost__log_flops", "FLOPs")])
def test_a_cost_beyond_all_others(population: Population, known: FeatureTable, column: str, word: str) -> None:
    (one,) = population.unlike(changed(known, **{column: np.log(1e12)}))
    costs = np.exp(known.select([column.replace("__", ".")]))
    assert one.reasons == [f"{word}: 1e+12, the ensemble was fitted on {costs.min():.3g} to {costs.max():.3g}"]
    assert one.stretch == FARTHEST


def test_a_score_that_no_network_of_the_population_has(population: Population, known: FeatureTable) -> None:
    zen = known.select(["proxy.zen"])
    for value in (1e4, -1e4):
        (one,) = population.unlike(changed(known, proxy__zen=value))
        assert one.reasons == [f"zen: {value:.3g}, the ensemble was fitted on {zen.min():.3g} to {zen.max():.3g}"]
        assert one.stretch == FARTHEST
    for value in (10.5, -0.5, np.nan):
        (one,) = population.unlike(changed(known, proxy__zen=value))
        assert one.reasons == [], "hardly a record, or no score, is nothing strange"


def test_only_the_farthest_features_are_named(population: Population, known: FeatureTable) -> None:
    far = {"network__T": 20.0, "network__S": 30.0, "proxy__zen": 1e6, "network__L": 10.0, "cost__log_flops": 24.5}
    (one,) = population.unlike(changed(known, **far))
    reasons = [reason for reason in one.reasons if "modules are unlike" not in reason]
    assert len(reasons) == NAMED + 1
    assert [reason.split(":")[0] for reason in reasons[:-1]] == ["zen", "network.S", "network.T"]
    assert reasons[-1] == "2 more features beyond the population's"
    (said,) = population.unlike(changed(known, **far), SPACE.meaning)
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
    (one,) = Population.of(silent).unlike(changed(known, proxy__zen=3.0))
    assert one.reasons == []


def test_a_feature_that_never_varied_sets_apart_who_differs(known: FeatureTable) -> None:
    fixed = FeatureTable(known.names, known.values[:100].copy())
    fixed.values[:, known.names.index("proxy.zen")] = 3.0
    population = Population.of(fixed)
    assert population.unlike(changed(fixed))[0].reasons == []
    assert population.unlike(changed(fixed, proxy__zen=3.1))[0].reasons == [
        "zen: 3.1, the ensemble was fitted on 3 to 3"
    ]


def test_state_round_trip_is_exact(population: Population, known: FeatureTable) -> None:
    state = population.get_state()
    again = Population.of_state(state, known.names)
    for name, array in state.arrays.items():
        assert np.array_equal(getattr(again, name), array), name
    new = drawn(30, 2)
    assert again.unlike(new) == population.unlike(new)


@pytest.mark.parametrize("name", ["rows", "depths", "low"])
def test_a_state_that_does_not_fit_is_refused(population: Population, known: FeatureTable, name: str) -> None:
    arrays = population.get_state().arrays
    with pytest.raises(ValueError, match="do not fit its columns"):
        Population.of_state(State(arrays | {name: arrays[name][1:]}), known.names)
    with pytest.raises(ValueError, match="do not fit its columns"):
        Population.of_state(State(arrays), known.names[1:])
