"""Predicted accuracy, percentile and rank."""

from fastapi import APIRouter, Request, Response

from service.deps import AskerDep, DeskDep, PatienceDep, SettingsDep, StrictRoute, answered, check_size
from service.errors import documented
from service.pipeline import predict
from service.routes.jobs import accepted
from service.schemas import JobCard, PredictionRequest, PredictionResponse

router = APIRouter(prefix="/v1", tags=["predictions"], route_class=StrictRoute)


@router.post(
    "/predictions",
    response_model=PredictionResponse,
    responses=documented(400, 408, 413, 415, 422, 503, accepts=JobCard),
)
async def post_predictions(
    body: PredictionRequest,
    desk: DeskDep,
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
    answer = await answered(request, predict(body, desk, asker), seconds)
    return answer if answer is not None else await accepted(request, body)
