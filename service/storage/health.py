"""Whether the store can be written, tried once a second at most: anybody may ask, and each try is a write."""

import asyncio
import math
from time import monotonic

from service.storage import Store, StoreError

FRESH = 1.0
"""Seconds for which the last answer holds."""


class StoreCheck:
    """For one event loop."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = asyncio.Lock()
        self._tried = -math.inf
        self._error: StoreError | None = None

    async def error(self) -> StoreError | None:
        """What is wrong, if anything is."""
        async with self._lock:
            if monotonic() - self._tried > FRESH:
                self._error = await self._try()
                self._tried = monotonic()
            return self._error

    async def _try(self) -> StoreError | None:
        try:
            await asyncio.to_thread(self._store.health)
        except StoreError as error:
            return error
        return None
