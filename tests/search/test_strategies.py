"""The contract of every strategy, found through the registry; then what each of them is known for."""

import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from models import Architecture, InputError, UnknownNameError, get_space
from search import SpaceDomain, Strategy, TableDomain, Trial, get_strategy, pareto_front, strategy_names

SPACE = get_space("gcn-nas")
DOMAIN = SpaceDomain(SPACE)


def guide(architectures: Sequence[Architecture]) -> list[float]:
    """Accuracies that a search can climb: deep networks with few fixed-graph modules are good."""
    values = SPACE.feature_values(architectures)
    depth, fixed = (values[:, SPACE.feature_names.index(name)] for name in ("depth", "network.fixed.mean"))
    return list((0.8 + 0.01 * depth - 0.02 * fixed).tolist())


def quality(arch: Architecture) -> float:
    return guide([arch])[0]


def trial(arch: Architecture, accuracy: float | None) -> Trial:
    cost = DOMAIN.cost(arch)
    return Trial(arch, accuracy, cost.flops, cost.params)


def fails(arch: Architecture) -> bool:
    """A third of all, by what they are."""
    return int(arch.fingerprint, 16) % 3 == 0


def tried(arch: Architecture) -> Trial:
    return trial(arch, None if fails(arch) else quality(arch))


def start(name: str, domain: Any = DOMAIN, seed: int = 0, **settings: Any) -> Strategy:
    small = {"num_candidates": 200, **settings} if name == "warm-up" else settings
    return get_strategy(name)(domain, np.random.default_rng(seed), guide, **small)


Log = list[tuple[int, list[Trial]]]
"""How many were asked for, and what was told."""


def run(strategy: Strategy, budget: int, batch: int = 16) -> Log:
    """Goes on until the budget is used up or nothing new is asked for."""
    log: Log = []
    left = budget
    while left > 0 and (asked := strategy.ask(n := min(batch, left))):
        log.append((n, [tried(arch) for arch in asked]))
        strategy.tell(log[-1][1])
        left -= len(asked)
    return log


def flat(log: Log) -> list[Trial]:
    return [one for _, told in log for one in told]


@pytest.fixture(params=strategy_names())
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("batch", [1, 7, 100])
def test_asks_for_up_to_as_many_as_it_may_and_never_twice(name: str, batch: int) -> None:
    log = run(start(name), 150, batch)
    assert all(0 < len(told) <= n <= batch for n, told in log)
    architectures = [one.architecture for one in flat(log)]
    assert len(set(architectures)) == len(architectures) == 150
    assert not any(SPACE.warnings(arch) for arch in architectures)


@pytest.mark.parametrize("batch", [1, 16])
def test_a_log_told_again_leads_to_the_same_place(name: str, batch: int) -> None:
    strategy, again = start(name), start(name)
    log = run(strategy, 112, batch)
    for n, told in log:
        assert again.ask(n) == [one.architecture for one in told]
        again.tell(told)
    assert run(again, 80, batch) == run(strategy, 80, batch)
    assert run(start(name, seed=1), 112, batch) != log


def test_all_randomness_is_the_generators(name: str) -> None:
    np.random.seed(3)  # noqa: NPY002 - to see whether anyone draws from it
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    log = run(start(name), 80)
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002
    np.random.seed(4)  # noqa: NPY002
    assert run(start(name), 80) == log


def test_all_of_a_table_is_asked_for_at_most_once_and_then_nothing(name: str) -> None:
    rng = np.random.default_rng(5)
    table = list(dict.fromkeys(SPACE.sample(rng) for _ in range(40)))
    strategy = start(
        name,
        TableDomain(SPACE, table, num_neighbors=5),
        **({"population_size": 8} if name not in ("random", "local") else {}),
    )
    asked = [one.architecture for one in flat(run(strategy, 1000, 6))]
    assert len(set(asked)) == len(asked) <= len(table)
    assert set(asked) <= set(table)
    assert len(asked) >= 30
    assert strategy.ask(5) == []


def test_nothing_but_failures_ends_no_search(name: str) -> None:
    strategy = start(name)
    for _ in range(12):
        asked = strategy.ask(16)
        assert asked
        strategy.tell([trial(arch, None) for arch in asked])


def test_stays_within_limits(name: str) -> None:
    limit = 4_000_000_000
    domain = SpaceDomain(SPACE, depth=6, max_flops=limit)
    for one in flat(run(start(name, domain), 160)):
        assert SPACE.features(one.architecture)["depth"] == 6
        assert one.flops <= limit


def test_names_are_unique_and_summaries_one_line() -> None:
    assert len(set(strategy_names())) == len(strategy_names())
    for name in strategy_names():
        summary = get_strategy(name).summary
        assert summary
        assert "\n" not in summary
    with pytest.raises(UnknownNameError, match="evolution"):
        get_strategy("evolve")


def test_those_that_need_a_guide_say_so(name: str) -> None:
    kind = get_strategy(name)
    if kind.needs_surrogate:
        with pytest.raises(InputError, match="surrogate"):
            kind(DOMAIN, np.random.default_rng(0))
    else:
        assert kind(DOMAIN, np.random.default_rng(0)).ask(1)


@pytest.mark.parametrize("better", ["evolution", "warm-up", "move", "local"])
def test_finds_better_ones_than_random_search(better: str) -> None:
    def best(name: str, seed: int) -> float:
        return max(one.accuracy or 0 for one in flat(run(start(name, seed=seed), 300, 8)))

    assert all(best(better, seed) > best("random", seed) for seed in range(3))


class Recorded(SpaceDomain):
    """Remembers whose children and neighbours were asked for."""

    def __init__(self) -> None:
        super().__init__(SPACE)
        self.parents: list[Architecture] = []

    def mutate(self, arch: Architecture, rng: np.random.Generator) -> Architecture:
        self.parents.append(arch)
        return super().mutate(arch, rng)

    def neighbors(self, arch: Architecture) -> Any:
        self.parents.append(arch)
        return super().neighbors(arch)

    def crossover(self, one: Architecture, other: Architecture, rng: np.random.Generator) -> Architecture:
        self.parents += [one, other]
        return super().crossover(one, other, rng)


@pytest.mark.parametrize("kind", sorted(set(strategy_names()) - {"random"}))
def test_failed_ones_are_nobodys_parents(kind: str) -> None:
    domain = Recorded()
    told = {one.architecture for one in flat(run(start(kind, domain), 200))}
    parents = set(domain.parents) & told  # mutants of NSGA-II's crosses were not told
    assert parents
    assert not any(fails(arch) for arch in parents)


def test_evolution_breeds_from_the_last_that_lived_only() -> None:
    domain = Recorded()
    strategy = start("evolution", domain, population_size=10, tournament_size=10)
    living: list[Architecture] = []
    for _ in range(120):
        (arch,) = strategy.ask(1)
        if domain.parents:
            assert domain.parents[-1] in living[-10:]
        strategy.tell([told := tried(arch)])
        living += [arch] if told.accuracy is not None else []
    assert len(domain.parents) >= 60


def test_the_best_of_a_large_tournament_is_the_parent() -> None:
    domain = Recorded()
    strategy = start("evolution", domain, population_size=8, tournament_size=200)
    log = flat(run(strategy, 8, 1))
    while len(strategy.population) < 8:  # type: ignore[attr-defined]
        log += flat(run(strategy, 1, 1))
    strategy.ask(1)
    assert set(domain.parents) == {max(log, key=lambda one: one.accuracy or 0).architecture}


def test_warm_up_starts_with_the_best_of_what_the_guide_was_asked() -> None:
    heard: list[Architecture] = []

    def listening(architectures: Sequence[Architecture]) -> list[float]:
        heard.extend(architectures)
        return guide(architectures)

    strategy = get_strategy("warm-up")(DOMAIN, np.random.default_rng(0), listening)
    first = strategy.ask(40) + strategy.ask(40)
    assert len(heard) == 3000 == len(set(heard))
    assert len(first) == 80  # nothing was told yet, so the pool is not full
    assert [quality(arch) for arch in first] == sorted(guide(heard), reverse=True)[:80]


def test_domain_go_to_the_best_neighbour_three_times_of_four() -> None:
    strategy = start("move", seed=2)
    seen = flat(run(strategy, 100, 1))
    while len(strategy.population) < 64:  # type: ignore[attr-defined]
        seen += flat(run(strategy, 1, 1))
    known = {one.architecture for one in seen}
    children = strategy.ask(200)
    best = set()
    for _, parent in strategy.population:  # type: ignore[attr-defined]
        untried = [arch for arch in SPACE.neighbors(parent) if arch not in known]  # type: ignore[arg-type]
        best |= set(sorted(untried, key=quality, reverse=True)[:20])
    assert len(children) == 200
    by_guide = sum(arch in best for arch in children)
    assert 130 <= by_guide <= 175


def test_local_search_tries_neighbours_of_the_best_and_starts_anew_at_a_peak() -> None:
    strategy = start("local", SpaceDomain(SPACE, depth=4))
    log = flat(run(strategy, 400, 1))
    first, climb = log[:10], log[10:]
    here = max(first, key=lambda one: one.accuracy or 0)
    steps = 0
    for one in climb:
        if one.architecture not in set(SPACE.neighbors(here.architecture)):  # type: ignore[arg-type]
            break
        if one.accuracy is not None and one.accuracy > (here.accuracy or 0):
            here = one
        steps += 1
    assert 10 <= steps < len(climb), "it climbed, and it came to a peak"
    tried_by_then = {one.architecture for one in log[: 10 + steps]}
    around = set(SPACE.neighbors(here.architecture))  # type: ignore[arg-type]
    assert around <= tried_by_then
    assert all(fails(arch) or quality(arch) <= quality(here.architecture) for arch in around)


def test_pareto_comes_to_a_better_front_than_random_search() -> None:
    from pymoo.indicators.hv import HV

    def volume(name: str, seed: int) -> float:
        found = pareto_front(flat(run(start(name, seed=seed), 512, 64)))
        return float(HV(ref_point=[-0.7, 1e10])(np.array([[-(one.accuracy or 0), one.flops] for one in found])))

    assert all(volume("pareto", seed) > volume("random", seed) for seed in range(3))


def test_only_pareto_needs_pymoo() -> None:
    code = "import sys, search, search.registry; sys.exit(any(name.startswith('pymoo') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_pareto_says_nothing_on_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    run(start("pareto"), 200, 50)
    assert capfd.readouterr() == ("", "")


def test_a_table_is_drawn_from_evenly() -> None:
    rng = np.random.default_rng(0)
    table = [SPACE.sample(rng) for _ in range(5)]
    domain = TableDomain(SPACE, table, num_neighbors=2)
    drawn = Counter(table.index(domain.sample(rng)) for _ in range(1000))
    assert set(drawn) == set(range(5))
    assert min(drawn.values()) > 150
