"""Predicted accuracy, percentile and rank."""

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
from service.api.documents import prediction_response
from service.api.problems import problem_responses
from service.api.routes.jobs import accept_job
from service.api.schemas import JobStatus, PredictionRequest, PredictionResponse
from service.inference import pipeline

router = APIRouter(prefix="/v1", tags=["predictions"], route_class=JsonRoute)


@router.post(
    "/predictions",
    response_model=PredictionResponse,
    responses=problem_responses(400, 408, 413, 415, 422, 503, accepted=JobStatus),
)
async def predict(
    body: PredictionRequest,
    context: ContextDep,
    settings: SettingsDep,
    requester: RequesterDep,
    timeout: SyncTimeoutDep,
    request: Request,
) -> PredictionResponse | Response:
    """Predict the performance of architectures without training them.

    Predictions are in the order of the request. A malformed architecture gets an `error`; the request is refused only
    if all of them are malformed. A request that takes too long becomes a job.
    """
    check_number(len(body.architectures), settings.max_architectures)
    work = pipeline.predict(body.architectures, body.to_query(), context, requester, body.compare)
    result = await result_within(timeout, request, work)
    return await accept_job(request, body) if result is None else prediction_response(result)
