"""Resources shared by all requests and jobs of a process."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import ParamSpec, TypeVar

from service.inference.cache import ResultCache
from service.inference.limits import SizeLimits
from service.inference.merged_predictions import MergedPredictions
from service.inference.registry import EnsembleRegistry
from service.inference.scheduler import FairScheduler, Requester
from service.inference.scorer import CachedScorer
from service.observability.metrics import Metrics
from service.observability.tracing import Tracing

MAX_MERGED_PREDICTIONS = 64
"""Maximum number of predictions of items of jobs in one turn of the thread."""
P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class AppContext:
    """Resources shared by all requests and jobs of a process.

    Attributes:
        ensembles: the loaded ensembles.
        scorer: source of proxy scores.
        cache: results of earlier requests.
        limits: maximum size of an architecture.
        metrics: Prometheus metrics.
        tracing: OpenTelemetry traces.
        scheduler: assigns the thread in which ensembles predict and explain.
        merged_predictions: predictions of items of jobs, several in one turn of the thread.
    """

    ensembles: EnsembleRegistry
    scorer: CachedScorer
    cache: ResultCache
    limits: SizeLimits
    metrics: Metrics
    tracing: Tracing
    scheduler: FairScheduler
    merged_predictions: MergedPredictions = field(init=False)
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "ensemble"))

    def __post_init__(self) -> None:
        object.__setattr__(self, "merged_predictions", MergedPredictions(self.run_brief, MAX_MERGED_PREDICTIONS))

    @property
    def queue_depth(self) -> int:
        """Number of architectures of requests that wait to be scored or explained, or are."""
        return self.scorer.scheduler.queue_depth + self.scheduler.queue_depth

    async def run_brief(self, requester: Requester, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a few milliseconds of work in the thread, in fair order but not counted in the queue."""
        return await self.run(replace(requester, is_batch=True), work, *args, **kwargs)

    async def run(self, requester: Requester, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run the work of one architecture in the thread, in fair order, without blocking the event loop."""
        await self.scheduler.acquire(requester)
        started = perf_counter()
        try:
            await requester.on_start()
            loop = asyncio.get_running_loop()
            running = loop.run_in_executor(self._thread, lambda: work(*args, **kwargs))
        except BaseException:
            self.scheduler.release(requester, perf_counter() - started)
            raise
        # The slot is held until the thread is free, even if the caller is cancelled.
        running.add_done_callback(lambda _: self.scheduler.release(requester, perf_counter() - started))
        return await asyncio.shield(running)

    def close(self) -> None:
        """Stop the thread."""
        self._thread.shutdown(cancel_futures=True)
