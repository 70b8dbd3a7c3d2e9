"""Limits are kept or refused with what is possible; steps in a table lead to the nearest members."""

from typing import Any

import numpy as np
import pytest

from models import InputError, get_space
from search import SpaceMoves, TableMoves

SPACE: Any = get_space("gcn-nas")


def layers(arch: Any) -> dict[int, set[str]]:
    """Modules by backbone slot."""
    return dict(zip(arch.slots, map(set, SPACE.to_json(arch)["layers"]), strict=True))


def test_without_limits_it_is_the_space() -> None:
    moves = SpaceMoves(SPACE)
    ours, theirs = np.random.default_rng(0), np.random.default_rng(0)
    arch = moves.sample(ours)
    assert arch == SPACE.sample(theirs)
    assert moves.mutate(arch, ours) == SPACE.mutate(arch, theirs)
    assert list(moves.neighbors(arch)) == list(SPACE.neighbors(arch))
    assert moves.crossover(arch, moves.sample(ours), ours) == SPACE.crossover(arch, SPACE.sample(theirs), theirs)


@pytest.mark.parametrize("limits", [{"depth": 8}, {"max_flops": 4 * 10**9}, {"depth": 4, "max_params": 2_600_000}])
def test_limits_are_kept(limits: dict[str, int], rng: np.random.Generator) -> None:
    moves = SpaceMoves(SPACE, **limits)
    drawn = [moves.sample(rng) for _ in range(30)]
    drawn += [moves.mutate(arch, rng) for arch in drawn]
    drawn += [moves.crossover(one, other, rng) for one, other in zip(drawn, drawn[::-1], strict=True)]
    drawn += list(moves.neighbors(drawn[0]))
    for arch in drawn:
        cost = moves.cost(arch)
        assert cost.flops <= limits.get("max_flops", cost.flops)
        assert cost.params <= limits.get("max_params", cost.params)
        assert arch.depth == limits.get("depth", arch.depth)
        assert not SPACE.warnings(arch)
    assert len(set(drawn)) > 60


def test_flops_are_those_of_the_default_batch_or_the_one_given() -> None:
    arch = SPACE.sample(np.random.default_rng(0))
    assert SpaceMoves(SPACE).cost(arch) == SPACE.cost(arch, SPACE.input_shape(4, 8))
    shape = SPACE.input_shape(1, 64)
    assert SpaceMoves(SPACE, shape=shape).cost(arch) == SPACE.cost(arch, shape)


@pytest.mark.parametrize(
    ("limits", "field", "allowed"),
    [
        ({"max_flops": 10**6}, "max_flops", r"at least \d+, the least of 10000 random architectures$"),
        ({"max_params": 1000, "depth": 10}, "max_params", r"at least \d+, the least .* of 10 layers$"),
        ({"depth": 5}, "depth", "4, 6, 8 or 10"),
    ],
)
def test_limits_that_leave_nothing_are_refused(limits: dict[str, int], field: str, allowed: str) -> None:
    with pytest.raises(InputError, match=allowed) as refused:
        SpaceMoves(SPACE, **limits)
    assert refused.value.field == field
    assert refused.value.value == str(limits[field])


def test_what_a_refusal_allows_is_allowed() -> None:
    with pytest.raises(InputError) as refused:
        SpaceMoves(SPACE, depth=4, max_flops=1)
    least = int(refused.value.allowed.split()[2].rstrip(","))
    assert SpaceMoves(SPACE, depth=4, max_flops=least).sample(np.random.default_rng(0)).depth == 4


def test_two_limits_that_leave_nothing_together_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.moves.TRIES", 200)
    rng = np.random.default_rng(0)
    costs = [SpaceMoves(SPACE).cost(SPACE.sample(rng, depth=10)) for _ in range(200)]
    limits = {"max_flops": min(cost.flops for cost in costs), "max_params": min(cost.params for cost in costs)}
    assert not any(cost.flops <= limits["max_flops"] and cost.params <= limits["max_params"] for cost in costs)
    with pytest.raises(InputError, match=r"max_params: got .* keeps both limits"):
        SpaceMoves(SPACE, depth=10, **limits)


def test_steps_in_a_table_lead_to_the_members_with_the_least_share_of_other_modules(rng: np.random.Generator) -> None:
    table = [SPACE.sample(rng) for _ in range(60)]
    moves = TableMoves(SPACE, table, near=7)

    def apart(one: Any, other: Any) -> float:
        mine, theirs = ({(slot, name) for slot in own for name in own[slot]} for own in map(layers, (one, other)))
        return len(mine ^ theirs) / len(mine | theirs)

    for i, arch in enumerate(table[:20]):
        distances = [apart(arch, other) for other in table]
        assert moves.distances[i].tolist() == distances
        near = list(moves.neighbors(arch))
        assert len(set(near)) == 7
        assert arch not in near
        assert sorted(distances)[1:8] == [apart(arch, other) for other in near]
        assert {moves.mutate(arch, rng) for _ in range(100)} == set(near)
    crossover = {moves.crossover(table[0], table[1], rng) for _ in range(50)}
    assert crossover <= set(table)


def test_steps_in_a_table_do_not_drift_to_small_members(rng: np.random.Generator) -> None:
    table = [SPACE.sample(rng) for _ in range(300)]
    moves = TableMoves(SPACE, table)
    for depth in (4, 6, 8, 10):
        around = [other.depth for arch in table if arch.depth == depth for other in moves.neighbors(arch)]
        assert abs(np.mean(around) - depth) < 0.6
