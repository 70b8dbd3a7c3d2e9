"""For whoever watches over the service."""

from fastapi import APIRouter

from service.api.cards import HealthStatus
from service.api.deps import DeskDep, LeavingDep, StoreCheckDep
from service.api.problems import ProblemError, documented

router = APIRouter(prefix="/health", tags=["health"])


@router.get("/live", responses=documented())
async def get_liveness() -> HealthStatus:
    """The process answers."""
    return HealthStatus(status="ok")


@router.get("/ready", responses=documented(503))
async def get_readiness(context: DeskDep, check: StoreCheckDep, leaving: LeavingDep) -> HealthStatus:
    """Ensembles are loaded, a process is there to score, the store can be written, and the server goes on."""
    lacking = []
    if leaving.draining:
        lacking.append("the server was told to stop")
    if not context.library.models:
        lacking.append("no ensemble is installed")
    # A process has said that it is ready. Whether it answers its next task is seen then: within the deadline.
    health = context.scorer.backend.health()
    if health.state != "ready":
        lacking.append(f"nothing can be scored: the backend is {health.state}, {health.last_error or 'no error'}")
    if (error := await check.error()) is not None:
        lacking.append(str(error))
    if lacking:
        raise ProblemError(503, "; ".join(lacking))
    return HealthStatus(status="ok")
