"""Studies: predictors that learn a user's own task while a search runs."""

import asyncio
import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from common.errors import InputError
from models import Architecture, SearchSpace
from service.api.authentication import Caller
from service.api.deps import (
    DIGITS,
    AuthenticatedRoute,
    CallerDep,
    ContextDep,
    JobRoute,
    LargeRoute,
    RequesterDep,
    SettingsDep,
    StoreDep,
    StudyFitsDep,
    WaitDep,
    check_number,
    result_within,
)
from service.api.documents import validated_items
from service.api.page_sizes import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE
from service.api.problems import ProblemError, problem_responses
from service.api.routes.jobs import PRINTABLE, IdempotencyKey
from service.api.study_documents import observed_items, predicted_item, study_document
from service.api.study_schemas import (
    AddedObservations,
    ObservationPage,
    ObservationsRequest,
    StudyDocument,
    StudyExport,
    StudyImport,
    StudyList,
    StudyPredictionRequest,
    StudyPredictions,
    StudyRequest,
    StudySuggestions,
    SuggestionRequest,
)
from service.inference.limits import check_space
from service.inference.pipeline import parse_valid
from service.inference.registry import EnsembleRegistry
from service.storage import NewObservation, NotFoundError, Store, StoredStudy, SuggestionKey
from service.storage.validation import to_json
from service.studies.definitions import check_imported_sources, resolve_sources, resolve_space
from service.studies.fits import Fit, StudyFitError, StudyFits, StudyState, describe
from service.studies.suggesting import suggest_reserved
from study import (
    Observation,
    StudyDefinition,
    StudyMetric,
    StudyPrediction,
    export_study,
    import_study,
    parse_observations,
)

router = APIRouter(prefix="/v1", tags=["studies"], route_class=AuthenticatedRoute)
stored_router = APIRouter(prefix="/v1", tags=["studies"], route_class=JobRoute)
answer_router = APIRouter(prefix="/v1", tags=["studies"], route_class=LargeRoute)
PREDICTIONS_PER_TURN = 100
"""Architectures that are predicted before other requests have their turn."""
StudyId = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
ObservationId = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
BODY_PROBLEMS = (400, 408, 413, 415, 422, 503)

CREATED = problem_responses(*BODY_PROBLEMS, 409) | {200: {"model": StudyDocument, "description": "The study exists"}}


@stored_router.post(
    "/studies",
    status_code=201,
    response_model=StudyDocument,
    responses=CREATED,
)
async def create_study(
    body: StudyRequest,
    context: ContextDep,
    request: Request,
    response: Response,
) -> StudyDocument:
    """Create a study, or open the caller's study of this name. `Location` is its path.

    Status 201 for a new study, 200 for an existing one of the same definition; the observations are added either way.
    """
    store: Store = request.app.state.store
    same_name = await asyncio.to_thread(store.studies.list, request.state.caller.id, body.name)
    definition, space = _definition(body, same_name[0] if same_name else None, context.ensembles)
    observations = await asyncio.to_thread(parse_observations, space, definition.metric, body.observations)
    return await _create(request, response, definition, space, observations)


@stored_router.post(
    "/studies/import",
    status_code=201,
    response_model=StudyDocument,
    responses=CREATED,
)
async def import_exported_study(
    body: StudyImport,
    context: ContextDep,
    request: Request,
    response: Response,
) -> StudyDocument:
    """Create a study from the document of an export, or add its observations to the study of the same definition."""
    definition, space, observations = await asyncio.to_thread(import_study, body.model_dump())
    check_imported_sources(definition.sources, space.name, context.ensembles)
    return await _create(request, response, definition, space, observations)


@router.get("/studies", responses=problem_responses(422, 503))
async def list_studies(
    store: StoreDep,
    fits: StudyFitsDep,
    caller: CallerDep,
    name: Annotated[str | None, Query(min_length=1, max_length=200, pattern=PRINTABLE)] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE), DIGITS] = 100,
) -> StudyList:
    """List studies, newest first, without the curves of their quality."""

    def read() -> list[Any]:
        studies = store.studies.list(caller.visible_owner, name, limit)
        return [(study, store.studies.summarize(study.id, _maximizes(study))) for study in studies]

    documents = [
        study_document(study, summary, fits.known(study.id), with_curve=False)
        for study, summary in await asyncio.to_thread(read)
    ]
    return StudyList(studies=documents)


@router.get("/studies/{id}", responses=problem_responses(404, 422, 503))
async def get_study(
    id: StudyId,  # noqa: A002
    request: Request,
    store: StoreDep,
    fits: StudyFitsDep,
    caller: CallerDep,
    wait: WaitDep,
) -> StudyDocument:
    """Return the state of a study. Refits it in the background if there are observations that the last fit lacks.

    With `Prefer: wait=N`, the response waits up to N seconds for a fit to all observations and for its quality.
    """
    study = await _visible_study(store, id, caller)
    state = fits.refresh(study)
    await result_within(wait, request, state.wait(study.revision))
    return await _document(store, study, state)


@router.delete("/studies/{id}", status_code=204, responses=problem_responses(404, 422, 503))
async def delete_study(id: StudyId, store: StoreDep, fits: StudyFitsDep, caller: CallerDep) -> None:  # noqa: A002
    """Delete a study and its observations."""
    study = await _visible_study(store, id, caller)
    await asyncio.to_thread(store.studies.delete, study.id)
    fits.forget(study.id)


@router.get("/studies/{id}/export", responses=problem_responses(404, 422, 503))
async def export_one_study(id: StudyId, store: StoreDep, caller: CallerDep) -> StudyExport:  # noqa: A002
    """Export a study as one document, for `POST /v1/studies/import`."""
    study = await _visible_study(store, id, caller)

    def export() -> dict[str, Any]:
        _, rows = store.studies.observations(study.id)
        definition = StudyDefinition.from_json(study.definition)
        space = resolve_space(definition.space, definition.settings)
        return export_study(definition, space, [Observation.from_json(space, row.document) for row in rows])

    return StudyExport.model_validate(await asyncio.to_thread(export))


@stored_router.post("/studies/{id}/observations", responses=problem_responses(404, *BODY_PROBLEMS))
async def add_observations(
    id: StudyId,  # noqa: A002
    body: ObservationsRequest,
    settings: SettingsDep,
    store: StoreDep,
    fits: StudyFitsDep,
    caller: CallerDep,
) -> AddedObservations:
    """Add observations: all of them, or none if one is malformed.

    An observation that the study has is not added again, so a post can be repeated. The study is refitted in the
    background; its predictions depend on the set of its observations, not on their order.
    """
    study = await _visible_study(store, id, caller)

    def add() -> tuple[StoredStudy, int]:
        definition = StudyDefinition.from_json(study.definition)
        space = resolve_space(definition.space, definition.settings)
        observations = parse_observations(space, definition.metric, body.observations)
        return store.studies.observe(study.id, _new_observations(observations, space), settings.max_study_observations)

    with _existing(id):
        changed, added = await asyncio.to_thread(add)
    fits.refresh(changed)
    return AddedObservations(added=added, duplicates=len(body.observations) - added, observations=changed.total)


@router.get("/studies/{id}/observations", responses=problem_responses(404, 422, 503))
async def list_observations(
    id: StudyId,  # noqa: A002
    request: Request,
    store: StoreDep,
    fits: StudyFitsDep,
    caller: CallerDep,
    after: Annotated[int, Query(ge=0, lt=2**31, description="position, as in the previous page's `next`"), DIGITS] = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE), DIGITS] = DEFAULT_PAGE_SIZE,
) -> ObservationPage:
    """Return a page of observations in the order of arrival, with their held-out predictions by the latest fit."""
    study = await _visible_study(store, id, caller)
    state = fits.refresh(study)
    with _existing(id):
        _, rows = await asyncio.to_thread(store.studies.observations, study.id, after, limit)
    path = f"{request.scope['root_path']}/v1/studies/{study.id}/observations"
    following = f"{path}?after={rows[-1].position}&limit={limit}" if len(rows) == limit else None
    return ObservationPage(observations=observed_items(rows, state.fit.value), next=following)


@router.delete(
    "/studies/{id}/observations/{observation_id}", status_code=204, responses=problem_responses(404, 422, 503)
)
async def delete_observation(
    id: StudyId,  # noqa: A002
    observation_id: ObservationId,
    store: StoreDep,
    fits: StudyFitsDep,
    caller: CallerDep,
) -> None:
    """Delete a mistaken observation. The study is refitted without it in the background."""
    study = await _visible_study(store, id, caller)
    try:
        fits.refresh(await asyncio.to_thread(store.studies.remove, study.id, observation_id))
    except NotFoundError as error:
        raise ProblemError(404, f"study {id} has no observation {observation_id}") from error


@answer_router.post("/studies/{id}/predictions", responses=problem_responses(404, *BODY_PROBLEMS))
async def predict_by_study(
    id: StudyId,  # noqa: A002
    body: StudyPredictionRequest,
    request: Request,
    settings: SettingsDep,
    context: ContextDep,
    store: StoreDep,
    caller: CallerDep,
    requester: RequesterDep,
    wait: WaitDep,
) -> StudyPredictions:
    """Predict architectures by the latest fit of a study.

    `observations` is the number of observations that the fit rests on, `pending` that of newer ones. With
    `Prefer: wait=N`, the response waits up to N seconds for a fit to all observations; only the first fit after a start
    of the server is always waited for. A malformed architecture gets an `error`; the request is refused only if all of
    them are malformed.
    """
    check_number(len(body.architectures), settings.max_job_architectures)
    study = await _visible_study(store, id, caller)
    state, fit = await _latest(request, study, wait)
    parsed = await asyncio.to_thread(parse_valid, body.architectures, _parser(fit.space))
    valid = list(dict.fromkeys(item for item in parsed if isinstance(item, Architecture)))
    predictions: dict[Architecture, StudyPrediction] = {}
    for start in range(0, len(valid), PREDICTIONS_PER_TURN):
        part = valid[start : start + PREDICTIONS_PER_TURN]
        results = await context.run_brief(requester, fit.predictor.predict, part)
        predictions |= dict(zip(part, results, strict=True))
    return StudyPredictions(
        observations=fit.predictor.num_observations,
        pending=await _pending(store, study, fit),
        notes=state.notes(),
        predictions=validated_items(parsed, lambda item: predicted_item(fit.space, item, predictions[item])),
    )


@answer_router.post("/studies/{id}/suggestions", responses=problem_responses(404, 409, *BODY_PROBLEMS))
async def suggest_architectures(
    id: StudyId,  # noqa: A002
    body: SuggestionRequest,
    request: Request,
    settings: SettingsDep,
    context: ContextDep,
    store: StoreDep,
    caller: CallerDep,
    requester: RequesterDep,
    wait: WaitDep,
    idempotency_key: IdempotencyKey = None,
) -> StudySuggestions:
    """Suggest architectures to train next: promising and informative ones that are not observed.

    With `reserve`, they are suggested to nobody else for a day: several workers of one search never receive the same.
    For a day, a repeated request with the same `Idempotency-Key` and body suggests the same ones, with new predictions.
    """
    candidates = body.candidates
    check_number(len(candidates or ()), settings.max_job_architectures, "candidates")
    study = await _visible_study(store, id, caller)
    state, fit = await _latest(request, study, wait)
    pool = None if candidates is None else await asyncio.to_thread(_parse_candidates, candidates, fit.space)
    key = None if idempotency_key is None else SuggestionKey(idempotency_key, _hash(body))
    with _existing(id):
        suggestions = await context.run(
            requester, suggest_reserved, store, study.id, fit, body.number, pool, body.seed, body.reserve, key
        )
    return StudySuggestions(
        observations=fit.predictor.num_observations,
        pending=await _pending(store, study, fit),
        notes=state.notes(),
        suggestions=[predicted_item(fit.space, *pair) for pair in suggestions],
    )


def _definition(
    body: StudyRequest, existing: StoredStudy | None, ensembles: EnsembleRegistry
) -> tuple[StudyDefinition, SearchSpace[Any]]:
    """Return the requested definition and its space; fields that are not given are those of the existing study."""
    known = None if existing is None else StudyDefinition.from_json(existing.definition)
    if known is not None and known.space != body.space:
        known = None  # their settings and sources have nothing in common
    space = resolve_space(body.space, known.settings if known and body.settings is None else body.settings)
    metric = known.metric if known and body.metric is None else StudyMetric(**dict(body.metric or {}))
    if known is not None and body.sources in (None, list(known.sources)):
        sources = known.sources  # perhaps no longer loaded
    else:
        sources = resolve_sources(body.sources, space.name, ensembles)
    task = (known.task if known else "") if body.task is None else body.task
    return StudyDefinition(body.name, space.name, space.settings, task, metric, sources), space


async def _create(
    request: Request,
    response: Response,
    definition: StudyDefinition,
    space: SearchSpace[Any],
    observations: Sequence[Observation],
) -> StudyDocument:
    """Create or open a study of the caller, add observations and start a fit."""
    state, settings = request.app.state, request.app.state.settings
    store: Store = state.store
    study, is_new = await asyncio.to_thread(
        store.studies.create,
        request.state.caller.id,
        definition.to_json(),
        _new_observations(observations, space),
        max_studies=settings.max_studies,
        max_observations=settings.max_study_observations,
    )
    response.status_code = 201 if is_new else 200
    response.headers["Location"] = f"{request.scope['root_path']}/v1/studies/{study.id}"
    fits: StudyFits = state.study_fits
    return await _document(store, study, fits.refresh(study))


async def _latest(request: Request, study: StoredStudy, wait: float) -> tuple[StudyState, Fit]:
    """Return the latest fit of a study, after at most `wait` seconds; only the first fit is always waited for.

    Raises:
        StudyFitError: the first fit failed.
        ProblemError: it takes longer than a request may, or the study was deleted or the API key revoked meanwhile.
    """
    fits: StudyFits = request.app.state.study_fits
    state = fits.refresh(study)
    timeout = request.app.state.settings.sync_timeout if state.fit.value is None else wait
    await result_within(timeout, request, state.fit.wait(study.revision))
    if state.fit.value is not None:
        return state, state.fit.value
    if state.fit.error is not None:
        raise StudyFitError(f"the predictor could not be fitted: {describe(state.fit.error)}")
    await _visible_study(request.app.state.store, study.id, request.state.caller)  # not deleted meanwhile
    raise ProblemError(503, "the predictor is being fitted for the first time since the server's start")


async def _document(store: Store, study: StoredStudy, state: StudyState) -> StudyDocument:
    with _existing(study.id):
        summary = await asyncio.to_thread(store.studies.summarize, study.id, _maximizes(study))
    return study_document(study, summary, state)


async def _visible_study(store: Store, id: str, caller: Caller) -> StoredStudy:  # noqa: A002
    """Return a study that the caller may see; others do not exist for them. Raises `ProblemError`."""
    with _existing(id):
        return await asyncio.to_thread(store.studies.get, id, caller.visible_owner)


@contextmanager
def _existing(id: str) -> Iterator[None]:  # noqa: A002
    """Convert the error of a study that does not exist, or no longer, to a problem of status 404."""
    try:
        yield
    except NotFoundError as error:
        raise ProblemError(404, f"there is no study {id}") from error


async def _pending(store: Store, study: StoredStudy, fit: Fit) -> int:
    """Count the observations that are newer than a fit."""
    if fit.revision >= study.revision:
        return 0
    with _existing(study.id):
        return await asyncio.to_thread(store.studies.count_after, study.id, fit.last_position)


def _new_observations(observations: Sequence[Observation], space: SearchSpace[Any]) -> list[NewObservation]:
    return [
        NewObservation(each.id, each.architecture.fingerprint, each.value, each.to_json(space)) for each in observations
    ]


def _hash(body: SuggestionRequest) -> str:
    return hashlib.sha256(to_json(body.model_dump(), sort_keys=True).encode()).hexdigest()


def _maximizes(study: StoredStudy) -> bool:
    return bool(study.definition["metric"]["direction"] == "maximize")


def _parser(space: SearchSpace[Any]) -> Callable[[Any], Architecture]:
    def parse(data: Any) -> Architecture:
        check_space(data, space.name)
        architecture: Architecture = space.parse(data)
        return architecture

    return parse


def _parse_candidates(candidates: Sequence[Any], space: SearchSpace[Any]) -> list[Architecture]:
    """Parse the candidates of a request. Raises `InputError` for the first malformed one."""
    parser, parsed = _parser(space), []
    for i, data in enumerate(candidates):
        try:
            parsed.append(parser(data))
        except InputError as error:
            raise error.within(f"candidates[{i}]") from error
    return parsed
