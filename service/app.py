"""The application, built from settings."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, nullcontext
from datetime import timedelta

import torch
from fastapi import FastAPI

from common.version import archrank_version
from models import ProbeBatch
from service.api.answers import AnswerCache
from service.api.authentication import Authenticator
from service.api.bodies import LargeBodies
from service.api.documents import stored_item
from service.api.event_streams import EventStreamLimiter
from service.api.middleware import HeadAsGet, RequestLog
from service.api.problems import install_handlers, problem_response
from service.api.routes import ROUTERS
from service.api.routes.page import page_router
from service.api.shutdown import ShutdownState
from service.inference.cache import ResultCache
from service.inference.context import AppContext
from service.inference.limits import SizeLimits
from service.inference.registry import EnsembleRegistry
from service.inference.scheduler import FairScheduler
from service.inference.scorer import CachedScorer
from service.jobs.runner import JobRunner
from service.jobs.watcher import JobWatcher
from service.observability.metrics import Metrics
from service.observability.tracing import Tracing
from service.settings import Settings
from service.storage import Store
from service.storage.health_check import StoreHealthCheck
from service.storage.opening import open_store
from service.studies.fits import StudyFits
from service.workers.backend import Backend
from service.workers.collector import BackendCollector
from service.workers.inline_backend import InlineBackend
from service.workers.process_backend import ProcessBackend, WorkerOptions, visible_gpus
from service.workers.ray_backend import RayBackend, RayOptions

MAX_THREADS = 32
"""Threads of the default executor. Most of them wait for the store, which may be unavailable."""
ANSWER_BYTES_PER_SCORE = 256
"""Memory for serialised answers, by the number of scores in memory."""
DESCRIPTION = "Predicts how well a graph-convolutional architecture will perform, without training it."


def create_app(
    settings: Settings | None = None, ensembles: EnsembleRegistry | None = None, store: Store | None = None
) -> FastAPI:
    """Build the application.

    Args:
        settings: the settings; by default from the environment.
        ensembles: the loaded ensembles; by default loaded at startup, as the settings say.
        store: the store; by default opened at startup, as the settings say, and closed at shutdown.
    """
    settings = settings or Settings()
    metrics, tracing = Metrics(), Tracing(settings.otlp_endpoint)
    shutdown = ShutdownState(settings.shutdown_timeout)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        loaded = ensembles or EnsembleRegistry.load(settings)
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(MAX_THREADS, "store"))
        backend = make_backend(settings, loaded)
        backend.start()  # first, since its processes take the longest to start
        try:
            opening = await asyncio.to_thread(open_store, settings) if store is None else nullcontext(store)
            with opening as opened:
                context = make_context(settings, loaded, backend, opened, metrics=metrics, tracing=tracing)
                metrics.register(BackendCollector(backend))
                retention = timedelta(seconds=settings.result_retention)
                runner = JobRunner(context, opened, retention, settings.heartbeat_timeout, stored_item)
                app.state.context, app.state.store, app.state.runner = context, opened, runner
                app.state.study_fits = study_fits = StudyFits(opened, loaded, metrics)
                app.state.store_check = StoreHealthCheck(opened)
                app.state.authenticator = authenticator = Authenticator(settings, opened)
                await authenticator.refresh()
                await runner.start()
                app.state.watcher = watcher = JobWatcher(opened)
                watcher.start()
                if (listener := opened.listener()) is not None:
                    listener.start()
                refresh = asyncio.create_task(authenticator.refresh_periodically())
                try:
                    yield
                finally:
                    refresh.cancel()
                    await watcher.stop()
                    if listener is not None:
                        await asyncio.to_thread(listener.stop)
                    study_fits.close()
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
        docs_url=None,  # FastAPI's own page loads its assets from another host
        redoc_url=None,
        redirect_slashes=False,  # the Host header of a request could redirect anywhere
        telemetry=tracing.telemetry,
        generate_unique_id_function=lambda route: route.name,  # operation ids for generated clients
    )
    app.state.settings, app.state.shutdown = settings, shutdown
    app.state.event_streams = EventStreamLimiter(settings.max_event_streams)
    app.state.large_bodies = LargeBodies()
    app.state.answers = AnswerCache(ANSWER_BYTES_PER_SCORE * settings.cache_size)
    install_handlers(app)
    for router in (*ROUTERS, page_router()):
        app.include_router(router)
    app.add_middleware(HeadAsGet)
    app.add_middleware(RequestLog, metrics=metrics, problem_response=problem_response)  # the last is the outermost
    return app


def make_backend(settings: Settings, ensembles: EnsembleRegistry) -> Backend:
    """Build the backend, with the probe batches of all ensembles."""
    batches = _probe_batches(ensembles)
    if settings.backend == "inline":
        return InlineBackend(batches, str(ensembles.device))
    if settings.backend == "ray":
        return RayBackend(batches, ray_options(settings))
    return ProcessBackend(batches, worker_options(settings, ensembles.device))


def worker_options(settings: Settings, device: torch.device) -> WorkerOptions:
    """Return the options of the worker processes."""
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


def ray_options(settings: Settings) -> RayOptions:
    """Return the options of the Ray cluster and its workers."""
    return RayOptions(
        address=settings.ray_address,
        namespace=settings.ray_namespace,
        allow_open=settings.ray_allow_open,
        join=settings.ray_join,
        min_workers=settings.ray_min_workers,
        max_workers=settings.ray_max_workers,
        num_threads=settings.num_threads or 1,
        num_gpus=settings.ray_num_gpus,
        task_timeout=settings.task_timeout,
        score_timeout=settings.score_timeout,
        scale_up_delay=settings.ray_scale_up_delay,
        idle_timeout=settings.ray_idle_timeout,
        max_tasks_per_worker=settings.max_tasks_per_worker,
        log=(settings.log_format, settings.log_level),
    )


def make_context(
    settings: Settings,
    ensembles: EnsembleRegistry,
    backend: Backend,
    store: Store | None,
    cache: ResultCache | None = None,
    metrics: Metrics | None = None,
    tracing: Tracing | None = None,
) -> AppContext:
    """Build the resources that requests and jobs share."""
    cache = ResultCache(settings.cache_size) if cache is None else cache
    metrics, tracing = metrics or Metrics(), tracing or Tracing()
    slots = max(1, len(backend.health().workers))
    scorer = CachedScorer(backend, FairScheduler(slots, settings.queue_size), cache, store, metrics, tracing)
    limits = SizeLimits(settings.max_parameters, settings.max_flops_ratio)
    return AppContext(ensembles, scorer, cache, limits, metrics, tracing, FairScheduler(1, settings.queue_size))


def _probe_batches(ensembles: EnsembleRegistry) -> dict[str, ProbeBatch]:
    """Return the batches that ensembles were fitted on; workers make all others."""
    batches = (loaded.ensemble.batch for loaded in ensembles.ensembles.values())
    return {batch.fingerprint: batch for batch in batches if batch is not None}
