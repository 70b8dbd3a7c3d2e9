"""Places for event streams, of which no API key has more than its share."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from service.api.authentication import Caller
from service.api.problems import ProblemError


class Streams:
    """Counts the open streams. For one event loop.

    Args:
        most: number of streams that may be open at once.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: Counter[str] = Counter()

    @contextmanager
    def place(self, caller: Caller) -> Iterator[None]:
        """Hold a place. Raises `ProblemError`: 503 where all are taken, 429 where the caller has its share of them."""
        share = max(1, int(caller.share * self._most))
        if self._open.total() >= self._most:
            raise ProblemError(503, f"{self._most} streams of events are open already")
        if self._open[caller.id] >= share:
            raise ProblemError(429, f"{share} of your streams of events are open already; that is your share")
        self._open[caller.id] += 1
        try:
            yield
        finally:
            self._open[caller.id] -= 1
            if not self._open[caller.id]:
                del self._open[caller.id]
