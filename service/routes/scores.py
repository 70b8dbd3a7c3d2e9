"""Zero-cost proxies by themselves."""

from fastapi import APIRouter

from service.deps import DeskDep, StrictRoute
from service.errors import documented
from service.pipeline import score_all
from service.schemas import ScoreRequest, ScoreResponse

router = APIRouter(prefix="/v1", tags=["scores"], route_class=StrictRoute)


@router.post("/scores", responses=documented(400, 408, 413, 415, 422, 503))
async def post_scores(body: ScoreRequest, desk: DeskDep) -> ScoreResponse:
    """Score architectures by zero-cost proxies, with the weights, batch and draws of the default ensemble."""
    desk.check_size(len(body.architectures))
    return await desk.answer(score_all(body, desk.library, desk.memory))
