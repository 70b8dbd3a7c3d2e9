"""Jobs: requests that outlive their connection."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from prometheus_client import Gauge

from models import InputError
from service.api.authentication import Caller
from service.api.deps import (
    DIGITS,
    AccessDep,
    CallerDep,
    DeskDep,
    GuardedRoute,
    JobRoute,
    LeavingDep,
    SettingsDep,
    StoreDep,
    StreamPlace,
    check_size,
)
from service.api.problems import ProblemError, documented, problem
from service.api.schemas import JobList, JobRequest, JobResults, JobStatus, PredictionRequest, ScoreRequest
from service.inference.limits import Limits
from service.inference.pipeline import Plan, read
from service.jobs.runner import JobRunner
from service.settings import Settings
from service.storage import Job, JobEvent, NewItem, NotFoundError, Store, StoreError
from service.storage.records import JobKind

router = APIRouter(prefix="/v1", tags=["jobs"], route_class=GuardedRoute)
log = logging.getLogger(__name__)
posting = APIRouter(prefix="/v1", tags=["jobs"], route_class=JobRoute)
PAGE, MOST = 500, 1000
"""Results of a page, where nothing else is asked for, and at most."""
HEARTBEAT = 15.0
"""Seconds of silence after which a stream says that it is still there."""
GLANCE = 0.25
"""Seconds between two looks for new events."""
PRINTABLE = "^[ -~¡-¬®-ÿ]*$"
"""What of a header's characters can be stored and shown."""
Id = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
IdempotencyKey = Annotated[
    str | None,
    Header(min_length=1, max_length=200, pattern=PRINTABLE, description="the same key again, and it is the same job"),
]


@posting.post(
    "/jobs",
    status_code=202,
    response_model=JobStatus,
    responses=documented(400, 408, 409, 413, 415, 422, 503, accepts=JobStatus),
)
async def create_job(
    body: JobRequest, context: DeskDep, settings: SettingsDep, request: Request, idempotency_key: IdempotencyKey = None
) -> Response:
    """Have architectures worked on while nobody waits; `Location` says where to ask how it is going.

    Results are those that `/v1/predictions` or `/v1/scores` would give to each architecture by itself: without `rank`
    and `win_probability`, which only a whole set has.
    """
    check_size(len(body.architectures), settings.max_job_architectures)
    return await accepted(request, body.to_request(), idempotency_key)


async def accepted(
    request: Request, asked: PredictionRequest | ScoreRequest, idempotency_key: str | None = None
) -> Response:
    """Make a job of the request and answer 202 with it. Raises what the request's plan raises."""
    state, caller = request.app.state, request.state.caller
    plan = Plan.of(asked, state.context.library)
    if plan.model is not None and plan.model.ensemble.depends_on_set(plan.combiner):
        raise InputError(
            "combiner", plan.combiner, "one that predicts each architecture by itself, where a job is asked for"
        )
    items = await asyncio.to_thread(_items, asked.architectures, plan, state.context.limits)
    options = asked.model_dump(mode="json", exclude={"architectures", "compare"}, exclude_defaults=True)
    kind: JobKind = "predictions" if isinstance(asked, PredictionRequest) else "scores"
    store: Store = state.store
    job, _ = await asyncio.to_thread(
        store.jobs.create, kind, options, items, caller.id, idempotency_key, caller.max_active_jobs, plan.basis
    )
    runner: JobRunner = state.runner
    runner.wake()
    log.info("a job of %d architectures", job.total, extra={"job": job.id})
    card = _card(job, state.context.scorer.turns.seconds_each, state.settings)
    return JSONResponse(
        card.model_dump(mode="json"), 202, {"Location": f"{request.scope['root_path']}/v1/jobs/{job.id}"}
    )


def _items(texts: list[Any], plan: Plan, limits: Limits) -> list[NewItem]:
    items = []
    for i, (text, one) in enumerate(zip(texts, read(texts, limits.reader(plan.probe)).read, strict=True)):
        if isinstance(one, InputError):
            wrong = problem(one, f"#/architectures/{i}").model_dump(mode="json")
            items.append(NewItem(text if isinstance(text, dict) else {}, None, error=wrong))
        else:
            items.append(NewItem(plan.probe.space.to_json(one), one.fingerprint))
    return items


def _card(job: Job, seconds_each: float, settings: Settings) -> JobStatus:
    left = job.queued + job.running
    return JobStatus.from_job(
        job, left * seconds_each if not job.complete else None, timedelta(seconds=settings.result_retention)
    )


@router.get("/jobs", responses=documented(422, 503))
async def list_jobs(
    context: DeskDep,
    settings: SettingsDep,
    store: StoreDep,
    caller: CallerDep,
    limit: Annotated[int, Query(ge=1, le=1000), DIGITS] = 100,
) -> JobList:
    """The jobs that there are, newest first."""
    jobs = await asyncio.to_thread(store.jobs.list, caller.visible_owner, limit)
    return JobList(jobs=[_card(job, context.scorer.turns.seconds_each, settings) for job in jobs])


@router.get("/jobs/{id}", responses=documented(404, 422, 503))
async def get_job(id: Id, context: DeskDep, settings: SettingsDep, store: StoreDep, caller: CallerDep) -> JobStatus:  # noqa: A002
    """How a job is doing."""
    job = await _job(store, id, caller)
    return _card(job, context.scorer.turns.seconds_each, settings)


@router.delete("/jobs/{id}", responses=documented(404, 422, 503))
async def cancel_job(id: Id, context: DeskDep, settings: SettingsDep, store: StoreDep, caller: CallerDep) -> JobStatus:  # noqa: A002
    """Cancel a job. What is done stays to be read; a job that is finished stays as it is."""
    job = await _job(store, id, caller)
    if not job.complete:
        job = await asyncio.to_thread(store.jobs.cancel, job.id)
    return _card(job, context.scorer.turns.seconds_each, settings)


@router.get("/jobs/{id}/results", response_model=JobResults, responses=documented(404, 422, 503))
async def get_job_results(
    id: Id,  # noqa: A002
    request: Request,
    store: StoreDep,
    caller: CallerDep,
    after: Annotated[int, Query(ge=0, lt=2**31, description="as the last page's `next` says"), DIGITS] = 0,
    limit: Annotated[int, Query(ge=1, le=MOST), DIGITS] = PAGE,
) -> Response:
    """Results as they are finished, also while the job runs: who follows `next` gets each of them once."""
    job = await _job(store, id, caller)
    page = await asyncio.to_thread(store.jobs.results, job.id, after, limit)
    results = [
        {"position": item.position, "result": item.result if item.error is None else {"error": item.error}}
        for item in page.items
    ]
    here = f"{request.scope['root_path']}/v1/jobs/{job.id}/results"
    following = None if page.complete else f"{here}?after={page.after}&limit={limit}"
    # As they were checked when they were stored: thousands a page need not be taken apart again.
    return JSONResponse({"results": results, "next": following})


@router.get(
    "/jobs/{id}/events",
    response_class=StreamingResponse,
    responses=documented(404, 422, 503, streams=True),
    dependencies=[StreamPlace],
)
async def stream_job_events(
    id: Id,  # noqa: A002
    context: DeskDep,
    store: StoreDep,
    caller: CallerDep,
    leaving: LeavingDep,
    access: AccessDep,
    last_event_id: Annotated[int, Header(ge=0, lt=2**31, description="where to go on"), DIGITS] = 0,
) -> Response:
    """The events of a job, sent as they happen; ends with the job, or before it where the server ends, or where the
    API key is revoked.
    """
    job = await _job(store, id, caller)
    if job.complete and last_event_id >= job.events:
        return Response(status_code=204)  # which tells those that come back by themselves to do so no more

    def ends() -> bool:
        return leaving.closed or not access.is_valid(caller)

    stream = _counted(_stream(store, job.id, min(last_event_id, job.events), ends), context.metrics.event_streams)
    return StreamingResponse(stream, media_type="text/event-stream", headers={"Cache-Control": "no-store"})


async def _counted(stream: AsyncIterator[str], gauge: Gauge) -> AsyncIterator[str]:
    with gauge.track_inprogress():
        async for said in stream:
            yield said


async def _stream(store: Store, job: str, after: int, ends: Callable[[], bool]) -> AsyncIterator[str]:
    silent = 0.0
    while not ends():  # its client goes on where it was cut off, with another server or the next
        try:
            events = await asyncio.to_thread(store.jobs.events, job, after)
        except StoreError as error:  # the client need not know: nothing is missed
            log.warning("events wait for the store: %s", error)
            events = []
        for event in events:
            if ends():  # while the client was slow to take what came before
                return
            after, silent = event.id, 0.0
            yield _said(event)
            if event.kind in ("done", "cancelled", "failed"):
                return
        if not events:
            if silent >= HEARTBEAT:
                silent = 0.0
                yield ": still here\n\n"
            await asyncio.sleep(GLANCE)
            silent += GLANCE


def _said(event: JobEvent) -> str:
    return f"id: {event.id}\nevent: {event.kind}\ndata: {json.dumps(event.data, allow_nan=False)}\n\n"


async def _job(store: Store, id: str, caller: Caller) -> Job:  # noqa: A002
    """Another caller's job is as if it were not there."""
    try:
        return await asyncio.to_thread(store.jobs.get, id, caller.visible_owner)
    except NotFoundError as error:
        raise ProblemError(404, f"there is no job {id}") from error
