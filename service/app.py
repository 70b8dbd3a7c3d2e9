"""The application: settings in, FastAPI out."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, nullcontext
from datetime import timedelta

import torch
from fastapi import FastAPI

from common.version import archrank_version
from models.batches import ProbeBatch
from service.api import problems as errors
from service.api.authentication import Authenticator
from service.api.bodies import LargeBodies
from service.api.event_streams import EventStreamLimiter
from service.api.middleware import HeadAsGet, RequestLog
from service.api.routes import ROUTERS
from service.api.routes.page import page_router
from service.api.shutdown import ShutdownState
from service.inference.cache import Memory
from service.inference.context import AppContext
from service.inference.limits import Limits
from service.inference.registry import EnsembleRegistry
from service.inference.scheduler import FairScheduler
from service.inference.scorer import Scorer
from service.jobs.runner import JobRunner
from service.observability.metrics import Metrics
from service.observability.tracing import Tracing
from service.settings import Settings
from service.storage import Store
from service.storage.health_check import StoreHealthCheck
from service.storage.opening import open_store
from service.workers.backend import Backend
from service.workers.collector import BackendCollector
from service.workers.inline_backend import InlineBackend
from service.workers.process_backend import ProcessBackend, WorkerOptions, visible_gpus

THREADS = 32
DESCRIPTION = "Predicts how well a graph-convolutional architecture will perform, without training it."


def create_app(
    settings: Settings | None = None, library: EnsembleRegistry | None = None, store: Store | None = None
) -> FastAPI:
    """The service.

    Args:
        settings: from the environment where not given.
        library: loaded as the settings say, when the application starts, where not given.
        store: opened and closed with the application, as the settings say, where not given.
    """
    settings = settings or Settings()
    metrics, tracing, shutdown = Metrics(), Tracing(settings.otlp_endpoint), ShutdownState(settings.shutdown_timeout)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        loaded = library or EnsembleRegistry.load(settings)
        # Most threads wait for the store, which may be away: the default of a few more than there are cores is too few.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS, "store"))
        backend = make_backend(settings, loaded)
        backend.start()  # first, as its processes take the longest to be ready
        try:
            own = await asyncio.to_thread(open_store, settings) if store is None else nullcontext(store)
            with own as opened:
                context = make_context(settings, loaded, backend, opened, metrics=metrics, tracing=tracing)
                metrics.register(BackendCollector(backend))
                runner = JobRunner(
                    context, opened, timedelta(seconds=settings.result_retention), settings.heartbeat_timeout
                )
                app.state.context, app.state.store, app.state.runner = context, opened, runner
                app.state.store_check = StoreHealthCheck(opened)
                app.state.authenticator = authenticator = Authenticator(settings, opened)
                await authenticator.refresh()
                await runner.start()
                refreshing = asyncio.create_task(authenticator.refresh_periodically())
                try:
                    yield
                finally:
                    refreshing.cancel()
                    await runner.stop(shutdown.remaining)
                    await asyncio.to_thread(backend.drain, shutdown.remaining)
                    await context.scorer.flush()
                    context.close()
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
        telemetry=tracing.telemetry,
        generate_unique_id_function=lambda route: route.name,  # operation ids for generated clients
    )
    app.state.settings, app.state.shutdown = settings, shutdown
    app.state.event_streams = EventStreamLimiter(settings.max_event_streams)
    app.state.large_bodies = LargeBodies()
    errors.install(app)
    for router in (*ROUTERS, page_router()):
        app.include_router(router)
    app.add_middleware(HeadAsGet)
    app.add_middleware(RequestLog, metrics=metrics, failed=errors.answer)  # the last is the outermost
    return app


def make_backend(settings: Settings, library: EnsembleRegistry) -> Backend:
    """What scores, told the probe batches of all ensembles."""
    batches = _batches(library)
    if settings.backend == "inline":
        return InlineBackend(batches, str(library.device))
    return ProcessBackend(batches, worker_options(settings, library.device))


def worker_options(settings: Settings, device: torch.device) -> WorkerOptions:
    """How many processes score, and how."""
    return WorkerOptions(
        gpus=visible_gpus() if device.type == "cuda" else (),
        num_workers=settings.num_workers or torch.get_num_threads(),
        workers_per_gpu=settings.workers_per_gpu,
        num_threads=settings.num_threads,
        task_timeout=settings.task_timeout,
        score_timeout=settings.score_timeout,
        max_tasks_per_worker=settings.max_tasks_per_worker,
        log=(settings.log_format, settings.log_level),
    )


def make_context(
    settings: Settings,
    library: EnsembleRegistry,
    backend: Backend,
    store: Store | None,
    memory: Memory | None = None,
    metrics: Metrics | None = None,
    tracing: Tracing | None = None,
) -> AppContext:
    """What requests are answered with."""
    memory, metrics, tracing = memory or Memory(settings.cache_size), metrics or Metrics(), tracing or Tracing()
    turns = FairScheduler(places=max(1, len(backend.health().workers)), most_waiting=settings.queue_size)
    limits = Limits(settings.max_parameters, settings.max_flops_ratio)
    scorer = Scorer(backend, turns, memory, store, metrics, tracing)
    return AppContext(library, scorer, memory, limits, metrics, tracing, FairScheduler(1, settings.queue_size))


def _batches(library: EnsembleRegistry) -> dict[str, ProbeBatch]:
    probes = [library.probe, *(model.probe for model in library.models.values())]
    return {probe.batch.fingerprint: probe.batch for probe in probes}
