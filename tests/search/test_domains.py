"""Limits of domains are kept or refused with the least possible; mutations in a table lead to the nearest rows."""

from typing import Any, ClassVar

import numpy as np
import pytest

from models import CapabilityError, InputError, SearchSpace, get_space
from search import SpaceDomain, TableDomain, get_strategy

SPACE: Any = get_space("gcn-nas")


def layers(arch: Any) -> dict[int, set[str]]:
    """Modules by backbone slot."""
    return dict(zip(arch.slots, map(set, SPACE.to_json(arch)["layers"]), strict=True))


def test_without_limits_it_is_the_space() -> None:
    domain = SpaceDomain(SPACE)
    domain_rng, space_rng = np.random.default_rng(0), np.random.default_rng(0)
    arch = domain.sample(domain_rng)
    assert arch == SPACE.sample(space_rng)
    assert domain.mutate(arch, domain_rng) == SPACE.mutate(arch, space_rng)
    assert list(domain.neighbors(arch)) == list(SPACE.neighbors(arch))
    assert domain.crossover(arch, domain.sample(domain_rng), domain_rng) == SPACE.crossover(
        arch, SPACE.sample(space_rng), space_rng
    )


@pytest.mark.parametrize(
    "limits", [{"fixed": {"depth": 8}}, {"max_flops": 4 * 10**9}, {"fixed": {"depth": 4}, "max_params": 2_600_000}]
)
def test_limits_are_kept(limits: dict[str, Any], rng: np.random.Generator) -> None:
    domain = SpaceDomain(SPACE, **limits)
    architectures = [domain.sample(rng) for _ in range(30)]
    architectures += [domain.mutate(arch, rng) for arch in architectures]
    architectures += [
        domain.crossover(*parents, rng) for parents in zip(architectures, architectures[::-1], strict=True)
    ]
    architectures += list(domain.neighbors(architectures[0]))
    for arch in architectures:
        cost = domain.cost(arch)
        assert cost is not None
        assert cost.flops <= limits.get("max_flops", cost.flops)
        assert cost.params <= limits.get("max_params", cost.params)
        assert SPACE.stratum(arch) == limits.get("fixed", {}).get("depth", SPACE.stratum(arch))
        assert not SPACE.warnings(arch)
    assert len(set(architectures)) > 60


def test_flops_are_those_of_the_default_batch_or_the_one_given() -> None:
    arch = SPACE.sample(np.random.default_rng(0))
    assert SpaceDomain(SPACE).cost(arch) == SPACE.cost(arch, SPACE.task.input_shapes(batch_size=4, frames=8))
    shapes = SPACE.task.input_shapes(batch_size=1, frames=64)
    assert SpaceDomain(SPACE, shapes=shapes).cost(arch) == SPACE.cost(arch, shapes)


@pytest.mark.parametrize(
    ("limits", "field", "allowed"),
    [
        ({"max_flops": 10**6}, "max_flops", r"at least \d+, the least of 10000 random architectures$"),
        ({"max_params": 1000, "fixed": {"depth": 10}}, "max_params", r"at least \d+, the least .* of depth 10$"),
        ({"fixed": {"depth": 5}}, "depth", "4, 6, 8 or 10"),
    ],
)
def test_limits_that_leave_nothing_are_refused(limits: dict[str, Any], field: str, allowed: str) -> None:
    with pytest.raises(InputError, match=allowed) as error:
        SpaceDomain(SPACE, **limits)
    assert error.value.field == field
    assert error.value.value == str((limits | limits.get("fixed", {}))[field])


def test_the_least_that_an_error_allows_is_allowed() -> None:
    with pytest.raises(InputError) as error:
        SpaceDomain(SPACE, {"depth": 4}, max_flops=1)
    least = int(error.value.allowed.split()[2].rstrip(","))
    arch = SpaceDomain(SPACE, {"depth": 4}, max_flops=least).sample(np.random.default_rng(0))
    assert SPACE.stratum(arch) == 4


def test_two_limits_that_leave_nothing_together_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.domains.MAX_SAMPLES", 200)
    rng = np.random.default_rng(0)
    shapes = SPACE.task.input_shapes()
    costs = [SPACE.cost(SPACE.sample(rng, depth=10), shapes) for _ in range(200)]
    limits: dict[str, Any] = {
        "max_flops": min(cost.flops for cost in costs),
        "max_params": min(cost.params for cost in costs),
    }
    assert not any(cost.flops <= limits["max_flops"] and cost.params <= limits["max_params"] for cost in costs)
    with pytest.raises(InputError, match=r"max_params: got .* is within both limits"):
        SpaceDomain(SPACE, {"depth": 10}, **limits)


def test_neighbors_in_a_table_are_the_rows_of_the_least_jaccard_distance(rng: np.random.Generator) -> None:
    table = [SPACE.sample(rng) for _ in range(60)]
    domain = TableDomain(SPACE, table, num_neighbors=7)

    def jaccard_distance(*pair: Any) -> float:
        first, second = ({(slot, name) for slot, names in layers(arch).items() for name in names} for arch in pair)
        return len(first ^ second) / len(first | second)

    for i, arch in enumerate(table[:20]):
        distances = [jaccard_distance(arch, row) for row in table]
        assert domain.distances[i].tolist() == distances
        neighbors = list(domain.neighbors(arch))
        assert len(set(neighbors)) == 7
        assert arch not in neighbors
        assert sorted(distances)[1:8] == [jaccard_distance(arch, row) for row in neighbors]
        assert {domain.mutate(arch, rng) for _ in range(100)} == set(neighbors)
    children = {domain.crossover(table[0], table[1], rng) for _ in range(50)}
    assert children <= set(table)


def test_neighbors_in_a_table_do_not_drift_to_shallow_rows(rng: np.random.Generator) -> None:
    table = [SPACE.sample(rng) for _ in range(300)]
    domain = TableDomain(SPACE, table)
    for depth in (4, 6, 8, 10):
        depths = [
            SPACE.stratum(row) for arch in table if SPACE.stratum(arch) == depth for row in domain.neighbors(arch)
        ]
        assert abs(np.mean(depths) - depth) < 0.6


class Plain(SearchSpace[Any]):
    """A space that only parses and samples."""

    name = "plain"
    settings: ClassVar[dict[str, Any]] = {}

    def describe(self) -> dict[str, Any]:
        return {}

    def json_schema(self) -> dict[str, Any]:
        return {}

    def parse(self, obj: Any) -> Any:
        return SPACE.parse(obj)

    def to_json(self, arch: Any) -> dict[str, Any]:
        return dict(SPACE.to_json(arch))

    def sample(self, rng: np.random.Generator, **fixed: Any) -> Any:
        return SPACE.sample(rng, **fixed)


def test_a_space_without_costs_and_mutations_is_searched_at_random_only(rng: np.random.Generator) -> None:
    domain = SpaceDomain(Plain())
    assert domain.cost(domain.sample(rng)) is None
    assert len(get_strategy("random")(domain, rng).ask(5)) == 5
    for name in ("evolution", "local"):
        with pytest.raises(CapabilityError, match="mutations"):
            get_strategy(name)(domain, rng)
    with pytest.raises(CapabilityError, match="costs"):
        SpaceDomain(Plain(), max_flops=10)
    with pytest.raises(CapabilityError, match="structural features"):
        TableDomain(Plain(), [SPACE.sample(rng)])


def test_a_fixed_property_may_be_a_structural_feature(rng: np.random.Generator) -> None:
    domain = SpaceDomain(get_space("nas-bench-graph"), {"depth": 2})
    archs = [domain.sample(rng) for _ in range(5)]
    archs += [domain.mutate(arch, rng) for arch in archs]
    assert {domain.space.stratum(arch) for arch in archs} == {2}  # type: ignore[attr-defined]
