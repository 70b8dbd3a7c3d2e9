"""Health checks for load balancers and orchestrators."""

from fastapi import APIRouter

from service.api.cards import HealthStatus
from service.api.deps import ContextDep, ShutdownDep, StoreCheckDep
from service.api.problems import ProblemError, problem_responses

router = APIRouter(prefix="/health", tags=["health"])


@router.get("/live", responses=problem_responses())
async def get_liveness() -> HealthStatus:
    """Check that the server process responds."""
    return HealthStatus(status="ok")


@router.get("/ready", responses=problem_responses(503))
async def get_readiness(context: ContextDep, check: StoreCheckDep, shutdown: ShutdownDep) -> HealthStatus:
    """Check that ensembles are loaded, a worker is running, the store is writable and the server stays up."""
    reasons = []
    if shutdown.draining:
        reasons.append("the server was told to stop")
    if not context.ensembles.ensembles:
        reasons.append("no ensemble is installed")
    # Workers that hang in their next task are noticed after the task's timeout.
    health = context.scorer.backend.health()
    if health.state != "ready":
        reasons.append(f"nothing can be scored: the backend is {health.state}, {health.last_error or 'no error'}")
    if (error := await check.error()) is not None:
        reasons.append(str(error))
    if reasons:
        raise ProblemError(503, "; ".join(reasons))
    return HealthStatus(status="ok")
