"""Jobs: requests that outlive their connection."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from dataclasses import fields
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic_core import to_json

from models import InputError
from service.api.authentication import Caller
from service.api.deps import (
    DIGITS,
    AuthenticatedRoute,
    AuthenticatorDep,
    CallerDep,
    ContextDep,
    HoldStream,
    JobRoute,
    SettingsDep,
    ShutdownDep,
    StoreDep,
    WatcherDep,
    check_number,
)
from service.api.documents import brief_document
from service.api.job_schemas import JobList, JobRequest, JobResults, JobStatus
from service.api.page_sizes import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE
from service.api.problems import NoContentError, ProblemError, problem, problem_responses
from service.api.schemas import PredictionRequest, ScoreRequest
from service.inference.limits import SizeLimits
from service.inference.pipeline import make_plan, parse_valid
from service.inference.plan import Plan
from service.inference.queries import Detail
from service.inference.scheduler import Requester
from service.jobs.runner import JobRunner
from service.settings import Settings
from service.storage import Job, JobEvent, NewItem, NotFoundError, Store, StoreError
from service.storage.records import JobKind

log = logging.getLogger(__name__)
router = APIRouter(prefix="/v1", tags=["jobs"], route_class=AuthenticatedRoute)
job_router = APIRouter(prefix="/v1", tags=["jobs"], route_class=JobRoute)
MIN_READ_INTERVAL_S = 0.25
"""Shortest time from a read without events to the next: what happens meanwhile is read at once."""
PRINTABLE = "^[ -~¡-¬®-ÿ]*$"
"""Characters of a header that can be stored and displayed."""
JobId = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=200,
        pattern=PRINTABLE,
        description="a repeated request with the same key returns the same job, or the same reserved suggestions",
    ),
]


@job_router.post(
    "/jobs",
    status_code=202,
    response_model=JobStatus,
    responses=problem_responses(400, 408, 409, 413, 415, 422, 503, accepted=JobStatus),
)
async def create_job(
    body: JobRequest, settings: SettingsDep, request: Request, idempotency_key: IdempotencyKey = None
) -> Response:
    """Process architectures in the background. `Location` is the path of the job.

    Each architecture gets the result of `POST /v1/predictions` or `POST /v1/scores` for it alone: without `rank` and
    `win_probability`, which depend on the whole set.
    """
    check_number(len(body.architectures), settings.max_job_architectures)
    return await accept_job(request, body.to_request(), idempotency_key)


async def accept_job(
    request: Request, body: PredictionRequest | ScoreRequest, idempotency_key: str | None = None
) -> Response:
    """Create a job from a request and respond with status 202.

    Raises:
        InputError: a name in the body is unknown, or the combiner depends on the whole set.
        NoValidArchitectureError: all architectures are malformed.
    """
    state, caller = request.app.state, request.state.caller
    requester = Requester(caller.id, caller.queue_share)
    plan = await make_plan(body.architectures, body.to_query(), state.context, requester)
    if plan.ensemble is not None and plan.ensemble.ensemble.depends_on_set(plan.combiner):
        raise InputError("combiner", plan.combiner, "one that predicts each architecture independently, in a job")
    items = await asyncio.to_thread(_new_items, body.architectures, plan, state.context.limits)
    options = {
        field.name: value for field in fields(plan.query) if (value := getattr(plan.query, field.name)) != field.default
    }
    kind: JobKind = "predictions" if isinstance(body, PredictionRequest) else "scores"
    store: Store = state.store
    job, _ = await asyncio.to_thread(
        store.jobs.create, kind, options, items, caller.id, idempotency_key, caller.max_active_jobs, plan.basis
    )
    runner: JobRunner = state.runner
    runner.wake()
    log.info("created a job of %d architectures", job.total, extra={"job": job.id})
    status = _job_status(job, state.context.scorer.scheduler.seconds_per_architecture, state.settings)
    location = f"{request.scope['root_path']}/v1/jobs/{job.id}"
    return JSONResponse(status.model_dump(mode="json"), 202, {"Location": location})


def _new_items(architectures: list[Any], plan: Plan, limits: SizeLimits) -> list[NewItem]:
    parsed = parse_valid(architectures, limits.parser(plan.context))
    items = []
    for i, (data, item) in enumerate(zip(architectures, parsed, strict=True)):
        if isinstance(item, InputError):
            error = problem(item, f"#/architectures/{i}").model_dump(mode="json")
            items.append(NewItem(data if isinstance(data, dict) else {}, None, error=error))
        else:
            items.append(NewItem(plan.context.space.to_json(item), item.fingerprint))
    return items


def _job_status(job: Job, seconds_per_architecture: float, settings: Settings) -> JobStatus:
    eta_seconds = None if job.complete else (job.queued + job.running) * seconds_per_architecture
    return JobStatus.from_job(job, eta_seconds, timedelta(seconds=settings.result_retention))


@router.get("/jobs", responses=problem_responses(422, 503))
async def list_jobs(
    context: ContextDep,
    settings: SettingsDep,
    store: StoreDep,
    caller: CallerDep,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE), DIGITS] = 100,
) -> JobList:
    """List jobs, newest first."""
    jobs = await asyncio.to_thread(store.jobs.list, caller.visible_owner, limit)
    seconds = context.scorer.scheduler.seconds_per_architecture
    return JobList(jobs=[_job_status(job, seconds, settings) for job in jobs])


@router.get("/jobs/{id}", responses=problem_responses(404, 422, 503))
async def get_job(
    id: JobId,  # noqa: A002
    context: ContextDep,
    settings: SettingsDep,
    store: StoreDep,
    caller: CallerDep,
) -> JobStatus:
    """Return state and progress of a job."""
    job = await _visible_job(store, id, caller)
    return _job_status(job, context.scorer.scheduler.seconds_per_architecture, settings)


@router.delete("/jobs/{id}", responses=problem_responses(404, 422, 503))
async def cancel_job(
    id: JobId,  # noqa: A002
    context: ContextDep,
    settings: SettingsDep,
    store: StoreDep,
    caller: CallerDep,
) -> JobStatus:
    """Cancel a job. Finished results remain available; a finished job is not changed."""
    job = await _visible_job(store, id, caller)
    if not job.complete:
        job = await asyncio.to_thread(store.jobs.cancel, job.id)
    return _job_status(job, context.scorer.scheduler.seconds_per_architecture, settings)


@router.get("/jobs/{id}/results", response_model=JobResults, responses=problem_responses(404, 422, 503))
async def get_job_results(
    id: JobId,  # noqa: A002
    request: Request,
    store: StoreDep,
    caller: CallerDep,
    after: Annotated[int, Query(ge=0, lt=2**31, description="position, as in the previous page's `next`"), DIGITS] = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE), DIGITS] = DEFAULT_PAGE_SIZE,
    detail: Annotated[Detail, Query(description="`brief` shortens predictions that are stored in full")] = "full",
) -> Response:
    """Return a page of results in the order of completion, also while the job runs.

    Following `next` returns each result exactly once. A job that was created with `detail: brief` has brief results.
    """
    job = await _visible_job(store, id, caller)
    if detail == "brief" and job.kind != "predictions":
        raise InputError("detail", detail, f"'full' for a job of {job.kind}")
    shorten = brief_document if detail == "brief" else dict
    page = await asyncio.to_thread(store.jobs.results, job.id, after, limit)
    results = [
        {"position": item.position, "result": {"error": item.error} if item.result is None else shorten(item.result)}
        for item in page.items
    ]
    path = f"{request.scope['root_path']}/v1/jobs/{job.id}/results"
    parameters = f"after={page.after}&limit={limit}" + ("&detail=brief" if detail == "brief" else "")
    next_page = None if page.complete else f"{path}?{parameters}"
    # Results were validated when they were stored; validating thousands per page again would take long.
    return Response(to_json({"results": results, "next": next_page}), media_type="application/json")


async def _unfinished_stream(
    id: JobId,  # noqa: A002
    store: StoreDep,
    caller: CallerDep,
    last_event_id: Annotated[int, Header(ge=0, lt=2**31, description="id of the last received event"), DIGITS] = 0,
) -> tuple[str, int]:
    """Return id and last event of a job. Raises `NoContentError` after the last event: 204 ends reconnecting."""
    job = await _visible_job(store, id, caller)
    if job.complete and last_event_id >= job.events:
        raise NoContentError
    return job.id, min(last_event_id, job.events)


@router.get(
    "/jobs/{id}/events",
    response_class=EventSourceResponse,
    responses=problem_responses(404, 422, 503, streams=True),
    dependencies=[HoldStream],
)
async def stream_job_events(
    position: Annotated[tuple[str, int], Depends(_unfinished_stream)],
    store: StoreDep,
    caller: CallerDep,
    shutdown: ShutdownDep,
    authenticator: AuthenticatorDep,
    watcher: WatcherDep,
    detail: Annotated[Detail, Query(description="`brief` leaves out events that a later one has followed")] = "full",
) -> AsyncIterator[ServerSentEvent]:
    """Stream the events of a job as they happen.

    The stream ends with the job, or earlier when the server shuts down or the API key is revoked.
    """
    job, last_event_id = position

    def is_over() -> bool:
        return shutdown.closed or not authenticator.is_valid(caller)

    with watcher.watch(job, last_event_id, is_over) as watch:
        while not is_over():  # clients resume at another server, or at the restarted one
            watch.woken.clear()  # before reading: what is added meanwhile wakes the stream again
            read = store.jobs.last_event if detail == "brief" else store.jobs.events
            try:
                events = await asyncio.to_thread(read, job, watch.last_event_id)
            except StoreError as error:  # no event is lost: a poll wakes the stream when the store is back
                log.warning("events wait for the store: %s", error)
                events = []
            for event in events:
                if is_over():  # the client may have been slow to read earlier events
                    return
                watch.last_event_id = event.id
                yield _server_sent_event(event)
                if event.kind in ("done", "cancelled", "failed"):
                    return
            if not events:
                await asyncio.sleep(MIN_READ_INTERVAL_S)
                await watch.woken.wait()


def _server_sent_event(event: JobEvent) -> ServerSentEvent:
    data = json.dumps(event.data, allow_nan=False)
    return ServerSentEvent(raw_data=data, event=event.kind, id=str(event.id))


async def _visible_job(store: Store, id: str, caller: Caller) -> Job:  # noqa: A002
    """Return a job that the caller may see; others do not exist for them. Raises `ProblemError`."""
    try:
        return await asyncio.to_thread(store.jobs.get, id, caller.visible_owner)
    except NotFoundError as error:
        raise ProblemError(404, f"there is no job {id}") from error
