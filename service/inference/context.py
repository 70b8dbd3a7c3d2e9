"""Everything that a request or a job is answered with."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import ParamSpec, TypeVar

from service.inference.cache import Memory
from service.inference.limits import Limits
from service.inference.registry import EnsembleRegistry
from service.inference.scheduler import FairScheduler, Requester
from service.inference.scorer import Scorer
from service.observability.metrics import Metrics
from service.observability.tracing import Tracing

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class AppContext:
    """Shared by all requests of a process.

    Attributes:
        library: what a request may name.
        scorer: what has architectures scored.
        memory: what is known from earlier requests.
        limits: how large an architecture may be.
        metrics: what counts all this.
        tracing: what traces it.
        turns: who may have the thread in which ensembles predict and explain.
    """

    library: EnsembleRegistry
    scorer: Scorer
    memory: Memory
    limits: Limits
    metrics: Metrics
    tracing: Tracing
    turns: FairScheduler
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "ensemble"))

    @property
    def waiting(self) -> int:
        """Number of architectures of requests that wait to be scored or explained, or are."""
        return self.scorer.turns.waiting + self.turns.waiting

    async def quick(self, asker: Requester, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a few milliseconds of work in the thread, in turns with others but past the limits of the queue."""
        return await self.compute(replace(asker, patient=True), work, *args, **kwargs)

    async def compute(self, asker: Requester, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run the work of one architecture in the thread, in turns with others; meanwhile the event loop is free."""
        await self.turns.take(asker)
        started = perf_counter()
        try:
            await asker.begun()
            loop = asyncio.get_running_loop()
            running = loop.run_in_executor(self._thread, lambda: work(*args, **kwargs))
        except BaseException:
            self.turns.give_back(asker, perf_counter() - started)
            raise
        # The place is taken until the thread is free, also where nobody waits for the result any more.
        running.add_done_callback(lambda _: self.turns.give_back(asker, perf_counter() - started))
        return await asyncio.shield(running)

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(cancel_futures=True)
