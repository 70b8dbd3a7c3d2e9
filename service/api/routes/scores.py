"""Scores of zero-cost proxies."""

from fastapi import APIRouter, Request, Response

from service.api.deps import (
    ContextDep,
    JsonRoute,
    RequesterDep,
    SettingsDep,
    SyncTimeoutDep,
    check_number,
    result_within,
)
from service.api.documents import score_response
from service.api.job_schemas import JobStatus
from service.api.problems import problem_responses
from service.api.routes.jobs import accept_job
from service.api.schemas import ScoreRequest, ScoreResponse
from service.inference import pipeline

router = APIRouter(prefix="/v1", tags=["scores"], route_class=JsonRoute)


@router.post(
    "/scores",
    response_model=ScoreResponse,
    responses=problem_responses(400, 408, 413, 415, 422, 503, accepted=JobStatus),
)
async def score(
    body: ScoreRequest,
    context: ContextDep,
    settings: SettingsDep,
    requester: RequesterDep,
    timeout: SyncTimeoutDep,
    request: Request,
) -> ScoreResponse | Response:
    """Score architectures by zero-cost proxies, with seed and batch of their space's ensemble, else of its task.

    A request that takes too long becomes a job.
    """
    check_number(len(body.architectures), settings.max_architectures)
    work = pipeline.score(body.architectures, body.to_query(), context, requester)
    result = await result_within(timeout, request, work)
    return await accept_job(request, body) if result is None else score_response(result)
