"""Data flow: architecture → network → proxies → features → ensemble → prediction."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from time import perf_counter
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from common.errors import ArchrankError
from ensemble import Prediction
from models import Architecture, EncodedSpace, InputError
from proxies import Score
from service.inference.cache import NO_CACHE
from service.inference.context import AppContext
from service.inference.plan import Plan, with_space
from service.inference.queries import PredictionQuery, Query, ScoreQuery
from service.inference.registry import LoadedEnsemble
from service.inference.results import (
    ItemResult,
    PredictedArchitecture,
    PredictionResult,
    ScoredArchitecture,
    ScoreResult,
)
from service.inference.scheduler import Requester
from service.observability import logs
from service.observability.metrics import Origin, RequestKind

log = logging.getLogger(__name__)
MAX_ARCHITECTURES_IN_LOOP = 64
"""Architectures that are parsed in the event loop; the time of more would be noticed by other requests."""
PREDICTIONS_PER_TURN = 512
"""Predictions of one turn in the thread of the ensembles, about 30 ms."""
Parsed = Sequence[Architecture | InputError]
"""Architectures, or the errors of malformed ones, in the order of the request."""


class NoValidArchitectureError(ArchrankError):
    """All architectures of a request are malformed.

    Attributes:
        errors: error of each architecture.
    """

    def __init__(self, errors: Sequence[InputError]) -> None:
        self.errors = list(errors)
        super().__init__("; ".join(map(str, self.errors[:3])))


async def predict(
    architectures: Sequence[Any],
    query: PredictionQuery,
    context: AppContext,
    requester: Requester,
    compare: bool = False,
) -> PredictionResult:
    """Predict architectures.

    Args:
        architectures: JSON data of the architectures.
        query: parameters of the prediction.
        context: resources.
        requester: the request.
        compare: compute the win probabilities.

    Raises:
        InputError: a name in the query is unknown, or the space lacks what it needs.
        NoValidArchitectureError: all architectures are malformed.
        QueueFullError: something has to be computed and the queue is full.
    """
    plan = await make_plan(architectures, query, context, requester)
    parser, started = context.limits.parser(plan.context), perf_counter()
    if len(architectures) > MAX_ARCHITECTURES_IN_LOOP:
        parsed = await asyncio.to_thread(parse_valid, architectures, parser)
    else:
        parsed = parse_valid(architectures, parser)
    items = await _run(plan, parsed, context, requester, "request")
    assert plan.ensemble is not None, "the plan of a prediction has an ensemble"
    predicted = cast("list[PredictedArchitecture | Exception]", items)
    matrix = None
    if compare and not plan.ensemble.ensemble.ranks_only:
        matrix = await context.run_brief(requester, win_probability, plan.ensemble, predicted)
    return PredictionResult(predicted, plan.ensemble, plan.context, perf_counter() - started, matrix)


async def score(
    architectures: Sequence[Any], query: ScoreQuery, context: AppContext, requester: Requester
) -> ScoreResult:
    """Score architectures. Arguments and exceptions are those of `predict`."""
    plan = await make_plan(architectures, query, context, requester)
    parsed, started = parse_valid(architectures, context.limits.parser(plan.context)), perf_counter()
    items = await _run(plan, parsed, context, requester, "request")
    return ScoreResult(items, plan.context, perf_counter() - started)


async def make_plan(architectures: Sequence[Any], query: Query, context: AppContext, requester: Requester) -> Plan:
    """Resolve a query of some architectures.

    A query of scores is resolved in the thread, as it may make a probe batch; ensembles have theirs.

    Args:
        architectures: JSON data of the architectures, which may name the space.
        query: parameters of the request.
        context: resources.
        requester: the request.

    Raises:
        InputError: a name in the query is unknown, or the space lacks what it needs.
    """
    query = with_space(query, architectures, context.ensembles)
    if isinstance(query, PredictionQuery):
        return Plan.from_query(query, context.ensembles, context.limits)
    return await context.run_brief(requester, Plan.from_query, query, context.ensembles, context.limits)


async def run_plan(
    plan: Plan,
    architectures: Sequence[Architecture],
    context: AppContext,
    requester: Requester,
    known: Mapping[Architecture, Mapping[str, Score]] | None = None,
) -> list[ItemResult]:
    """Score or predict each architecture independently, for a job or a search.

    Args:
        plan: the resolved query.
        architectures: the architectures.
        context: resources.
        requester: the job.
        known: known scores of each architecture; looked up if None.

    Returns:
        The result or error of each architecture, in their order.
    """
    return await _run(plan, architectures, context, requester, "job", known)


def parse(architectures: Sequence[Any], parser: Callable[[Any], Architecture]) -> list[Architecture | InputError]:
    """Parse each architecture. The error of a malformed one names its position."""
    parsed: list[Architecture | InputError] = []
    for i, data in enumerate(architectures):
        try:
            parsed.append(parser(data))
        except InputError as error:
            parsed.append(error.within(f"architectures[{i}]"))
    return parsed


def parse_valid(architectures: Sequence[Any], parser: Callable[[Any], Architecture]) -> list[Architecture | InputError]:
    """Parse each architecture. Raises `NoValidArchitectureError` if all are malformed."""
    parsed = parse(architectures, parser)
    errors = [item for item in parsed if isinstance(item, InputError)]
    if len(errors) == len(parsed):
        raise NoValidArchitectureError(errors)
    return parsed


@dataclass
class _Scored:
    """Scores of distinct architectures.

    Attributes:
        scores: scores by architecture and proxy.
        failures: errors of architectures without scores.
        computed: architectures for which something was computed.
    """

    scores: dict[Architecture, Mapping[str, Score]] = field(default_factory=dict)
    failures: dict[Architecture, Exception] = field(default_factory=dict)
    computed: set[Architecture] = field(default_factory=set)


async def _run(
    plan: Plan,
    parsed: Parsed,
    context: AppContext,
    requester: Requester,
    origin: Origin,
    known: Mapping[Architecture, Mapping[str, Score]] | None = None,
) -> list[ItemResult]:
    kind: RequestKind = "scores" if plan.ensemble is None else "predictions"
    context.metrics.record_requested(kind, origin, len(parsed))
    if plan.explain and not requester.is_batch:
        context.scheduler.check(requester)
    distinct = list(dict.fromkeys(item for item in parsed if isinstance(item, Architecture)))
    if known is None:
        known = await context.scorer.recall(distinct, plan.context, plan.proxies)
    scored = await _score(distinct, known, plan, context, requester)
    results: Mapping[Architecture, ItemResult]
    if plan.ensemble is None:
        results = {
            architecture: ScoredArchitecture(architecture, plan.context, scores, architecture not in scored.computed)
            for architecture, scores in scored.scores.items()
        }
    else:
        results = await _predict(plan.ensemble, scored, plan, context, requester)
    results = {**results, **scored.failures}
    items = [item if isinstance(item, InputError) else results[item] for item in parsed]
    outcomes = {"invalid": sum(isinstance(item, InputError) for item in parsed)}
    outcomes["failed"] = sum(isinstance(item, Exception) for item in items) - outcomes["invalid"]
    outcomes["succeeded"] = len(items) - sum(outcomes.values())
    context.metrics.record_completed(kind, origin, outcomes)
    return items


async def _score(
    architectures: Sequence[Architecture],
    known: Mapping[Architecture, Mapping[str, Score]],
    plan: Plan,
    context: AppContext,
    requester: Requester,
) -> _Scored:
    """Score distinct architectures. Raises `QueueFullError` if something has to be computed and the queue is full."""
    complete = [architecture for architecture in architectures if len(known[architecture]) == len(plan.proxies)]
    scored = _Scored({architecture: known[architecture] for architecture in complete})
    missing = [architecture for architecture in architectures if architecture not in scored.scores]
    if missing and not requester.is_batch:
        context.scorer.scheduler.check(requester)
    scored.computed.update(missing)

    async def score_one(architecture: Architecture) -> None:
        logs.bind(architecture=architecture.fingerprint)
        try:
            scored.scores[architecture] = await context.scorer.score(
                architecture, plan.context, plan.proxies, requester
            )
        except Exception as error:
            log.warning("an architecture could not be scored: %s", error)
            scored.failures[architecture] = error

    if missing:
        async with asyncio.TaskGroup() as group:
            for architecture in missing:
                group.create_task(score_one(architecture))
        in_order = [architecture for architecture in architectures if architecture in scored.scores]
        scored.scores = {architecture: scored.scores[architecture] for architecture in in_order}
    return scored


async def _predict(
    ensemble: LoadedEnsemble, scored: _Scored, plan: Plan, context: AppContext, requester: Requester
) -> dict[Architecture, ItemResult]:
    """Predict distinct architectures that have scores, and explain the predictions if requested.

    The result of an architecture whose prediction cannot be explained is the error.
    """
    # A prediction that depends on the set holds for this request only.
    cache = NO_CACHE if ensemble.ensemble.depends_on_set(plan.combiner) else context.cache
    keys = {
        architecture: ensemble.prediction_key(architecture, scores, plan.combiner, plan.context)
        for architecture, scores in scored.scores.items()
    }
    cached = cache.predictions.get(keys.values())
    predictions = {architecture: cached[key] for architecture, key in keys.items() if key in cached}
    missing = {
        architecture: scores for architecture, scores in scored.scores.items() if architecture not in predictions
    }
    context.metrics.record_cache_requests("prediction", memory=len(predictions), miss=len(missing))
    if missing:
        scored.computed.update(missing)
        new: dict[Architecture, Prediction] = {}
        size = len(missing) if cache is NO_CACHE else PREDICTIONS_PER_TURN
        for start in range(0, len(missing), size):
            part = dict(islice(missing.items(), start, start + size))
            if requester.is_batch and not requester.is_separate and plan.proxies and cache is not NO_CACHE:
                new |= await context.merged_predictions.predict(requester, ensemble, part, plan.combiner, plan.context)
            else:
                new |= await context.run_brief(requester, ensemble.predict, part, plan.combiner, plan.context)
        cache.predictions.put({keys[architecture]: prediction for architecture, prediction in new.items()})
        predictions |= new
    architectures = list(scored.scores)
    strata: dict[Architecture, int] = {}
    if isinstance(ensemble.space, EncodedSpace) and architectures:
        strata = dict(zip(architectures, ensemble.space.strata(architectures).tolist(), strict=True))

    async def result(architecture: Architecture) -> ItemResult:
        scores = scored.scores[architecture]
        explanation, mutations = None, None
        if plan.explain:
            try:
                explanation, mutations = await context.run(
                    requester, ensemble.explain, architecture, scores, plan.combiner
                )
            except InputError as error:
                return error
        return PredictedArchitecture(
            architecture,
            plan.context,
            scores,
            architecture not in scored.computed,
            ensemble,
            predictions[architecture],
            strata.get(architecture),
            explanation,
            mutations,
        )

    if not plan.explain:
        return {architecture: await result(architecture) for architecture in scored.scores}
    async with asyncio.TaskGroup() as group:
        tasks = {architecture: group.create_task(result(architecture)) for architecture in scored.scores}
    return {architecture: task.result() for architecture, task in tasks.items()}


def win_probability(
    ensemble: LoadedEnsemble, items: Sequence[PredictedArchitecture | Exception]
) -> NDArray[np.float64]:
    """Return the probability that each architecture has a higher accuracy than each other one.

    Args:
        ensemble: the ensemble that predicted.
        items: N predictions, or errors.

    Returns:
        (N, N), the probabilities for the architecture of the row; NaN for errors.
    """
    positions = [i for i, item in enumerate(items) if isinstance(item, PredictedArchitecture)]
    predicted = [item for item in items if isinstance(item, PredictedArchitecture)]
    matrix = np.full((len(items), len(items)), np.nan)
    matrix[np.ix_(positions, positions)] = ensemble.ensemble.win_probability(
        [item.architecture for item in predicted], [item.prediction for item in predicted]
    )
    return matrix
