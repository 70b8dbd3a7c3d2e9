"""Health check of the store."""

import asyncio
import math
from time import monotonic

from service.storage.errors import StoreError
from service.storage.store import Store

CHECK_INTERVAL_S = 1.0
"""Minimum time between two checks, each of which writes to the store."""


class StoreHealthCheck:
    """Health check whose result is cached, as anyone may request it often. For one event loop.

    Args:
        store: the store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = asyncio.Lock()
        self._checked_at = -math.inf
        self._error: StoreError | None = None

    async def error(self) -> StoreError | None:
        """Return the error of the latest check; None if it succeeded."""
        async with self._lock:
            if monotonic() - self._checked_at > CHECK_INTERVAL_S:
                self._error = await self._check()
                self._checked_at = monotonic()
            return self._error

    async def _check(self) -> StoreError | None:
        try:
            await asyncio.to_thread(self._store.check_health)
        except StoreError as error:
            return error
        return None
