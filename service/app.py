"""The application: settings in, FastAPI out."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import torch
from fastapi import FastAPI

from models.version import archrank_version
from service import errors
from service.cache import Memory
from service.library import Library
from service.routes import ROUTERS
from service.settings import Settings
from service.worker import Worker

DESCRIPTION = "Predicts how well a graph-convolutional architecture will perform, without training it."


def create_app(settings: Settings | None = None, library: Library | None = None) -> FastAPI:
    """The service.

    Args:
        settings: from the environment where not given.
        library: loaded as the settings say, when the application starts, where not given.
    """
    settings = settings or Settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.library = library or Library.load(settings)
        app.state.worker = Worker(settings.queue_size, lambda: prepare(settings, app.state.library.device))
        app.state.worker.start()
        yield
        app.state.worker.stop()

    app = FastAPI(title="archrank", description=DESCRIPTION, version=archrank_version(), lifespan=lifespan)
    app.state.settings = settings
    app.state.memory = Memory(settings.cache_size)
    errors.install(app)
    for router in ROUTERS:
        app.include_router(router)
    return app


def prepare(settings: Settings, device: torch.device) -> None:
    """Set the threads of PyTorch and touch the device, so that its first request does not wait for that."""
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    torch.zeros(1, device=device).item()
