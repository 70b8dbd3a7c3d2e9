"""RoBoT on a synthetic table: it finds the proxy that is informative, and failures never count."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from models import Architecture, InputError, get_space
from search import SpaceDomain, Trial
from search.strategies.robot import Robot

SPACE: Any = get_space("gcn-nas")
DOMAIN = SpaceDomain(SPACE)
POOL, BUDGET = 400, 40


def column(arch: Architecture, number: int) -> float:
    return int(arch.fingerprint[4 * number : 4 * number + 4], 16) / 2**16


def scorer(architectures: Sequence[Architecture]) -> Any:
    """Four proxies; the accuracy falls with the third."""
    return np.array([[1e6 * column(arch, 0), column(arch, 1), column(arch, 2), 7.0] for arch in architectures])


def accuracy(arch: Architecture) -> float:
    return 0.9 - 0.1 * column(arch, 2)


def make(seed: int = 0, **options: Any) -> Robot:
    arguments: dict[str, Any] = {"scorer": scorer, "budget": BUDGET, "num_candidates": POOL, **options}
    return Robot(DOMAIN, np.random.default_rng(seed), **arguments)


def run(robot: Robot, budget: int = BUDGET, fails: Any = lambda arch: False) -> list[Architecture]:
    order: list[Architecture] = []
    while len(order) < budget and (proposed := robot.ask(1)):
        order += proposed
        robot.tell([Trial(proposed[0], None if fails(proposed[0]) else accuracy(proposed[0]), None, None)])
    return order


@pytest.mark.parametrize("seed", range(3))
def test_the_informative_proxy_gets_the_weight(seed: int) -> None:
    robot = make(seed)
    order = run(robot)
    weights = robot.best_weights()
    assert weights[2] < 0
    ranked = sorted(robot.pool, key=accuracy, reverse=True)
    random = np.mean([accuracy(arch) for arch in robot.pool])
    later = np.mean([accuracy(arch) for arch in order[BUDGET // 2 :]])
    assert later > (random + accuracy(ranked[0])) / 2
    assert max(map(accuracy, order)) >= accuracy(ranked[POOL // 50])


def test_half_of_the_budget_goes_down_the_list_of_the_best_weights() -> None:
    robot = make()
    order = run(robot)
    assert len(set(order)) == BUDGET
    by_weights = [arch for _, arch in robot.weights]
    tops = len(set(by_weights))
    assert tops <= BUDGET // 2
    assert len(robot.weights) <= BUDGET - 1
    sums = dict(zip(robot.pool, scaled(robot) @ robot.best_weights(), strict=True))
    rest = [arch for arch in sorted(robot.pool, key=lambda arch: -sums[arch]) if arch not in by_weights]
    assert order[tops:] == rest[: BUDGET - tops]


def scaled(robot: Robot) -> Any:
    scores = scorer(robot.pool)
    return (scores - scores.min(axis=0)) / np.where(np.ptp(scores, axis=0) > 0, np.ptp(scores, axis=0), 1)


def test_it_may_be_asked_before_it_is_told() -> None:
    robot = make()
    first = robot.ask(6)
    assert len(set(first)) == 6
    robot.tell([Trial(arch, accuracy(arch), None, None) for arch in first])
    assert not set(robot.ask(6)) & set(first)


def test_candidates_without_scores_and_failed_ones_are_left_out() -> None:
    def partly(architectures: Sequence[Architecture]) -> Any:
        scores = scorer(architectures)
        scores[::2, 1] = np.nan
        return scores

    robot = make(scorer=partly)
    assert len(robot.pool) == POOL // 2
    order = run(robot, fails=lambda arch: column(arch, 3) < 0.5)
    assert len(set(order)) == BUDGET
    with pytest.raises(InputError, match="proxies: got 'no complete scores'"):
        make(scorer=lambda architectures: np.full((len(architectures), 2), np.nan))
    with pytest.raises(InputError, match="proxies: got None"):
        make(scorer=None)


def test_it_ends_with_the_pool() -> None:
    assert len(run(make(num_candidates=5), budget=100)) == 5
    assert run(make(num_candidates=5), fails=lambda arch: True) != []
