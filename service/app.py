"""The application: settings in, FastAPI out."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import timedelta

import torch
from fastapi import FastAPI
from sqlalchemy import URL

from models.batches import ProbeBatch
from models.version import archrank_version
from service import errors
from service.backends.base import Backend
from service.backends.inline import InlineBackend
from service.backends.processes import ProcessBackend, ProcessOptions, visible_gpus
from service.cache import Memory
from service.desk import Desk
from service.library import Library
from service.routes import ROUTERS
from service.runner import JobRunner
from service.scorer import Scorer
from service.settings import Settings
from service.store import Store
from service.turns import Turns

THREADS = 32
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
        loaded = library or Library.load(settings)
        # Most threads wait for the store, which may be away: the default of a few more than there are cores is too few.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS, "store"))
        backend = make_backend(settings, loaded)
        backend.start()  # first, as its processes take the longest to be ready
        try:
            with await asyncio.to_thread(open_store, settings) as store:
                desk = make_desk(settings, loaded, backend, store)
                runner = JobRunner(desk, store, timedelta(hours=settings.keep_hours), settings.worker_seconds)
                app.state.desk, app.state.store, app.state.runner = desk, store, runner
                await runner.start()
                try:
                    yield
                finally:
                    await runner.stop(settings.drain_seconds)
                    await asyncio.to_thread(backend.drain, settings.drain_seconds)
                    await desk.scorer.flush(settings.drain_seconds)
                    desk.close()
        finally:
            backend.stop()

    app = FastAPI(title="archrank", description=DESCRIPTION, version=archrank_version(), lifespan=lifespan)
    app.state.settings = settings
    errors.install(app)
    for router in ROUTERS:
        app.include_router(router)
    return app


def make_backend(settings: Settings, library: Library) -> Backend:
    """What scores, told the probe batches of all ensembles."""
    batches = _batches(library)
    if settings.backend == "inline":
        return InlineBackend(batches, str(library.device))
    options = ProcessOptions(
        gpus=visible_gpus() if library.device.type == "cuda" else (),
        processes=settings.processes or torch.get_num_threads(),
        threads=settings.threads,
        deadline_seconds=settings.deadline_seconds,
        tasks_per_process=settings.tasks_per_process,
    )
    return ProcessBackend(batches, options)


def make_desk(
    settings: Settings, library: Library, backend: Backend, store: Store | None, memory: Memory | None = None
) -> Desk:
    """What requests are answered with."""
    memory = memory or Memory(settings.cache_size)
    turns = Turns(places=max(1, len(backend.health().processes)), most_waiting=settings.queue_size)
    return Desk(library, Scorer(backend, turns, memory, store), memory)


def open_store(settings: Settings) -> Store:
    """The store that the settings name."""
    return Store.open(store_url(settings))


def store_url(settings: Settings) -> str | URL:
    """As the settings say, or of the SQLite file of the data folder."""
    return settings.store_url if settings.store_url is not None else Store.url_of(settings.data_folder)


def _batches(library: Library) -> dict[str, ProbeBatch]:
    probes = [library.probe, *(model.probe for model in library.models.values())]
    return {probe.batch.fingerprint: probe.batch for probe in probes}
