"""Servers on one store watch each other: whose counter stands still for too long is gone, whatever the clocks say."""

from collections.abc import Callable
from time import monotonic

from service.storage import Requeued, Store, StoreError
from service.storage.records import JsonObject

BEATS = 5
"""How often a server counts its counter up in the time after which it is given up."""


class HeartbeatMonitor:
    """One server's view of the others. Not thread-safe.

    Args:
        store: that they share.
        name: of this server.
        seconds: how long a counter may stand still.
        clock: seconds by this server's own clock, which never jumps.
    """

    def __init__(self, store: Store, name: str, seconds: float, clock: Callable[[], float] = monotonic) -> None:
        self._store, self._name, self._seconds, self._clock = store, name, seconds, clock
        self._seen: dict[str, tuple[int, float]] = {}  # by worker its counter, and since when it is that

    @property
    def pause(self) -> float:
        """Seconds between two looks."""
        return self._seconds / BEATS

    def look(self, most_attempts: int, error: JsonObject) -> Requeued:
        """Say that this server is alive, and put back the items of those that are not; as `Queue.requeue`.

        A server that was only paused, and given up meanwhile, is there again after its next look.
        """
        now = self._clock()  # before the counters are read: how long that takes counts against nobody
        try:
            beats = self._store.servers.beat(self._name)
        except StoreError:
            self._seen.clear()  # nobody could count: they all have the whole time again
            raise
        beats.pop(self._name)
        before, self._seen = self._seen, {}
        for name, beat in beats.items():
            seen = before.get(name)
            self._seen[name] = seen if seen is not None and seen[0] == beat else (beat, now)
        # Only where the counter still stands there, lest one go who comes back in this moment, or this one was paused.
        self._store.servers.forget({name: beat for name, (beat, at) in self._seen.items() if now - at > self._seconds})
        return self._store.queue.requeue_lost(most_attempts, error)
