"""One run of genetic programming, resumable after every generation."""

import hashlib
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from deap import tools

from common.atomic_files import write_atomically
from common.errors import InputError
from common.files import read_json
from evolution.fitness import Fitness
from evolution.grammar import Grammar, RandomState, initial_state, random_state
from evolution.settings import EvolutionSettings
from proxies.evolved.expression import Expression

ELITES = 2
"""Best expressions that pass to the next generation unchanged."""


@dataclass(frozen=True)
class Generation:
    """Best expression of a generation.

    Attributes:
        number: number of the generation, 0 for the random ones.
        fitness: fitness of the best expression.
        expression: the best expression, JSON.
    """

    number: int
    fitness: float
    expression: Any


Progress = Callable[[Generation], None]


@dataclass
class Run:
    """State of a run.

    Attributes:
        population: trees, as the names of their nodes.
        random: state of the random generator.
        generations: the generations so far.
        front: by size, the fittest expression, JSON, of that size and its fitness without penalty, where it is above
            that of all smaller ones.
    """

    population: list[list[str]]
    random: RandomState
    generations: list[Generation] = field(default_factory=list)
    front: dict[int, tuple[float, Any]] = field(default_factory=dict)

    @property
    def best(self) -> Any:
        """The expression of the last generation, JSON."""
        return self.generations[-1].expression


class _Individual:
    def __init__(self, tree: Any, expression: Expression | None, fitness: float) -> None:
        self.tree, self.expression, self.fitness = tree, expression, fitness


def run(
    fitness: Fitness,
    settings: EvolutionSettings,
    seed: int,
    checkpoint: Path | None = None,
    progress: Progress = lambda generation: None,
) -> Run:
    """Evolve expressions.

    Args:
        fitness: fitness of the expressions, and the measurements.
        settings: settings of the evolution.
        seed: seed of all random draws.
        checkpoint: file that the state is written to after every generation; a run that it holds is continued.
        progress: called after every generation.

    Returns:
        The final state.

    Raises:
        InputError: the checkpoint is malformed, or one of another run.
    """
    terminals = fitness.benchmarks[0].terminals
    grammar = Grammar(terminals, settings.max_depth)
    identity = _identity(fitness, settings, seed)
    state = _read(checkpoint, identity) if checkpoint is not None and checkpoint.exists() else None
    if state is None:
        state = Run([], initial_state(seed))
        with random_state(state.random):
            trees = grammar.random_trees(settings.population)
        individuals = _evaluated(trees, grammar, fitness)
        _finish(state, individuals, grammar, fitness, checkpoint, identity, progress)
    else:
        individuals = _evaluated([grammar.from_json(names) for names in state.population], grammar, fitness)
    while len(state.generations) <= settings.generations:
        with random_state(state.random):
            trees = _offspring(individuals, grammar, settings)
        individuals = _evaluated(trees, grammar, fitness)
        _finish(state, individuals, grammar, fitness, checkpoint, identity, progress)
    return state


def _evaluated(trees: Sequence[Any], grammar: Grammar, fitness: Fitness) -> list[_Individual]:
    expressions = [grammar.expression(tree) for tree in trees]
    return [
        _Individual(tree, expression, -np.inf if expression is None else fitness(expression))
        for tree, expression in zip(trees, expressions, strict=True)
    ]


def _offspring(individuals: list[_Individual], grammar: Grammar, settings: EvolutionSettings) -> list[Any]:
    """Return the trees of the next generation: the elites, then children of the winners of tournaments."""
    elites = sorted(individuals, key=_order)[:ELITES]
    number = settings.population - len(elites)
    parents = tools.selTournament(individuals, number, settings.tournament, fit_attr="fitness")
    trees = [parent.tree for parent in parents]
    for i in range(1, number, 2):
        if _drawn(settings.crossover):
            trees[i - 1], trees[i] = grammar.crossed(trees[i - 1], trees[i])
    trees = [grammar.mutated(tree) if _drawn(settings.mutation) else tree for tree in trees]
    return [elite.tree for elite in elites] + trees


def _drawn(probability: float) -> bool:
    return random.random() < probability


def _order(individual: _Individual) -> tuple[float, int, str]:
    """Sort key: the fittest first, then the smallest, then by its text."""
    expression = individual.expression
    return (-individual.fitness, *((expression.size, expression.key) if expression else (0, "")))


def _finish(
    state: Run,
    individuals: list[_Individual],
    grammar: Grammar,
    fitness: Fitness,
    checkpoint: Path | None,
    identity: str,
    progress: Progress,
) -> None:
    """Record a generation, and write the checkpoint."""
    best = min(individuals, key=_order)
    if best.expression is None or not np.isfinite(best.fitness):
        raise InputError("population", len(individuals), "a larger one: no expression has a finite fitness")
    state.population = [grammar.to_json(individual.tree) for individual in individuals]
    state.generations.append(Generation(len(state.generations), best.fitness, best.expression.to_json()))
    for individual in sorted(individuals, key=_order):
        if individual.expression is not None and np.isfinite(individual.fitness):
            size, quality = individual.expression.size, fitness.quality(individual.expression)
            if size not in state.front or quality > state.front[size][0]:
                state.front[size] = quality, individual.expression.to_json()
    if checkpoint is not None:
        document = asdict(state) | {"identity": identity}
        write_atomically(checkpoint, json.dumps(document, separators=(",", ":"), allow_nan=False).encode())
    progress(state.generations[-1])


def _identity(fitness: Fitness, settings: EvolutionSettings, seed: int) -> str:
    """Hash of everything that a run depends on."""
    digest = hashlib.sha256(f"{settings.model_dump_json()} {seed}".encode())
    for each in fitness.benchmarks:
        digest.update(each.accuracy.tobytes() + each.strata.tobytes())
        for key, values in each.values.items():
            digest.update(key.encode() + values.tobytes())
    return digest.hexdigest()


def _read(checkpoint: Path, identity: str) -> Run:
    document = read_json(checkpoint, checkpoint.name)
    if not isinstance(document, dict) or document.get("identity") != identity:
        raise InputError(checkpoint.name, checkpoint, "the checkpoint of this evolution; remove it to begin anew")
    return Run(
        document["population"],
        document["random"],
        [Generation(**generation) for generation in document["generations"]],
        {int(size): (quality, expression) for size, (quality, expression) in document["front"].items()},
    )
