"""For whoever watches over the service."""

import asyncio

from fastapi import APIRouter

from service.deps import DeskDep, StoreDep
from service.errors import ProblemError, documented
from service.schemas import Health

router = APIRouter(prefix="/health", tags=["health"])


@router.get("/live", responses=documented())
async def live() -> Health:
    """The process answers."""
    return Health(status="ok")


@router.get("/ready", responses=documented(503))
async def ready(desk: DeskDep, store: StoreDep) -> Health:
    """Ensembles are loaded, a process is there to score, and the store can be written."""
    if not desk.library.models:
        raise ProblemError(503, "no ensemble is installed")
    health = desk.scorer.backend.health()
    if health.state != "ready":
        raise ProblemError(
            503, f"nothing can be scored: the backend is {health.state}, {health.last_error or 'no error'}"
        )
    await asyncio.to_thread(store.health)
    return Health(status="ok")
