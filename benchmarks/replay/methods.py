"""Search methods: each returns the order in which it trains the candidates."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks.replay.candidates import COMBINERS, Array, Candidates, Rows
from ensemble.combiners.ridge import Ridge
from search import Trial, get_strategy, pareto_front

Method = Callable[[Candidates, np.random.Generator, int], Rows]
"""Function of candidates, random generator and budget that returns indices of candidates in training order."""

NUM_INITIAL, REFIT_INTERVAL = 20, 10
"""Cold start: random trainings before the first fit, and trainings between fits."""


def sort_descending(values: Array, rng: np.random.Generator) -> Rows:
    """Indices by descending value; ties in random order, NaN last."""
    return np.lexsort((rng.random(len(values)), -np.where(np.isnan(values), -np.inf, values)))


def random_order(candidates: Candidates, rng: np.random.Generator, budget: int) -> Rows:
    """Random search."""
    return rng.permutation(len(candidates))[:budget]


def deepest_first(candidates: Candidates, rng: np.random.Generator, budget: int) -> Rows:
    """By descending number of layers."""
    return sort_descending(candidates.depths.astype(float), rng)[:budget]


def predicted_best_first(candidates: Candidates, rng: np.random.Generator, budget: int) -> Rows:
    """By descending prediction of the strategies' surrogate."""
    return sort_descending(candidates.surrogates[COMBINERS[0]], rng)[:budget]


def cold_start(candidates: Candidates, rng: np.random.Generator, budget: int) -> Rows:
    """Random trainings, then batches of the best by a ridge regression fitted on the trainings so far."""
    order = list(rng.permutation(len(candidates))[:NUM_INITIAL])
    X = candidates.table.values
    while len(order) < min(budget, len(candidates)):
        predicted = Ridge().fit(X[order], candidates.accuracy[order]).predict(X)
        predicted[order] = -np.inf
        order += list(sort_descending(predicted, rng)[: min(REFIT_INTERVAL, len(candidates) - len(order))])
    return np.array(order[:budget])


def predicted_fronts_first(candidates: Candidates, rng: np.random.Generator, budget: int) -> Rows:
    """Pareto front of predicted accuracy against FLOPs, then the front of the remaining candidates, and so on."""
    remaining = _trials(candidates, candidates.surrogates[COMBINERS[0]])
    order: list[int] = []
    while len(order) < min(budget, len(candidates)):
        front = pareto_front(remaining)
        order += [candidates.index[front[i].architecture] for i in rng.permutation(len(front))]
        trained = {trial.architecture for trial in front}
        remaining = [trial for trial in remaining if trial.architecture not in trained]
    return np.array(order[:budget])


def run_strategy(
    candidates: Candidates,
    rng: np.random.Generator,
    budget: int,
    name: str,
    use_surrogate: bool = False,
    **settings: Any,
) -> Rows:
    """A strategy of `search`, one training at a time."""
    surrogate = candidates.surrogate if use_surrogate else None
    strategy = get_strategy(name)(candidates.domain, rng, surrogate, **settings)
    trials = _trials(candidates, candidates.accuracy)
    order: list[int] = []
    while len(order) < budget and (proposed := strategy.ask(1)):
        order += [candidates.index[arch] for arch in proposed]
        strategy.tell([trials[order[-1]]])
    return np.array(order)


METHODS: dict[str, Method] = {
    "random": random_order,
    "deepest first": deepest_first,
    "predicted best first": predicted_best_first,
    "cold start": cold_start,
    "evolution": partial(run_strategy, name="evolution"),
    "evolution, population 16": partial(run_strategy, name="evolution", population_size=16),
    "warm-up": partial(run_strategy, name="warm-up", use_surrogate=True),
    "move": partial(run_strategy, name="move", use_surrogate=True),
    "move, population 16": partial(run_strategy, name="move", use_surrogate=True, population_size=16),
    "local": partial(run_strategy, name="local"),
    "local, surrogate": partial(run_strategy, name="local", use_surrogate=True),
}
"""Methods that are measured by the best accuracy."""

PARETO_METHODS: dict[str, Method] = {
    "random": random_order,
    "pareto": partial(run_strategy, name="pareto"),
    "pareto, population 16": partial(run_strategy, name="pareto", population_size=16),
    "predicted fronts first": predicted_fronts_first,
}
"""Methods that are measured by the hypervolume."""

SEED_TEXTS = {
    "evolution, population 16": "evolution, pool 16",
    "move, population 16": "move, pool 16",
    "local, surrogate": "local, guided",
    "pareto, population 16": "pareto, pool 16",
}
"""Texts that seed a method's random generator, where not its name: those that gave the published curves."""


def _trials(candidates: Candidates, accuracy: Array) -> list[Trial]:
    columns = zip(candidates.architectures, accuracy.tolist(), candidates.flops.tolist(), strict=True)
    return [Trial(arch, value, flops, 0) for arch, value, flops in columns]
