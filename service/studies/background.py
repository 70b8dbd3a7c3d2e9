"""Values that are computed in the background from the newest revision of something stored."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from threading import Thread
from time import monotonic
from typing import Generic, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
log = logging.getLogger(__name__)
RETRY_INTERVAL_S = 30.0
"""Interval after which a failed computation is repeated without a newer revision."""


class BackgroundThreads:
    """Daemon threads, a limited number at a time: the process can end while one computes. For one event loop.

    Args:
        number: maximum number of threads.
        name: name of the threads.
    """

    def __init__(self, number: int, name: str) -> None:
        self._slots, self._name = asyncio.Semaphore(number), name

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function in a thread, and return its result or raise its exception."""
        async with self._slots:
            loop = asyncio.get_running_loop()
            finished: asyncio.Future[T] = loop.create_future()

            def settle(result: T | None, error: BaseException | None) -> None:
                if not finished.done():  # else cancelled
                    finished.set_exception(error) if error else finished.set_result(result)  # type: ignore[arg-type]

            def target() -> None:
                result, failure = None, None
                try:
                    result = work(*args, **kwargs)
                except BaseException as error:
                    failure = error
                with suppress(RuntimeError):  # the loop is closed
                    loop.call_soon_threadsafe(settle, result, failure)

            Thread(target=target, name=self._name, daemon=True).start()
            return await finished


class Latest(Generic[T]):
    """Latest value of something that is computed in the background, one computation at a time. For one event loop.

    Revisions that are requested during a computation are covered by the next one: the newest wins.

    Args:
        name: name of the value in log messages.
        compute: returns the newest revision that it has read, and the value.
        on_value: called after each computation that succeeded.

    Attributes:
        value: the last value that could be computed; None before the first.
        revision: revision that it is of; -1 before the first.
        error: exception of the last computation; None if it succeeded.
    """

    def __init__(
        self, name: str, compute: Callable[[], Awaitable[tuple[int, T]]], on_value: Callable[[], None] | None = None
    ) -> None:
        self._name, self._compute, self._on_value = name, compute, on_value
        self.value: T | None = None
        self.revision = -1
        self.error: Exception | None = None
        self._wanted = self._failed = -1
        self._failed_at = 0.0
        self._task: asyncio.Task[None] | None = None
        self._computed = asyncio.Event()  # one per computation

    @property
    def is_running(self) -> bool:
        """True during a computation."""
        return self._task is not None and not self._task.done()

    def request(self, revision: int) -> None:
        """Compute the value of a revision or a newer one, unless it is known or has just failed."""
        if revision <= self.revision:
            return
        if revision <= self._failed:
            if monotonic() < self._failed_at + RETRY_INTERVAL_S:
                return
            self._failed = -1
        self._wanted = max(self._wanted, revision)
        if not self.is_running:
            self._task = asyncio.create_task(self._run())

    async def wait(self, revision: int) -> None:
        """Wait until the value is of a revision or newer, or is not computed any more."""
        while self.revision < revision and self.is_running:
            await self._computed.wait()

    def cancel(self) -> None:
        """Abandon the computation; its thread continues."""
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        while self._wanted > max(self.revision, self._failed):
            wanted = self._wanted
            try:
                revision, self.value = await self._compute()
            except Exception as error:
                log.exception("%s could not be computed", self._name)
                self.error, self._failed, self._failed_at = error, wanted, monotonic()
            else:
                self.revision, self.error = max(revision, wanted), None
                if self._on_value is not None:
                    self._on_value()
            finally:
                self._computed.set()
                self._computed = asyncio.Event()
