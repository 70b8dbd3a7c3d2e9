"""Predicted accuracy, percentile and rank."""

from fastapi import APIRouter, Request, Response

from service.api.deps import AskerDep, DeskDep, PatienceDep, SettingsDep, StrictRoute, answered, check_size
from service.api.problems import documented
from service.api.routes.jobs import accepted
from service.api.schemas import JobStatus, PredictionRequest, PredictionResponse
from service.inference import pipeline

router = APIRouter(prefix="/v1", tags=["predictions"], route_class=StrictRoute)


@router.post(
    "/predictions",
    response_model=PredictionResponse,
    responses=documented(400, 408, 413, 415, 422, 503, accepts=JobStatus),
)
async def predict(
    body: PredictionRequest,
    context: DeskDep,
    settings: SettingsDep,
    asker: AskerDep,
    seconds: PatienceDep,
    request: Request,
) -> PredictionResponse | Response:
    """Predict how well architectures will do, without training them.

    Answers come in the order posted. An architecture that cannot be read gets an `error` and the others their answer;
    only where none can be read is the whole request refused. What takes too long to wait for becomes a job.
    """
    check_size(len(body.architectures), settings.max_architectures)
    answer = await answered(request, pipeline.predict(body, context, asker), seconds)
    return answer if answer is not None else await accepted(request, body)
