"""Detection of lost servers among those that share a store, independent of their clocks."""

from collections.abc import Callable
from time import monotonic

from service.storage import RequeueResult, Store, StoreError
from service.storage.records import JsonObject

BEATS_PER_TIMEOUT = 5
"""Number of heartbeats that a server sends within the timeout after which it counts as lost."""


class HeartbeatMonitor:
    """Sends the heartbeats of one server, and requeues the items of servers whose heartbeats stall. Not thread-safe.

    Args:
        store: store that the servers share.
        server: name of this server.
        timeout: time without a heartbeat after which a server counts as lost, in seconds.
        clock: monotonic clock, in seconds.
    """

    def __init__(self, store: Store, server: str, timeout: float, clock: Callable[[], float] = monotonic) -> None:
        self._store, self._server, self._timeout, self._clock = store, server, timeout, clock
        self._last_changes: dict[str, tuple[int, float]] = {}  # by server, its counter and the time of its change

    @property
    def interval(self) -> float:
        """Time between two heartbeats, in seconds."""
        return self._timeout / BEATS_PER_TIMEOUT

    def poll(self, max_attempts: int, error: JsonObject) -> RequeueResult:
        """Send a heartbeat, and requeue the items of lost servers.

        A server that was paused and counted as lost is registered again by its next heartbeat.

        Args:
            max_attempts: see `JobQueue.requeue_all`.
            error: see `JobQueue.requeue_all`.

        Raises:
            StoreError: the store failed; every server gets the whole timeout again.
        """
        now = self._clock()  # before the counters are read, so that a slow store makes no server look lost
        try:
            heartbeats = self._store.servers.beat(self._server)
        except StoreError:
            self._last_changes.clear()
            raise
        heartbeats.pop(self._server)
        previous, self._last_changes = self._last_changes, {}
        for server, counter in heartbeats.items():
            last = previous.get(server)
            self._last_changes[server] = last if last is not None and last[0] == counter else (counter, now)
        # Compares the counters again, in case the server has just recovered or this one was paused.
        stalled = {server: counter for server, (counter, at) in self._last_changes.items() if now - at > self._timeout}
        self._store.servers.remove_lost(stalled)
        return self._store.queue.requeue_lost(max_attempts, error)
