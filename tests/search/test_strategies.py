"""Contract of search strategies, for every registered one, and properties of each."""

import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.extras import MissingExtraError
from models import Architecture, InputError, UnknownNameError, get_space
from search import SpaceDomain, Strategy, TableDomain, Trial, get_strategy, pareto_front, strategy_names

SPACE: Any = get_space("gcn-nas")
DOMAIN = SpaceDomain(SPACE)


def surrogate(architectures: Sequence[Architecture]) -> list[float]:
    """Objective of these tests: deep networks with few fixed-graph modules are good."""
    values = SPACE.feature_values(architectures)
    depth, fixed = (values[:, SPACE.feature_names.index(name)] for name in ("depth", "network.fixed.mean"))
    return list((0.8 + 0.01 * depth - 0.02 * fixed).tolist())


def accuracy(arch: Architecture) -> float:
    return surrogate([arch])[0]


def make_trial(arch: Architecture, value: float | None) -> Trial:
    cost = SPACE.cost(arch, DOMAIN.shapes)
    return Trial(arch, value, cost.flops, cost.params)


def fails(arch: Architecture) -> bool:
    """True for a third of all architectures."""
    return int(arch.fingerprint, 16) % 3 == 0


def evaluate(arch: Architecture) -> Trial:
    return make_trial(arch, None if fails(arch) else accuracy(arch))


def make_strategy(name: str, domain: Any = DOMAIN, seed: int = 0, **options: Any) -> Any:
    if name == "warm-up":
        options = {"num_candidates": 200, **options}
    return get_strategy(name)(domain, np.random.default_rng(seed), surrogate, **options)


Log = list[tuple[int, list[Trial]]]
"""Number of architectures asked for, and the trials told, by step."""


def run(strategy: Strategy, budget: int, batch_size: int = 16) -> Log:
    """Search until the budget is used up or nothing new is proposed."""
    log: Log = []
    remaining = budget
    while remaining > 0 and (proposed := strategy.ask(n := min(batch_size, remaining))):
        log.append((n, [evaluate(arch) for arch in proposed]))
        strategy.tell(log[-1][1])
        remaining -= len(proposed)
    return log


def flatten(log: Log) -> list[Trial]:
    return [trial for _, trials in log for trial in trials]


@pytest.fixture(params=strategy_names(training=False))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("batch_size", [1, 7, 100])
def test_proposals_are_at_most_as_many_as_asked_for_and_distinct(name: str, batch_size: int) -> None:
    log = run(make_strategy(name), 150, batch_size)
    assert all(0 < len(trials) <= n <= batch_size for n, trials in log)
    architectures = [trial.architecture for trial in flatten(log)]
    assert len(set(architectures)) == len(architectures) == 150
    assert not any(SPACE.warnings(arch) for arch in architectures)


@pytest.mark.parametrize("batch_size", [1, 16])
def test_replaying_a_log_resumes_a_search(name: str, batch_size: int) -> None:
    strategy, resumed = make_strategy(name), make_strategy(name)
    log = run(strategy, 112, batch_size)
    for n, trials in log:
        assert resumed.ask(n) == [trial.architecture for trial in trials]
        resumed.tell(trials)
    assert run(resumed, 80, batch_size) == run(strategy, 80, batch_size)
    assert run(make_strategy(name, seed=1), 112, batch_size) != log


def test_proposals_are_valid_distinct_and_seeded(name: str) -> None:
    @settings(max_examples=8)
    @given(
        seed=st.integers(0, 2**32 - 1),
        depth=st.none() | st.sampled_from([4, 6, 8, 10]),
        batch_sizes=st.lists(st.integers(1, 20), min_size=1, max_size=6),
    )
    def check(seed: int, depth: int | None, batch_sizes: list[int]) -> None:
        domain = SpaceDomain(SPACE, {} if depth is None else {"depth": depth})
        searches = [make_strategy(name, domain, seed) for _ in range(2)]
        proposed: list[Architecture] = []
        for n in batch_sizes:
            batch, repeated = (strategy.ask(n) for strategy in searches)
            assert batch == repeated
            assert len(batch) <= n
            proposed += batch
            for strategy in searches:
                strategy.tell([evaluate(arch) for arch in batch])
        assert len(set(proposed)) == len(proposed)
        assert all(depth in (None, SPACE.stratum(arch)) and not SPACE.warnings(arch) for arch in proposed)

    check()


def test_all_randomness_is_from_the_generator(name: str) -> None:
    np.random.seed(3)  # noqa: NPY002
    before: Any = np.random.get_state()  # noqa: NPY002
    log = run(make_strategy(name), 80)
    after: Any = np.random.get_state()  # noqa: NPY002
    assert after[1].tolist() == before[1].tolist()
    np.random.seed(4)  # noqa: NPY002
    assert run(make_strategy(name), 80) == log


def test_tables_are_proposed_without_repeats_until_exhausted(name: str) -> None:
    rng = np.random.default_rng(5)
    table = list(dict.fromkeys(SPACE.sample(rng) for _ in range(40)))
    strategy = make_strategy(
        name,
        TableDomain(SPACE, table, num_neighbors=5),
        **({"population_size": 8} if name not in ("random", "local") else {}),
    )
    proposed = [trial.architecture for trial in flatten(run(strategy, 1000, 6))]
    assert len(set(proposed)) == len(proposed) <= len(table)
    assert set(proposed) <= set(table)
    assert len(proposed) >= 30
    assert strategy.ask(5) == []


def test_searches_continue_after_failures_only(name: str) -> None:
    strategy = make_strategy(name)
    for _ in range(12):
        proposed = strategy.ask(16)
        assert proposed
        strategy.tell([make_trial(arch, None) for arch in proposed])


def test_stays_within_limits(name: str) -> None:
    limit = 4_000_000_000
    domain = SpaceDomain(SPACE, {"depth": 6}, max_flops=limit)
    for trial in flatten(run(make_strategy(name, domain), 160)):
        assert SPACE.stratum(trial.architecture) == 6
        assert trial.flops is not None
        assert trial.flops <= limit


def test_names_are_unique_and_summaries_one_line() -> None:
    assert len(set(strategy_names())) == len(strategy_names())
    for name in strategy_names():
        summary = get_strategy(name).summary
        assert summary
        assert "\n" not in summary
    with pytest.raises(UnknownNameError, match="evolution"):
        get_strategy("evolve")


def test_a_missing_surrogate_is_refused(name: str) -> None:
    strategy = get_strategy(name)
    if strategy.needs_surrogate:
        with pytest.raises(InputError, match="surrogate"):
            strategy(DOMAIN, np.random.default_rng(0))
    else:
        assert strategy(DOMAIN, np.random.default_rng(0)).ask(1)


@pytest.mark.parametrize("strategy", ["evolution", "warm-up", "move", "local"])
def test_strategies_find_better_architectures_than_random_search(strategy: str) -> None:
    def best(name: str, seed: int) -> float:
        return max(trial.accuracy or 0 for trial in flatten(run(make_strategy(name, seed=seed), 300, 8)))

    assert all(best(strategy, seed) > best("random", seed) for seed in range(3))


class RecordingDomain(SpaceDomain):
    """Domain that records the architectures of mutations, crossovers and neighbors."""

    def __init__(self) -> None:
        super().__init__(SPACE)
        self.parents: list[Architecture] = []

    def mutate(self, arch: Architecture, rng: np.random.Generator) -> Architecture:
        self.parents.append(arch)
        return super().mutate(arch, rng)

    def neighbors(self, arch: Architecture) -> Any:
        self.parents.append(arch)
        return super().neighbors(arch)

    def crossover(self, first: Architecture, second: Architecture, rng: np.random.Generator) -> Architecture:
        self.parents += [first, second]
        return super().crossover(first, second, rng)


@pytest.mark.parametrize("strategy", sorted(set(strategy_names(training=False)) - {"random"}))
def test_failed_trials_have_no_children(strategy: str) -> None:
    domain = RecordingDomain()
    tried = {trial.architecture for trial in flatten(run(make_strategy(strategy, domain), 200))}
    parents = set(domain.parents) & tried  # NSGA-II mutates crossovers, which are no trials
    assert parents
    assert not any(fails(arch) for arch in parents)


def test_parents_in_evolution_are_among_the_youngest() -> None:
    domain = RecordingDomain()
    strategy = make_strategy("evolution", domain, population_size=10, tournament_size=10)
    successful: list[Architecture] = []
    for _ in range(120):
        (arch,) = strategy.ask(1)
        if domain.parents:
            assert domain.parents[-1] in successful[-10:]
        strategy.tell([trial := evaluate(arch)])
        successful += [arch] if trial.accuracy is not None else []
    assert len(domain.parents) >= 60


def test_the_best_of_a_large_tournament_is_the_parent() -> None:
    domain = RecordingDomain()
    strategy = make_strategy("evolution", domain, population_size=8, tournament_size=200)
    log = flatten(run(strategy, 8, 1))
    while len(strategy.population) < 8:
        log += flatten(run(strategy, 1, 1))
    strategy.ask(1)
    assert set(domain.parents) == {max(log, key=lambda trial: trial.accuracy or 0).architecture}


def test_warm_up_starts_with_the_predicted_best() -> None:
    candidates: list[Architecture] = []

    def recording_surrogate(architectures: Sequence[Architecture]) -> list[float]:
        candidates.extend(architectures)
        return surrogate(architectures)

    strategy = get_strategy("warm-up")(DOMAIN, np.random.default_rng(0), recording_surrogate)
    first = strategy.ask(40) + strategy.ask(40)
    assert len(candidates) == 3000 == len(set(candidates))
    assert len(first) == 80  # no trials were told, so the population is not full
    assert [accuracy(arch) for arch in first] == sorted(surrogate(candidates), reverse=True)[:80]


def test_three_of_four_moves_go_to_the_predicted_best_neighbor() -> None:
    strategy = make_strategy("move", seed=2)
    trials = flatten(run(strategy, 100, 1))
    while len(strategy.population) < 64:
        trials += flatten(run(strategy, 1, 1))
    known = {trial.architecture for trial in trials}
    children = strategy.ask(200)
    best = set()
    for _, parent in strategy.population:
        untried = [arch for arch in SPACE.neighbors(parent) if arch not in known]
        best |= set(sorted(untried, key=accuracy, reverse=True)[:20])
    assert len(children) == 200
    by_surrogate = sum(arch in best for arch in children)
    assert 130 <= by_surrogate <= 175


def test_local_search_tries_neighbors_of_the_best_and_restarts_at_a_peak() -> None:
    strategy = make_strategy("local", SpaceDomain(SPACE, {"depth": 4}))
    log = flatten(run(strategy, 400, 1))
    first, climb = log[:10], log[10:]
    center = max(first, key=lambda trial: trial.accuracy or 0)
    steps = 0
    for trial in climb:
        if trial.architecture not in set(SPACE.neighbors(center.architecture)):
            break
        if trial.accuracy is not None and trial.accuracy > (center.accuracy or 0):
            center = trial
        steps += 1
    assert 10 <= steps < len(climb), "no climb, or no peak"
    tried = {trial.architecture for trial in log[: 10 + steps]}
    neighbors = set(SPACE.neighbors(center.architecture))
    assert neighbors <= tried
    assert all(fails(arch) or accuracy(arch) <= accuracy(center.architecture) for arch in neighbors)


def test_pareto_finds_a_better_front_than_random_search() -> None:
    from pymoo.indicators.hv import HV

    def hypervolume(name: str, seed: int) -> float:
        front = pareto_front(flatten(run(make_strategy(name, seed=seed), 512, 64)))
        return float(HV(ref_point=[-0.7, 1e10])(np.array([[-(trial.accuracy or 0), trial.flops] for trial in front])))

    assert all(hypervolume("pareto", seed) > hypervolume("random", seed) for seed in range(3))


def test_only_pareto_needs_pymoo() -> None:
    code = "import sys, search, search.registry; sys.exit(any(name.startswith('pymoo') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_pareto_without_pymoo_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymoo", None)
    with pytest.raises(MissingExtraError, match=r"pymoo is not installed: pip install 'archrank\[search\]'"):
        make_strategy("pareto")
    assert make_strategy("evolution").ask(1)


def test_pareto_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    run(make_strategy("pareto"), 200, 50)
    assert capfd.readouterr() == ("", "")


def test_rows_of_a_table_are_sampled_uniformly() -> None:
    rng = np.random.default_rng(0)
    table = [SPACE.sample(rng) for _ in range(5)]
    domain = TableDomain(SPACE, table, num_neighbors=2)
    counts = Counter(table.index(domain.sample(rng)) for _ in range(1000))
    assert set(counts) == set(range(5))
    assert min(counts.values()) > 150


def test_a_strategy_without_its_extra_is_refused_before_a_search_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymoo", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'archrank\[search\]'"):
        get_strategy("pareto")
    assert get_strategy("random").name == "random"
