"""The application: settings in, FastAPI out."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, nullcontext
from datetime import timedelta

import torch
from fastapi import FastAPI
from sqlalchemy import URL

from models.batches import ProbeBatch
from models.version import archrank_version
from service import errors
from service.access import Access
from service.backends.base import Backend
from service.backends.inline import InlineBackend
from service.backends.processes import ProcessBackend, ProcessOptions, visible_gpus
from service.bodies import LargeBodies
from service.cache import Memory
from service.desk import Desk
from service.leaving import Leaving
from service.library import Library
from service.limits import Limits
from service.metrics import Metrics
from service.middleware import HeadAsGet, RequestLog
from service.routes import ROUTERS
from service.routes.page import page_router
from service.runner import JobRunner
from service.scorer import Scorer
from service.settings import Settings
from service.store import Store
from service.store_check import StoreCheck
from service.streams import Streams
from service.tracing import Tracing
from service.turns import Turns

THREADS = 32
DESCRIPTION = "Predicts how well a graph-convolutional architecture will perform, without training it."


def create_app(settings: Settings | None = None, library: Library | None = None, store: Store | None = None) -> FastAPI:
    """The service.

    Args:
        settings: from the environment where not given.
        library: loaded as the settings say, when the application starts, where not given.
        store: opened and closed with the application, as the settings say, where not given.
    """
    settings = settings or Settings()
    metrics, tracing, leaving = Metrics(), Tracing(settings.otlp_endpoint), Leaving(settings.drain_seconds)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        loaded = library or Library.load(settings)
        # Most threads wait for the store, which may be away: the default of a few more than there are cores is too few.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS, "store"))
        backend = make_backend(settings, loaded)
        backend.start()  # first, as its processes take the longest to be ready
        try:
            own = await asyncio.to_thread(open_store, settings) if store is None else nullcontext(store)
            with own as opened:
                desk = make_desk(settings, loaded, backend, opened, metrics=metrics, tracing=tracing)
                metrics.watch(backend)
                runner = JobRunner(desk, opened, timedelta(hours=settings.keep_hours), settings.worker_seconds)
                app.state.desk, app.state.store, app.state.runner = desk, opened, runner
                app.state.store_check = StoreCheck(opened)
                app.state.access = access = Access(settings, opened)
                await access.read()
                await runner.start()
                watch = asyncio.create_task(access.watch())
                try:
                    yield
                finally:
                    watch.cancel()
                    await runner.stop(leaving.left)
                    await asyncio.to_thread(backend.drain, leaving.left)
                    await desk.scorer.flush()
                    desk.close()
        finally:
            backend.stop()
            await asyncio.to_thread(tracing.close)

    app = FastAPI(
        title="archrank",
        description=DESCRIPTION,
        version=archrank_version(),
        lifespan=lifespan,
        docs_url=None,  # FastAPI's own come from another host
        redoc_url=None,
        redirect_slashes=False,  # to where the request's Host header says, which may be anywhere
        telemetry=tracing.of_requests,
    )
    app.state.settings, app.state.leaving = settings, leaving
    app.state.streams = Streams(settings.max_event_streams)
    app.state.large_bodies = LargeBodies()
    errors.install(app)
    for router in (*ROUTERS, page_router()):
        app.include_router(router)
    app.add_middleware(HeadAsGet)
    app.add_middleware(RequestLog, metrics=metrics, failed=errors.answer)  # the last is the outermost
    return app


def make_backend(settings: Settings, library: Library) -> Backend:
    """What scores, told the probe batches of all ensembles."""
    batches = _batches(library)
    if settings.backend == "inline":
        return InlineBackend(batches, str(library.device))
    return ProcessBackend(batches, process_options(settings, library.device))


def process_options(settings: Settings, device: torch.device) -> ProcessOptions:
    """How many processes score, and how."""
    return ProcessOptions(
        gpus=visible_gpus() if device.type == "cuda" else (),
        processes=settings.processes or torch.get_num_threads(),
        processes_per_gpu=settings.processes_per_gpu,
        threads=settings.threads,
        deadline_seconds=settings.deadline_seconds,
        proxy_seconds=settings.proxy_seconds,
        tasks_per_process=settings.tasks_per_process,
        log=(settings.log_format, settings.log_level),
    )


def make_desk(
    settings: Settings,
    library: Library,
    backend: Backend,
    store: Store | None,
    memory: Memory | None = None,
    metrics: Metrics | None = None,
    tracing: Tracing | None = None,
) -> Desk:
    """What requests are answered with."""
    memory, metrics, tracing = memory or Memory(settings.cache_size), metrics or Metrics(), tracing or Tracing()
    turns = Turns(places=max(1, len(backend.health().processes)), most_waiting=settings.queue_size)
    limits = Limits(settings.max_parameters, settings.max_flops_ratio)
    scorer = Scorer(backend, turns, memory, store, metrics, tracing)
    return Desk(library, scorer, memory, limits, metrics, tracing, Turns(1, settings.queue_size))


def open_store(settings: Settings) -> Store:
    """The store that the settings name."""
    return Store.open(store_url(settings))


def store_url(settings: Settings) -> str | URL:
    """As the settings say, or of the SQLite file of the data folder."""
    return settings.store_url if settings.store_url is not None else Store.url_of(settings.store_folder)


def _batches(library: Library) -> dict[str, ProbeBatch]:
    probes = [library.probe, *(model.probe for model in library.models.values())]
    return {probe.batch.fingerprint: probe.batch for probe in probes}
