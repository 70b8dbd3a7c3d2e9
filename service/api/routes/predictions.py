"""Predicted accuracy, percentile and rank."""

from fastapi import APIRouter, Request, Response

from service.api.deps import (
    PredictionRoute,
    SyncWorkDep,
    check_number,
    result_within,
)
from service.api.documents import brief_prediction_response, prediction_response
from service.api.job_schemas import JobStatus
from service.api.problems import problem_responses
from service.api.routes.jobs import accept_job
from service.api.schemas import BriefPredictionResponse, PredictionRequest, PredictionResponse
from service.inference import pipeline

router = APIRouter(prefix="/v1", tags=["predictions"], route_class=PredictionRoute)


@router.post(
    "/predictions",
    response_model=PredictionResponse | BriefPredictionResponse,
    responses=problem_responses(400, 408, 413, 415, 422, 503, accepted=JobStatus),
)
async def predict(
    body: PredictionRequest,
    work: SyncWorkDep,
    request: Request,
) -> Response:
    """Predict the performance of architectures without training them.

    Predictions are in the order of the request. A malformed architecture gets an `error`; the request is refused only
    if all of them are malformed. A request that takes too long becomes a job. With `detail: brief` and `proxies: []` a
    request may have `max_brief_architectures` (`GET /v1/limits`).
    """
    is_large = body.detail == "brief" and body.proxies == []
    limits = work.settings
    check_number(len(body.architectures), limits.max_brief_architectures if is_large else limits.max_architectures)
    prediction = pipeline.predict(body.architectures, body.to_query(), work.context, work.requester, body.compare)
    result = await result_within(work.timeout, request, prediction)
    if result is None:
        return await accept_job(request, body)
    document = brief_prediction_response(result) if body.detail == "brief" else prediction_response(result)
    request.app.state.answers.put(await request.body(), document, result, work.context)
    # FastAPI would validate the document again.
    return Response(document.model_dump_json(), media_type="application/json")
