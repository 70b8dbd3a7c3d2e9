"""Search that trains: `archrank search --objective`, with a study behind it."""

import importlib
import os
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import typer
from numpy.typing import NDArray

from common.atomic_files import check_new_file, json_line
from common.errors import InputError, check_seed
from common.strict_json import loads
from models import Architecture, BuildableSpace, EditableSpace, SearchSpace, get_space, require, space_names
from proxies import proxy_versions
from proxies.runner import score_batch
from search import (
    CommandObjective,
    FunctionObjective,
    Objective,
    SpaceDomain,
    TrainingLog,
    TrainingResult,
    get_strategy,
    run_trainings,
)
from search.journal import Journal
from search.strategies.study_search import Suggest
from search.training import Check, Observe, ProgressCallback, check_trainings
from service.cli import search_training_results
from study import Observation, StudyDefinition, StudyMetric
from study.folder import LocalStudy
from study.parsing import parse_observation
from study.predictor import StudyPredictor
from study.sources import source_names

LOG, STUDY, TRAININGS, PROXY_SCORES = "search.jsonl", "study", "trainings", "proxies.jsonl"
COMMAND, FUNCTION = "command:", "python:"
NUM_CANDIDATES, NUM_PARENTS, NUM_MUTATIONS = 1000, 10, 100
"""Candidates of suggestions: random ones, and mutations of each of the best trained ones."""
MAX_FAILURE_PROBABILITY = 0.5


@dataclass(frozen=True)
class Options:
    """Options of the command, see its help."""

    objective: str
    strategy: str
    budget: int
    slots: int
    timeout: float | None
    space: str | None
    settings: dict[str, Any]
    fixed: dict[str, Any]
    max_flops: int | None
    max_params: int | None
    proxies: list[str]
    num_candidates: int
    strategy_options: dict[str, Any]
    seed: int
    metric: StudyMetric
    task: str
    sources: list[str] | None
    ensembles_dir: Path


def search_by_training(options: Options, folder: Path, progress: ProgressCallback) -> dict[str, Any]:
    """Search, and write the results.

    Returns:
        The content of `result.json`; its `state` is `done`, `exhausted` or `interrupted`.
    """
    check_trainings(options.budget, options.slots)
    check_seed(options.seed)
    if options.space is None:
        raise InputError("space", None, "one of " + ", ".join(space_names()))
    space = get_space(options.space, **options.settings)
    domain = SpaceDomain(space, options.fixed, options.max_flops, options.max_params)
    strategy_class = get_strategy(options.strategy)
    objective = make_objective(options.objective, space, folder / TRAININGS, options.timeout)
    for name in (LOG, *search_training_results.FILES):
        check_new_file(folder / name)
    names = source_names(space, options.ensembles_dir) if options.sources is None else tuple(options.sources)
    definition = StudyDefinition(
        options.task or folder.name, space.name, space.settings, options.task, options.metric, names
    )
    header = {
        "objective": options.objective,
        "strategy": options.strategy,
        "space": space.name,
        "settings": space.settings,
        "fixed": options.fixed,
        "max_flops": options.max_flops,
        "max_params": options.max_params,
        "seed": options.seed,
        "study": definition.to_json(),
        **options.strategy_options,
    }
    if options.strategy == "robot":
        header |= {"proxies": options.proxies, "num_candidates": options.num_candidates, "budget": options.budget}
    with TrainingLog.open(folder / LOG, header, space):
        study = LocalStudy.create(folder / STUDY, definition, options.ensembles_dir)
    arguments = dict(options.strategy_options)
    if options.strategy == "study":
        arguments["suggest"] = make_suggest(study, domain)
    if options.strategy == "robot":
        scorer = make_scorer(space, options.proxies, options.seed, folder / PROXY_SCORES)
        arguments |= {"scorer": scorer, "budget": options.budget, "num_candidates": options.num_candidates}
    try:
        with TrainingLog.open(folder / LOG, header, space) as log:
            strategy = strategy_class(domain, np.random.default_rng(options.seed), _surrogate(study), **arguments)
            finished = run_trainings(
                strategy,
                objective,
                log,
                options.budget,
                options.slots,
                sign=options.metric.sign,
                check=_checker(study),
                cost=domain.cost,
                observe=_observer(study),
                progress=progress,
            )
            state = "done" if finished else "exhausted"
    except KeyboardInterrupt:
        state = "interrupted"
    with TrainingLog.open(folder / LOG, header, space) as log:
        return search_training_results.write_results(
            folder, header, log, domain, options.metric, budget=options.budget, state=state
        )


def make_objective(text: str, space: SearchSpace[Any], folder: Path, timeout: float | None) -> Objective:
    """Objective of the option `--objective`.

    Raises:
        InputError: it is neither a command nor a function that can be imported, or there is a time-out for a function.
    """
    if text.startswith(COMMAND):
        return CommandObjective(text.removeprefix(COMMAND), space, folder, timeout)
    module, separator, name = text.removeprefix(FUNCTION).partition(":")
    if not text.startswith(FUNCTION) or not separator:
        raise InputError("objective", text, "command:COMMAND or python:package.module:function")
    if timeout is not None:
        raise InputError("timeout", timeout, "nothing with python: a function in this process cannot be stopped")
    if (here := os.getcwd()) not in sys.path:  # as `python -m` does
        sys.path.insert(0, here)
    try:
        function = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError("objective", text, f"a function that can be imported ({error})") from error
    if not callable(function):
        raise InputError("objective", text, f"a function, {name} is {type(function).__name__}")
    return FunctionObjective(function)


def make_suggest(study: LocalStudy, domain: SpaceDomain) -> Suggest:
    """Suggestions for a search: candidates of the domain with the highest predicted scores.

    Those that probably fail to train come last. The study's own suggestions also explore, to learn the whole order;
    a search wants the best soon.
    """

    def suggest(number: int, exclude: Collection[Architecture], seed: int) -> list[Architecture]:
        rng, predictor = np.random.default_rng(seed), study.predictor()
        candidates = [domain.sample(rng) for _ in range(NUM_CANDIDATES)]
        if isinstance(domain.space, EditableSpace):
            best = predictor.training_set.best(NUM_PARENTS, study.definition.metric.sign)
            candidates += [domain.mutate(arch, rng) for arch, _ in best for _ in range(NUM_MUTATIONS)]
        known = predictor.observed.union(exclude)
        candidates = [arch for arch in dict.fromkeys(candidates) if arch not in known]
        if not candidates:
            return []
        failures = predictor.failure_probabilities(candidates)
        fails = np.zeros(len(candidates), dtype=bool) if failures is None else failures > MAX_FAILURE_PROBABILITY
        order = np.lexsort((-predictor.scores(candidates), fails))  # stable: equal scores stay in random order
        return [candidates[i] for i in order[:number].tolist()]

    return suggest


def _surrogate(study: LocalStudy) -> Callable[[Sequence[Architecture]], Sequence[float]] | None:
    """Scores of the study before its first observation: of its sources; None without sources."""
    if not study.definition.sources:
        return None
    predictor = StudyPredictor.fit(study.definition, study.space, [], study.sources)
    return lambda architectures: [prediction.score for prediction in predictor.predict(architectures)]


def _observation(architecture: Architecture, result: TrainingResult) -> Observation:
    error = result.error if result.value is not None or result.error is not None else "the training failed"
    return Observation(architecture, result.value, error, result.seconds, result.epochs, result.curve)


def _checker(study: LocalStudy) -> Check:
    """Callback that raises `InputError` for a training that the study cannot hold."""

    def check(architecture: Architecture, result: TrainingResult) -> None:
        data = _observation(architecture, result).to_json(study.space)
        parse_observation(study.space, study.definition.metric, data, "result")

    return check


def _observer(study: LocalStudy) -> Observe:
    """Callback that adds trainings to a study; the same training counts once."""

    def observe(trainings: Sequence[tuple[Architecture, TrainingResult]]) -> None:
        study.observe([_observation(architecture, result) for architecture, result in trainings])

    return observe


def make_scorer(
    space: SearchSpace[Any], names: list[str] | None, seed: int, path: Path
) -> Callable[[Sequence[Architecture]], NDArray[np.float64]]:
    """Scorer of RoBoT: proxies on the default probe batch, computed here and kept in a file.

    Raises:
        CapabilityError: the space has no networks.
        UnknownNameError: no proxy has one of the names.
    """
    buildable = require(space, BuildableSpace)
    versions = proxy_versions(names)

    def scorer(architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        spec = buildable.task.batch_spec()
        batch = spec.make(buildable.task)
        header = {"proxies": versions, "batch_fingerprint": batch.fingerprint, "seed": seed}
        with Journal.open(path, header) as journal:
            rows = [loads(line, max_depth=3) for line in journal.lines]
            known = {row["fingerprint"]: row["scores"] for row in rows}
            for done, arch in enumerate(architectures, start=1):
                if arch.fingerprint not in known:
                    network = buildable.build(arch, seed=seed)
                    scores = score_batch(network, batch, list(versions), seed)
                    known[arch.fingerprint] = {name: score.feature for name, score in scores.items()}
                    row = {"fingerprint": arch.fingerprint, "scores": known[arch.fingerprint]}
                    journal.append([json_line(row).decode().rstrip("\n")])
                    if done % 50 == 0:
                        typer.echo(f"proxies of {done} of {len(architectures)} candidates", err=True)
        values = [[known[arch.fingerprint][name] for name in versions] for arch in architectures]
        return np.array(values, dtype=np.float64)

    return scorer
