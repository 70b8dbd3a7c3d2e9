"""Writes to the store that no request waits for."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from service.storage.errors import StoreError

log = logging.getLogger(__name__)
RETRY_INTERVAL_S = 1.0
FLUSH_TIMEOUT_S = 5.0
T = TypeVar("T")


class WriteBehind(Generic[T]):
    """Queue of values that one thread writes in batches, in order, and again until the store takes them.

    A locked store blocks one thread, however many values are queued. For one event loop.

    Args:
        name: name of the values in log messages.
        write: writes values; called in a thread.
        on_written: called with the written values in the event loop.
    """

    def __init__(
        self, name: str, write: Callable[[Sequence[T]], object], on_written: Callable[[Sequence[T]], object] = len
    ) -> None:
        self._name, self._write, self._on_written = name, write, on_written
        self._queue: list[T] = []
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, values: Sequence[T]) -> None:
        """Queue values."""
        self._queue += values
        if self._queue and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._run())

    async def add_and_wait(self, values: Sequence[T], timeout: float) -> None:
        """Queue values, and wait until they are written or `timeout` seconds have passed."""
        self.add(values)
        if self._task is not None:
            await asyncio.wait((self._task,), timeout=timeout)

    async def flush(self, timeout: float = FLUSH_TIMEOUT_S) -> None:
        """Wait until all values are written; discard those that are not after `timeout` seconds."""
        if self._task is not None:
            await asyncio.wait((self._task,), timeout=timeout)
            self._task.cancel()

    async def _run(self) -> None:
        while self._queue:
            values, self._queue = self._queue, []
            while not await self._try_to_write(values):
                await asyncio.sleep(RETRY_INTERVAL_S)
            self._on_written(values)

    async def _try_to_write(self, values: Sequence[T]) -> bool:
        try:
            await asyncio.to_thread(self._write, values)
        except StoreError as error:
            log.error("%d %s cannot be stored yet: %s", len(values), self._name, error)
            return False
        return True
