"""Who is next: places at the device go round the callers, so that a long job does not hold up a short request."""

import asyncio
import math
from collections import OrderedDict, deque

from models.errors import ArchrankError

LONGEST_WAIT = 60
"""Upper limit of the advice when to come again, in seconds."""


class BusyError(ArchrankError):
    """The queue is full. `retry_after`: in how many seconds it might not be."""

    def __init__(self, detail: str, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(detail)


class Turns:
    """Places that are taken in turns between callers, first come first served within each. For one event loop.

    Args:
        places: how many there are.
        most_waiting: how many may wait for one, above which `check` refuses more.
    """

    def __init__(self, places: int, most_waiting: int) -> None:
        self._free = self._places = places
        self._most_waiting = most_waiting
        self._queues: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._pace = 1.0  # seconds that a place is held, a moving average

    @property
    def seconds_each(self) -> float:
        """How long one more architecture takes at the present pace."""
        return self._pace / self._places

    @property
    def waiting(self) -> int:
        """How many wait for a place or have one."""
        return self._places - self._free + sum(map(len, self._queues.values()))

    def check(self) -> None:
        """Raise `BusyError` where too many wait already."""
        if self.waiting >= self._most_waiting:
            soon = min(LONGEST_WAIT, max(1, math.ceil(self.waiting * self.seconds_each)))
            raise BusyError(f"{self.waiting} architectures wait already; come again in {soon} s", soon)

    async def take(self, caller: str) -> None:
        """Wait for a place, which `give_back` frees."""
        if self._free and not self._queues:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._queues.setdefault(caller, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._forget(caller, turn)
            else:  # it came in the moment in which it was given up
                self._next()
            raise

    def give_back(self, seconds: float) -> None:
        """Free a place that was held for so long."""
        self._pace += 0.2 * (seconds - self._pace)
        self._next()

    def _forget(self, caller: str, turn: "asyncio.Future[None]") -> None:
        queue = self._queues.get(caller)
        if queue and turn in queue:
            queue.remove(turn)
            if not queue:
                del self._queues[caller]

    def _next(self) -> None:
        while self._queues:
            caller, queue = next(iter(self._queues.items()))
            turn = queue.popleft()
            if queue:
                self._queues.move_to_end(caller)
            else:
                del self._queues[caller]
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
