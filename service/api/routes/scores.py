"""Zero-cost proxies by themselves."""

from fastapi import APIRouter, Request, Response

from service.api.deps import AskerDep, DeskDep, PatienceDep, SettingsDep, StrictRoute, answered, check_size
from service.api.problems import documented
from service.api.routes.jobs import accepted
from service.api.schemas import JobStatus, ScoreRequest, ScoreResponse
from service.inference.pipeline import score_all

router = APIRouter(prefix="/v1", tags=["scores"], route_class=StrictRoute)


@router.post(
    "/scores",
    response_model=ScoreResponse,
    responses=documented(400, 408, 413, 415, 422, 503, accepts=JobStatus),
)
async def score(
    body: ScoreRequest, context: DeskDep, settings: SettingsDep, asker: AskerDep, seconds: PatienceDep, request: Request
) -> ScoreResponse | Response:
    """Score architectures by zero-cost proxies, with the weights, batch and draws of the default ensemble.

    What takes too long to wait for becomes a job.
    """
    check_size(len(body.architectures), settings.max_architectures)
    answer = await answered(request, score_all(body, context, asker), seconds)
    return answer if answer is not None else await accepted(request, body)
