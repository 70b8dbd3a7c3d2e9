"""Ways to choose what is trained next. Each gives the order in which it would have trained the candidates."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks.replay.candidates import FITTED, Array, Candidates, Rows
from ensemble.combiners.ridge import Ridge
from search import Trial, front, get_strategy

Method = Callable[[Candidates, np.random.Generator, int], Rows]
"""From candidates, randomness and a budget to the places of those trained, first to last."""

FIRST, EVERY = 20, 10
"""Of a search that knows no benchmark: trainings before the first fit, and between fits."""


def highest_first(values: Array, rng: np.random.Generator) -> Rows:
    """Places, the highest value first, equal ones in random order, NaN last."""
    return np.lexsort((rng.random(len(values)), -np.where(np.isnan(values), -np.inf, values)))


def shuffled(candidates: Candidates, rng: np.random.Generator, budget: int) -> Rows:
    """Random search."""
    return rng.permutation(len(candidates))[:budget]


def deepest_first(candidates: Candidates, rng: np.random.Generator, budget: int) -> Rows:
    """Counting layers, and nothing else."""
    return highest_first(candidates.layers.astype(float), rng)[:budget]


def best_first(candidates: Candidates, rng: np.random.Generator, budget: int) -> Rows:
    """In the order of the predictions that strategies are guided by."""
    return highest_first(candidates.guides[FITTED[0]], rng)[:budget]


def cold(candidates: Candidates, rng: np.random.Generator, budget: int) -> Rows:
    """Without a benchmark: a few at random, then a few at a time the best by a ridge fitted on those trained so far."""
    order = list(rng.permutation(len(candidates))[:FIRST])
    X = candidates.table.values
    while len(order) < min(budget, len(candidates)):
        predicted = Ridge().fit(X[order], candidates.accuracy[order]).predict(X)
        predicted[order] = -np.inf
        order += list(highest_first(predicted, rng)[: min(EVERY, len(candidates) - len(order))])
    return np.array(order[:budget])


def fronts_first(candidates: Candidates, rng: np.random.Generator, budget: int) -> Rows:
    """The front of predicted accuracy against FLOPs first, then the front of the rest, and so on."""
    left = _trials(candidates, candidates.guides[FITTED[0]])
    order: list[int] = []
    while len(order) < min(budget, len(candidates)):
        best = front(left)
        order += [candidates.place[best[i].architecture] for i in rng.permutation(len(best))]
        chosen = {trial.architecture for trial in best}
        left = [trial for trial in left if trial.architecture not in chosen]
    return np.array(order[:budget])


def searched(
    candidates: Candidates, rng: np.random.Generator, budget: int, name: str, guided: bool = False, **settings: Any
) -> Rows:
    """By one of our strategies, one training at a time."""
    strategy = get_strategy(name)(candidates.moves, rng, candidates.guide if guided else None, **settings)
    trials = _trials(candidates, candidates.accuracy)
    order: list[int] = []
    while len(order) < budget and (asked := strategy.ask(1)):
        order += [candidates.place[arch] for arch in asked]
        strategy.tell([trials[order[-1]]])
    return np.array(order)


METHODS: dict[str, Method] = {
    "random": shuffled,
    "deepest first": deepest_first,
    "predicted best first": best_first,
    "cold start": cold,
    "evolution": partial(searched, name="evolution"),
    "evolution, pool 16": partial(searched, name="evolution", pool=16),
    "warm-up": partial(searched, name="warm-up", guided=True),
    "move": partial(searched, name="move", guided=True),
    "move, pool 16": partial(searched, name="move", guided=True, pool=16),
    "local": partial(searched, name="local"),
    "local, guided": partial(searched, name="local", guided=True),
}
"""Judged by the best accuracy so far."""

COSTED: dict[str, Method] = {
    "random": shuffled,
    "pareto": partial(searched, name="pareto"),
    "pareto, pool 16": partial(searched, name="pareto", pool=16),
    "predicted fronts first": fronts_first,
}
"""Judged by the front so far."""


def _trials(candidates: Candidates, accuracy: Array) -> list[Trial]:
    told = zip(candidates.architectures, accuracy.tolist(), candidates.flops.tolist(), strict=True)
    return [Trial(arch, value, flops, 0) for arch, value, flops in told]
