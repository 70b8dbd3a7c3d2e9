"""Everything that a request or a job is answered with."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

from service.cache import Memory
from service.library import Library
from service.limits import Limits
from service.metrics import Metrics
from service.scorer import Scorer
from service.tracing import Tracing

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Desk:
    """Shared by all requests of a process.

    Attributes:
        library: what a request may name.
        scorer: what has architectures scored.
        memory: what is known from earlier requests.
        limits: how large an architecture may be.
        metrics: what counts all this.
        tracing: what traces it.
    """

    library: Library
    scorer: Scorer
    memory: Memory
    limits: Limits
    metrics: Metrics
    tracing: Tracing
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "ensemble"))

    async def compute(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run what takes milliseconds in a thread of its own, so that meanwhile others are answered."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: work(*args, **kwargs))

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(cancel_futures=True)
