"""Predicted accuracy, percentile and rank."""

from fastapi import APIRouter

from service.deps import DeskDep, StrictRoute
from service.errors import documented
from service.pipeline import predict
from service.schemas import PredictionRequest, PredictionResponse

router = APIRouter(prefix="/v1", tags=["predictions"], route_class=StrictRoute)


@router.post("/predictions", responses=documented(400, 408, 413, 415, 422, 503))
async def post_predictions(body: PredictionRequest, desk: DeskDep) -> PredictionResponse:
    """Predict how well architectures will do, without training them.

    Answers come in the order posted. An architecture that cannot be read gets an `error` and the others their answer;
    only where none can be read is the whole request refused.
    """
    desk.check_size(len(body.architectures))
    return await desk.answer(predict(body, desk.library, desk.memory))
