"""Limits on the number of open event streams."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from service.api.authentication import Caller
from service.api.problems import ProblemError


class EventStreamLimiter:
    """Limits open event streams, in all and by caller. For one event loop.

    Args:
        max_streams: streams that may be open at once; a caller may have `queue_share` of them.
    """

    def __init__(self, max_streams: int) -> None:
        self._max_streams = max_streams
        self._open: Counter[str] = Counter()

    @contextmanager
    def slot(self, caller: Caller) -> Iterator[None]:
        """Hold a slot for a stream.

        Raises:
            ProblemError: 503 if all slots are taken, 429 if the caller's share of them is.
        """
        share = max(1, int(caller.queue_share * self._max_streams))
        if self._open.total() >= self._max_streams:
            raise ProblemError(503, f"{self._max_streams} event streams are open already")
        if self._open[caller.id] >= share:
            raise ProblemError(429, f"{share} of your event streams are open already; that is your share")
        self._open[caller.id] += 1
        try:
            yield
        finally:
            self._open[caller.id] -= 1
            if not self._open[caller.id]:
                del self._open[caller.id]
