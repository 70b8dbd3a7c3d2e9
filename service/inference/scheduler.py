"""Who is next: places at the device go round the callers, so that a long job does not hold up a short request."""

import asyncio
import math
from collections import Counter, OrderedDict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from uuid import uuid4

from common.errors import ArchrankError

LONGEST_WAIT = 60
"""Upper limit of the advice when to come again, in seconds."""


class QueueFullError(ArchrankError):
    """The queue is full. `retry_after`: in how many seconds it might not be."""

    def __init__(self, detail: str, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(detail)


class QuotaExceededError(QueueFullError):
    """One caller's part of the queue is full."""


async def _nothing() -> None:
    return None


@dataclass(frozen=True)
class Requester:
    """Who waits for a place.

    Attributes:
        owner: whose work it is.
        share: of the queue that the owner may fill.
        request: among the owner's requests and jobs.
        patient: waits however long it takes, as a job does, so it neither fills the queue nor is refused.
        begun: awaited when a place is had, before anything is computed there.
    """

    owner: str = "anonymous"
    share: float = 1.0
    request: str = field(default_factory=lambda: uuid4().hex)
    patient: bool = False
    begun: Callable[[], Awaitable[None]] = _nothing


class FairScheduler:
    """Places that are taken in turns: by owners, by each one's requests, in each first come first served.

    For one event loop.

    Args:
        places: how many there are.
        most_waiting: how many may wait for one, above which `check` refuses more.
    """

    def __init__(self, places: int, most_waiting: int) -> None:
        self._free = self._places = places
        self._most_waiting = most_waiting
        self._owners: OrderedDict[str, OrderedDict[str, deque[asyncio.Future[None]]]] = OrderedDict()
        self._waiting: Counter[str] = Counter()  # by owner, of those that are not patient, with those that have a place
        self._pace = 1.0  # seconds that a place is held, a moving average

    @property
    def seconds_each(self) -> float:
        """How long one more architecture takes at the present pace."""
        return self._pace / self._places

    @property
    def waiting(self) -> int:
        """How many architectures of requests wait for a place or have one."""
        return self._waiting.total()

    def check(self, asker: Requester) -> None:
        """Raise `BusyError` where too many wait already, `ShareError` where too many of the owner's do."""
        own, all_ = self._waiting[asker.owner], self.waiting
        if all_ >= self._most_waiting:
            raise QueueFullError(*self._advice(all_, "architectures wait already"))
        if own >= max(1, int(asker.share * self._most_waiting)):
            raise QuotaExceededError(*self._advice(own, "of your architectures wait already"))

    def _advice(self, number: int, what: str) -> tuple[str, int]:
        soon = min(LONGEST_WAIT, max(1, math.ceil(number * self.seconds_each)))
        return f"{number} {what}; come again in {soon} s", soon

    async def take(self, asker: Requester) -> None:
        """Wait for a place, which `give_back` frees."""
        self._waiting[asker.owner] += not asker.patient
        if self._free and not self._owners:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        requests = self._owners.setdefault(asker.owner, OrderedDict())
        requests.setdefault(asker.request, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            self._left(asker)
            if not turn.cancelled():  # it came in the moment in which it was given up
                self._next()
            raise

    def give_back(self, asker: Requester, seconds: float) -> None:
        """Free a place that was held for so long."""
        self._left(asker)
        self._pace += 0.2 * (seconds - self._pace)
        self._next()

    def _left(self, asker: Requester) -> None:
        self._waiting[asker.owner] -= not asker.patient
        if not self._waiting[asker.owner]:
            del self._waiting[asker.owner]

    def _next(self) -> None:
        """Whose turn it is has it; those that were given up are passed over."""
        while self._owners:
            owner, requests = self._owners.popitem(last=False)
            request, queue = requests.popitem(last=False)
            turn = queue.popleft()
            if queue:
                requests[request] = queue
            if requests:
                self._owners[owner] = requests
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
