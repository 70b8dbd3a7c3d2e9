"""An evolution with its evidence: outer cross-validation, shuffled labels, and the expression of all architectures."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from common.errors import InputError
from common.processes import exit_with_parent
from ensemble.evaluation.metrics import rows_by_stratum
from evolution.comparison import HeldOut, evidence, mean_quality, quality
from evolution.fitness import Fitness
from evolution.genetic_programming import Run, run
from evolution.measurements import Measurements
from evolution.settings import EvolutionSettings
from evolution.splits import Folds
from proxies.evolved.expression import Expression, apply_operator, parse_expression
from proxies.evolved.operators import Array
from proxies.evolved.terminals import NUM_LAYERS, TENSORS
from proxies.evolved.types import Kind

FINAL = "all"
"""Name of the run on all architectures."""
Progress = Callable[[str, int, float, str], None]
"""Called with the name of a run, the number of its generation, the best fitness and the best expression, as JSON."""
Tests = Mapping[str, Measurements]


@dataclass(frozen=True)
class EvolutionReport:
    """Result of an evolution. All qualities are of architectures, or of benchmarks, that no choice was made on.

    Attributes:
        expression: evolved on all architectures of the training benchmarks.
        document: everything else, plain JSON.
    """

    expression: Expression
    document: dict[str, Any]


def evolve(
    benchmarks: Sequence[Measurements],
    settings: EvolutionSettings,
    tests: Sequence[Measurements] = (),
    checkpoints: Path | None = None,
    jobs: int = 1,
    progress: Progress = lambda run, generation, fitness, expression: None,
) -> EvolutionReport:
    """Evolve an expression, and estimate how well such expressions order architectures that they were not evolved on.

    The same evolution runs on the training rows of every fold, on all rows, and, as a control, on the training rows of
    every fold with accuracies that are shuffled within the strata.

    Args:
        benchmarks: training benchmarks. The fitness is the least over them.
        settings: settings.
        tests: benchmarks to test on, such as other data sets; of each, the architectures of the fold's test rows.
        checkpoints: folder of the state of the runs, from which an interrupted evolution is continued.
        jobs: number of processes.
        progress: called after every generation; with several processes, at the end of every run.

    Raises:
        InputError: the benchmarks have no terminal in common, too few architectures, or a checkpoint is of another
            evolution.
    """
    benchmarks, tests = _with_common_terminals(benchmarks, tests)
    folds = Folds([*benchmarks, *tests], settings.folds, settings.seed)
    rng = np.random.default_rng(settings.seed)
    tasks = {FINAL: list(benchmarks)}
    for i in range(settings.folds):
        train = [folds.train(each, i) for each in benchmarks]
        tasks[f"fold {i + 1}"] = train
        tasks[f"shuffled, fold {i + 1}"] = [each.with_accuracy(_shuffled(each, rng)) for each in train]
    if checkpoints is not None:
        checkpoints.mkdir(parents=True, exist_ok=True)
    runs = dict(_run_all(tasks, settings, checkpoints, jobs, progress))
    scores = {str(terminal.head): terminal.type for terminal in benchmarks[0].terminals if not terminal.arguments}
    types = scores | dict(TENSORS)
    parse = partial(parse_expression, terminals=types)
    fold_names = [f"fold {i + 1}" for i in range(settings.folds)]
    evolved = [parse(runs[name].best) for name in fold_names]
    hand_written = [best_hand_written(Fitness(tasks[name], *_fitness_options(settings))) for name in fold_names]
    held_out = {
        each.name: [HeldOut(folds.test(each, i), evolved[i], hand_written[i]) for i in range(settings.folds)]
        for each in (*benchmarks, *tests)
    }
    expression = parse(runs[FINAL].best)
    fold_runs = [runs[name] for name in fold_names]
    measure = _measure_of(held_out[benchmarks[0].name])
    document = {
        "settings": settings.model_dump(),
        "terminals": [terminal.to_json() for terminal in benchmarks[0].terminals],
        "benchmarks": {each.name: _summary(each, each in benchmarks) for each in (*benchmarks, *tests)},
        "held_out": {name: evidence(parts, settings.seed) for name, parts in held_out.items()},
        "folds": [
            {"expression": each.best, "hand_written": written.to_json(), "fitness": each.generations[-1].fitness}
            for each, written in zip(fold_runs, hand_written, strict=True)
        ],
        "shuffled": {
            each.name: mean_quality(
                [
                    quality(parse(runs[f"shuffled, fold {i + 1}"].best), folds.test(each, i))
                    for i in range(settings.folds)
                ]
            )
            for each in benchmarks
        },
        "front": _front(fold_runs, parse, measure),
        "generations": _generations(fold_runs, parse, measure),
        "expression": expression.to_json(),
    }
    return EvolutionReport(expression, document)


def best_hand_written(fitness: Fitness) -> Expression:
    """Return the hand-written proxy with the best fitness, without penalty, and the sign that it has it with.

    Raises:
        InputError: there is none.
    """
    proxies = [
        terminal
        for terminal in fitness.benchmarks[0].terminals
        if terminal.type is Kind.SCALAR and terminal.head != NUM_LAYERS
    ]
    candidates = [*proxies, *(apply_operator("neg", [proxy]) for proxy in proxies)]
    if not candidates:
        raise InputError("scores", "no hand-written proxy", "scores of one, to compare with")
    return max(candidates, key=fitness.quality)


def _with_common_terminals(
    benchmarks: Sequence[Measurements], tests: Sequence[Measurements]
) -> tuple[list[Measurements], list[Measurements]]:
    if not benchmarks:
        raise InputError("benchmarks", [], "at least one")
    names = [each.name for each in (*benchmarks, *tests)]
    if len(set(names)) < len(names):
        raise InputError("benchmarks", names, "benchmarks of different names")
    common = set.intersection(*({terminal.key for terminal in each.terminals} for each in (*benchmarks, *tests)))
    if not common:
        raise InputError("benchmarks", names, "benchmarks with scores of a common proxy")
    keys = [terminal.key for terminal in benchmarks[0].terminals if terminal.key in common]
    return [each.restricted(keys) for each in benchmarks], [each.restricted(keys) for each in tests]


def _shuffled(measurements: Measurements, rng: np.random.Generator) -> Array:
    """Return accuracies that are permuted within the strata."""
    accuracy = measurements.accuracy.copy()
    for rows in rows_by_stratum(measurements.strata).values():
        accuracy[rows] = accuracy[rng.permutation(rows)]
    return accuracy


def _fitness_options(settings: EvolutionSettings) -> tuple[Any, ...]:
    return settings.objective, settings.parts, settings.penalty, settings.seed


def _run_all(
    tasks: Mapping[str, list[Measurements]],
    settings: EvolutionSettings,
    checkpoints: Path | None,
    jobs: int,
    progress: Progress,
) -> Iterator[tuple[str, Run]]:
    """Yield the runs by name, with as many processes as asked for."""
    paths = {
        name: None if checkpoints is None else checkpoints / f"{name.replace(', ', '-').replace(' ', '-')}.json"
        for name in tasks
    }
    seeds = {name: settings.seed + i for i, name in enumerate(tasks)}
    if jobs == 1:
        for name, train in tasks.items():
            report = partial(_report, progress, name)
            yield name, run(Fitness(train, *_fitness_options(settings)), settings, seeds[name], paths[name], report)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=exit_with_parent) as pool:
        futures = {
            name: pool.submit(_run_one, train, settings, seeds[name], paths[name]) for name, train in tasks.items()
        }
        for name, future in futures.items():
            state = future.result()
            _report(progress, name, state.generations[-1])
            yield name, state


def _run_one(train: list[Measurements], settings: EvolutionSettings, seed: int, checkpoint: Path | None) -> Run:
    return run(Fitness(train, *_fitness_options(settings)), settings, seed, checkpoint)


def _report(progress: Progress, name: str, generation: Any) -> None:
    progress(name, generation.number, generation.fitness, json.dumps(generation.expression))


def _summary(measurements: Measurements, is_training: bool) -> dict[str, Any]:
    return {
        "role": "training" if is_training else "test",
        "architectures": len(measurements),
        "left_out": measurements.left_out,
        "strata": measurements.stratum_label,
    }


Measure = Callable[[int, Expression], dict[str, float | None]]
"""Held-out quality of an expression in a fold."""


def _measure_of(folds: Sequence[HeldOut]) -> Measure:
    """Return a function that measures each expression once in each fold."""
    known: dict[tuple[int, str], dict[str, float | None]] = {}

    def measure(fold: int, expression: Expression) -> dict[str, float | None]:
        if (fold, expression.key) not in known:
            known[fold, expression.key] = quality(expression, folds[fold].rows)
        return known[fold, expression.key]

    return measure


def _front(runs: Sequence[Run], parse: Callable[[Any], Expression], measure: Measure) -> list[dict[str, Any]]:
    """Held-out quality by complexity: of the fittest expression of each fold up to a size, the mean over the folds."""
    points: list[dict[str, Any]] = []
    for limit in sorted({size for each in runs for size in each.front}):
        candidates = [[each.front[size] for size in sorted(each.front) if size <= limit] for each in runs]
        if not all(candidates):
            continue
        fittest = [parse(max(each, key=lambda candidate: candidate[0])[1]) for each in candidates]
        held_out = mean_quality([measure(i, expression) for i, expression in enumerate(fittest)])
        if not points or held_out != _without_size(points[-1]):
            points.append({"size": limit, **held_out})
    return points


def _without_size(point: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in point.items() if name != "size"}


def _generations(runs: Sequence[Run], parse: Callable[[Any], Expression], measure: Measure) -> list[dict[str, Any]]:
    """Held-out quality of the best expression by generation, the mean over the folds."""
    points = []
    for generations in zip(*(each.generations for each in runs), strict=True):
        qualities = [measure(i, parse(generation.expression)) for i, generation in enumerate(generations)]
        points.append({"generation": generations[0].number, **mean_quality(qualities)})
    return points
