"""Request → architecture → network → passes → proxies → features → ensemble → answer."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

from models import Architecture, InputError
from proxies import proxy_versions
from service.api.problems import ProblemError
from service.api.schemas import (
    FailedItem,
    PredictionRequest,
    PredictionResponse,
    ScoredItem,
    ScoreRequest,
    ScoreResponse,
)
from service.inference import outputs as answers
from service.inference.cache import NOTHING
from service.inference.context import AppContext
from service.inference.outputs import EnsembleOutput, Results
from service.inference.registry import EnsembleRegistry, LoadedEnsemble, Probe
from service.inference.scheduler import Requester
from service.observability import logs
from service.observability.metrics import RequestKind
from service.storage import Basis

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """What is asked of each architecture.

    Attributes:
        probe: what networks are measured with.
        proxies: those to compute, their versions by name.
        model: whose prediction is asked for; None where scores are all.
        combiner: whose estimate is the headline; None for the ensemble's own choice.
        explain: whether reasons and edits are asked for.
        basis: what a job of it is bound to.
    """

    probe: Probe
    proxies: Mapping[str, str]
    basis: Basis
    model: LoadedEnsemble | None = None
    combiner: str | None = None
    explain: bool = False

    @classmethod
    def of(cls, request: PredictionRequest | ScoreRequest, library: EnsembleRegistry) -> "Plan":
        """Raises `InputError` where the request names what is not there."""
        if isinstance(request, ScoreRequest):
            return cls._with(request, library.models.get(library.default), library)
        return cls._with(request, library.model(request.ensemble), library)

    @classmethod
    def bound(cls, request: PredictionRequest | ScoreRequest, basis: Basis, library: EnsembleRegistry) -> "Plan":
        """The plan of a job. Raises `ProblemError` where what the job is bound to is not there any more."""
        model = None if basis.ensemble is None else library.models.get(basis.ensemble)
        if model is None and (basis.ensemble is not None or library.models):
            raise _unbound(f"ensemble {basis.ensemble!r} is not there" if basis.ensemble else "there are ensembles now")
        if model is not None and model.hash != basis.ensemble_hash:
            raise _unbound(f"ensemble {model.name!r} has hash {model.hash}, not {basis.ensemble_hash}")
        asked = basis.proxies or {}
        changed = [name for name, version in asked.items() if proxy_versions().get(name) != version]
        if changed:
            raise _unbound(f"other versions are here of the proxies {', '.join(changed)}")
        return cls._with(request.model_copy(update={"proxies": list(asked)}), model, library)

    @classmethod
    def _with(
        cls, request: PredictionRequest | ScoreRequest, model: LoadedEnsemble | None, library: EnsembleRegistry
    ) -> "Plan":
        probe = library.probe if model is None else model.probe
        probe = probe if request.seed is None else replace(probe, seed=request.seed)
        name, hash_ = (None, None) if model is None else (model.name, model.hash)
        if model is None or isinstance(request, ScoreRequest):
            proxies = proxy_versions(request.proxies)
            return cls(probe, proxies, Basis(name, hash_, proxies))
        proxies = proxy_versions(model.proxies if request.proxies is None else request.proxies)
        basis = Basis(name, hash_, proxies)
        return cls(probe, proxies, basis, model, model.combiner(request.combiner), request.explain)

    async def each(self, results: Results, context: AppContext, asker: Requester) -> Sequence[ScoredItem | FailedItem]:
        """The answer for each architecture by itself, for whoever asks."""
        kind: RequestKind = "scores" if self.model is None else "predictions"
        context.metrics.record_requested(kind, "job", len(results.read))
        await _score(results, self, context, asker)
        if self.model is None:
            context.metrics.record_completed(kind, "job", results.outcomes)
            return answers.scored(results, self.probe)
        said = await _estimate(results, self, self.model, context, asker)
        context.metrics.record_completed(kind, "job", results.outcomes)
        return answers.estimated(results, said, self.model, self.probe)


async def predict(request: PredictionRequest, context: AppContext, asker: Requester) -> PredictionResponse:
    """The answer to the request.

    Raises `InputError` or `ProblemError` before any of it is done, and `BusyError` where too many wait.
    """
    plan = Plan.of(request, context.library)
    results, started = read(request.architectures, context.limits.reader(plan.probe)), perf_counter()
    context.metrics.record_requested("predictions", "request", len(results.read))
    if plan.explain:
        context.turns.check(asker)
    await _score(results, plan, context, asker)
    assert plan.model is not None, "a prediction has a model"
    said = await _estimate(results, plan, plan.model, context, asker)
    beats = await context.quick(asker, answers.beats, results, said, plan.model) if request.compare else None
    context.metrics.record_completed("predictions", "request", results.outcomes)
    return answers.predictions(results, said, beats, plan.model, plan.probe, perf_counter() - started)


async def score_all(request: ScoreRequest, context: AppContext, asker: Requester) -> ScoreResponse:
    """As `predict`, but the answer is the proxies' scores."""
    plan = Plan.of(request, context.library)
    results, started = read(request.architectures, context.limits.reader(plan.probe)), perf_counter()
    context.metrics.record_requested("scores", "request", len(results.read))
    await _score(results, plan, context, asker)
    context.metrics.record_completed("scores", "request", results.outcomes)
    return answers.scores(results, plan.probe, perf_counter() - started)


def _unbound(why: str) -> ProblemError:
    return ProblemError(409, f"the job is bound to what it was posted to, and {why}: post what is left as another job")


def read(texts: Sequence[Any], reader: Callable[[Any], Architecture]) -> Results:
    """Each architecture, or what is wrong with it. Raises `ProblemError` where all are wrong."""
    read = parsed(texts, reader)
    errors = [one for one in read if isinstance(one, InputError)]
    if len(errors) == len(read):
        raise ProblemError(422, "; ".join(map(str, errors[:3])), errors)
    return Results(read)


def parsed(texts: Sequence[Any], reader: Callable[[Any], Architecture]) -> list[Architecture | InputError]:
    """Each architecture, or what is wrong with it."""
    read: list[Architecture | InputError] = []
    for i, text in enumerate(texts):
        try:
            read.append(reader(text))
        except InputError as error:
            read.append(error.within(f"architectures[{i}]"))
    return read


async def _score(results: Results, plan: Plan, context: AppContext, asker: Requester) -> None:
    """Every architecture once. What fails stays with its architecture.

    Raises `BusyError` where something has to be computed and too many wait, unless the asker is patient.
    """
    known = await context.scorer.recall(results.architectures, plan.probe, plan.proxies)
    results.scores.update({arch: scores for arch, scores in known.items() if len(scores) == len(plan.proxies)})
    waiting = [arch for arch in results.architectures if arch not in results.scores]
    if waiting and not asker.patient:
        context.scorer.turns.check(asker)
    results.computed.update(waiting)

    async def one(arch: Architecture) -> None:
        logs.bind(architecture=arch.fingerprint)
        try:
            results.scores[arch] = await context.scorer.score(arch, plan.probe, plan.proxies, asker)
        except Exception as error:
            log.warning("an architecture could not be scored: %s", error)
            results.failures[arch] = error

    if waiting:
        async with asyncio.TaskGroup() as group:
            for arch in waiting:
                group.create_task(one(arch))


async def _estimate(
    results: Results, plan: Plan, model: LoadedEnsemble, context: AppContext, asker: Requester
) -> EnsembleOutput:
    """What the ensemble says of the architectures that have scores, and why if that is asked for."""
    alone = model.ensemble.depends_on_set(plan.combiner)  # what is said then holds for this request alone
    memory = NOTHING if alone else context.memory
    scores = {arch: results.scores[arch] for arch in results.architectures if arch in results.scores}
    keys = {arch: model.key(arch, own, plan.combiner, plan.probe) for arch, own in scores.items()}
    found = memory.predictions.get(keys.values())
    missing = {arch: scores[arch] for arch, key in keys.items() if key not in found}
    context.metrics.record_cache_requests("prediction", memory=len(keys) - len(missing), miss=len(missing))
    if missing:
        results.computed.update(missing)
        new = await context.quick(asker, model.predict, missing, plan.combiner, plan.probe)
        memory.predictions.put({keys[arch]: one for arch, one in new.items()})
        found |= {keys[arch]: one for arch, one in new.items()}
    said = EnsembleOutput({arch: found[key] for arch, key in keys.items()})

    async def explained(arch: Architecture) -> None:
        explanation, edits = await context.compute(asker, model.explained, arch, scores[arch], plan.combiner)
        said.explanations[arch], said.edits[arch] = explanation, edits

    if plan.explain:
        async with asyncio.TaskGroup() as group:
            for arch in said.predictions:
                group.create_task(explained(arch))
    return said
