"""Write to the store behind the back of those who wait for answers."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from service.storage.errors import StoreError

log = logging.getLogger(__name__)
PAUSE = 1.0
"""Seconds after which the store is tried again."""
LAST = 5.0
"""Seconds for the last of it, when the server ends."""
T = TypeVar("T")


class WriteBehind(Generic[T]):
    """Writes what it is given, in order, together what has gathered meanwhile, and again until the store takes it.

    So one thread waits for a store that is locked, however much there is to write. For one event loop.

    Args:
        what: it is, for the log.
        write: called in a thread.
        written: called afterwards, in the event loop.
    """

    def __init__(
        self, what: str, write: Callable[[Sequence[T]], object], written: Callable[[Sequence[T]], object] = len
    ) -> None:
        self._what, self._write, self._written = what, write, written
        self._waiting: list[T] = []
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, values: Sequence[T]) -> None:
        """Have these written."""
        self._waiting += values
        if self._waiting and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._run())

    async def soon(self, values: Sequence[T], seconds: float) -> None:
        """Have these written, and return when they are, or after so long."""
        self.add(values)
        if self._task is not None:
            await asyncio.wait((self._task,), timeout=seconds)

    async def flush(self, seconds: float = LAST) -> None:
        """Return when all is written, or give up what is not by then."""
        if self._task is not None:
            await asyncio.wait((self._task,), timeout=seconds)
            self._task.cancel()

    async def _run(self) -> None:
        while self._waiting:
            values, self._waiting = self._waiting, []
            while not await self._wrote(values):
                await asyncio.sleep(PAUSE)
            self._written(values)

    async def _wrote(self, values: Sequence[T]) -> bool:
        try:
            await asyncio.to_thread(self._write, values)
        except StoreError as error:
            log.error("%d %s cannot be stored yet: %s", len(values), self._what, error)
            return False
        return True
