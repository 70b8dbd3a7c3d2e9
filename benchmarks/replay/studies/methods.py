"""Search methods of the replays: each returns the order in which it trains the candidates."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from benchmarks.replay.methods import sort_descending
from benchmarks.replay.studies.candidates import Array, Candidates, Rows, SubsetDomain
from ensemble.combiners.transfer import Transfer
from models import Architecture
from search import Strategy, Trial
from search.strategies.aging_evolution import AgingEvolution
from search.strategies.robot import Robot

BUDGET = 100
"""Trainings of a search; of the baselines `LONG_BUDGET`."""
LONG_BUDGET = 1000
REFITS = (*range(5, 20, 3), *range(20, BUDGET, 10))
"""Numbers of trainings after which a study is fitted again."""
NUM_REFERENCE = 1000
"""Random candidates without a label that show a study the distribution of its columns."""
POPULATION_SIZE = 16
Method = Callable[[Candidates, np.random.Generator], Rows]


def random_order(candidates: Candidates, rng: np.random.Generator) -> Rows:
    """Random search."""
    return rng.permutation(len(candidates))[:LONG_BUDGET]


def depth_first(candidates: Candidates, rng: np.random.Generator, sign: int) -> Rows:
    """Order by the number of layers, descending if `sign` is 1, ascending if it is -1."""
    return sort_descending(sign * candidates.depths, rng)[:LONG_BUDGET]


def sources_first(candidates: Candidates, rng: np.random.Generator) -> Rows:
    """Order by the mean of the sources' scores; no training is learned from."""
    return sort_descending(candidates.sources.mean(axis=1), rng)[:BUDGET]


def study(candidates: Candidates, rng: np.random.Generator, with_sources: bool) -> Rows:
    """Suggestions of a study, fitted again after each number of trainings in `REFITS`."""
    sources = candidates.sources if with_sources else candidates.sources[:, :0]
    X = np.column_stack([sources, candidates.features])
    reference = X[rng.permutation(len(X))[:NUM_REFERENCE]]
    order: list[int] = []
    for start, end in zip((0, *REFITS), (*REFITS, BUDGET), strict=True):
        model = Transfer(sources.shape[1], int(rng.integers(2**31)), reference)
        scores = model.fit(X[order], candidates.accuracy[order]).predict(X)
        scores[order] = -np.inf
        order += sort_descending(scores, rng)[: end - start].tolist()
    return np.array(order)


def evolution(candidates: Candidates, rng: np.random.Generator) -> Rows:
    """Aging evolution."""
    return _run(AgingEvolution(candidates.domain, rng, population_size=POPULATION_SIZE), candidates)


def robot(candidates: Candidates, rng: np.random.Generator) -> Rows:
    """RoBoT over the candidates with proxy scores."""
    scored = np.flatnonzero(np.isfinite(candidates.proxies).all(axis=1))

    def scorer(architectures: Sequence[Architecture]) -> Array:
        return candidates.proxies[[candidates.index[arch] for arch in architectures]]

    pool = SubsetDomain(candidates.space, [candidates.architectures[i] for i in scored.tolist()])
    strategy = Robot(pool, rng, scorer=scorer, budget=BUDGET, num_candidates=20 * len(scored))
    return _run(strategy, candidates)


def _run(strategy: Strategy, candidates: Candidates) -> Rows:
    """Run a strategy, one training at a time."""
    order: list[int] = []
    while len(order) < BUDGET and (proposed := strategy.ask(1)):
        order.append(candidates.index[proposed[0]])
        strategy.tell([Trial(proposed[0], float(candidates.accuracy[order[-1]]), None, None)])
    return np.array(order)


METHODS: dict[str, Method] = {
    "random": random_order,
    "deepest first": partial(depth_first, sign=1),
    "shallowest first": partial(depth_first, sign=-1),
    "evolution": evolution,
    "RoBoT": robot,
    "study, cold": partial(study, with_sources=False),
    "sources alone": sources_first,
    "study with sources": partial(study, with_sources=True),
}
"""Methods by name, the slowest last."""
NEED_SOURCES = ("sources alone", "study with sources")


def run_method(name: str, candidates: Candidates, seed: int) -> list[list[Any]]:
    """Run a method.

    Returns:
        Number of trainings and accuracy at each improvement of the best.
    """
    order = METHODS[name](candidates, np.random.default_rng([seed, *name.encode()]))
    assert len(set(order.tolist())) == len(order)
    best = np.maximum.accumulate(candidates.accuracy[order])
    first = np.flatnonzero(np.diff(best, prepend=-np.inf))
    return [[int(k) + 1, round(float(best[k]), 6)] for k in first]
