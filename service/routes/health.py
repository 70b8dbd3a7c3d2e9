"""For whoever watches over the service."""

from fastapi import APIRouter

from service.deps import LibraryDep, WorkerDep
from service.errors import ProblemError, documented
from service.schemas import Health

router = APIRouter(prefix="/health", tags=["health"])


@router.get("/live", responses=documented())
async def live() -> Health:
    """The process answers."""
    return Health(status="ok")


@router.get("/ready", responses=documented(503))
async def ready(library: LibraryDep, worker: WorkerDep) -> Health:
    """Ensembles are loaded and the device is at work."""
    if not library.models:
        raise ProblemError(503, "no ensemble is installed")
    if not worker.ready:
        raise ProblemError(503, "the device is not at work")
    return Health(status="ok")
