"""The application: settings in, FastAPI out."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import torch
from fastapi import FastAPI

from models.version import archrank_version
from proxies import score
from proxies.memory import hold_memory
from service import errors
from service.cache import Memory
from service.library import Library, Probe
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
        loaded = app.state.library = library or Library.load(settings)
        app.state.worker = Worker(
            settings.queue_size, lambda: prepare(settings, loaded.device), lambda: warm_up(loaded.probe)
        )
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
    """Set memory and threads, and touch the device, so that its first request does not wait for that."""
    hold_memory()
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    torch.zeros(1, device=device).item()


def warm_up(probe: Probe) -> None:
    """Score a small network on few frames: PyTorch loads modules of its own on the way, which takes a second."""
    rng, batch, threads = np.random.default_rng(0), probe.batch, torch.get_num_threads()
    smallest = min((probe.space.sample(rng) for _ in range(16)), key=lambda arch: len(arch.key))
    torch.set_num_threads(1)  # more would wait for each other where other processes want the cores
    try:
        score(probe.space.build(smallest).to(probe.device), batch.x[:2, :, :2], batch.y[:2])
    finally:
        torch.set_num_threads(threads)
