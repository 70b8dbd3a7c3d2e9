"""Fair scheduling: callers take turns at a limited number of slots, so that long jobs do not delay short requests."""

import asyncio
import math
from collections import Counter, OrderedDict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from uuid import uuid4

from common.errors import ArchrankError

MAX_RETRY_AFTER_S = 60
"""Upper limit of the advised waiting time."""
SMOOTHING = 0.2
"""Weight of the latest observation in the moving average of holding times."""


class QueueFullError(ArchrankError):
    """The queue is full.

    Attributes:
        retry_after: estimated time in seconds until there is room.
    """

    def __init__(self, detail: str, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(detail)


class QuotaExceededError(QueueFullError):
    """An owner's share of the queue is full."""


async def _do_nothing() -> None:
    return None


@dataclass(frozen=True)
class Requester:
    """A request or job that waits for slots.

    Attributes:
        owner: id of its API key.
        queue_share: fraction of the queue that the owner may fill.
        request_id: distinguishes the owner's requests and jobs.
        is_batch: true for work that nobody waits for, such as a job's: it is neither counted in the queue nor refused.
        is_separate: true for work that shares no computation with others' work.
        on_start: awaited when a slot is acquired, before anything is computed.
    """

    owner: str = "anonymous"
    queue_share: float = 1.0
    request_id: str = field(default_factory=lambda: uuid4().hex)
    is_batch: bool = False
    is_separate: bool = False
    on_start: Callable[[], Awaitable[None]] = _do_nothing


class FairScheduler:
    """Round-robin over owners, then over each owner's requests; first come, first served within a request.

    For one event loop.

    Args:
        slots: number of slots.
        max_queue_depth: number of queued architectures from which `check` refuses more.
    """

    def __init__(self, slots: int, max_queue_depth: int) -> None:
        self._free = self._slots = slots
        self._max_queue_depth = max_queue_depth
        self._queues: OrderedDict[str, OrderedDict[str, deque[asyncio.Future[None]]]] = OrderedDict()
        self._depths: Counter[str] = Counter()  # by owner, without batch work, including what holds a slot
        self._mean_seconds = 1.0  # moving average of the time for which a slot is held

    @property
    def slots(self) -> int:
        """Number of slots."""
        return self._slots

    @property
    def seconds_per_architecture(self) -> float:
        """Estimated time that each further architecture takes."""
        return self._mean_seconds / self._slots

    @property
    def queue_depth(self) -> int:
        """Number of architectures of requests that wait for a slot or hold one."""
        return self._depths.total()

    def check(self, requester: Requester) -> None:
        """Check that the queue has room.

        Raises:
            QueueFullError: the queue is full.
            QuotaExceededError: the owner's share of the queue is full.
        """
        depth, total = self._depths[requester.owner], self.queue_depth
        if total >= self._max_queue_depth:
            raise QueueFullError(*self._advice(total, "architectures wait already"))
        if depth >= max(1, int(requester.queue_share * self._max_queue_depth)):
            raise QuotaExceededError(*self._advice(depth, "of your architectures wait already"))

    def _advice(self, depth: int, subject: str) -> tuple[str, int]:
        retry_after = min(MAX_RETRY_AFTER_S, max(1, math.ceil(depth * self.seconds_per_architecture)))
        return f"{depth} {subject}; come again in {retry_after} s", retry_after

    async def acquire(self, requester: Requester) -> None:
        """Wait for a slot. `release` frees it."""
        self._depths[requester.owner] += not requester.is_batch
        if self._free and not self._queues:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        requests = self._queues.setdefault(requester.owner, OrderedDict())
        requests.setdefault(requester.request_id, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            self._leave(requester)
            if not turn.cancelled():  # the slot was assigned in the moment of the cancellation
                self._assign_slot()
            raise

    def release(self, requester: Requester, seconds: float) -> None:
        """Free a slot that was held for `seconds`."""
        self._leave(requester)
        self._mean_seconds += SMOOTHING * (seconds - self._mean_seconds)
        self._assign_slot()

    def _leave(self, requester: Requester) -> None:
        self._depths[requester.owner] -= not requester.is_batch
        if not self._depths[requester.owner]:
            del self._depths[requester.owner]

    def _assign_slot(self) -> None:
        """Give a free slot to the next in turn, skipping cancelled ones."""
        while self._queues:
            owner, requests = self._queues.popitem(last=False)
            request_id, queue = requests.popitem(last=False)
            turn = queue.popleft()
            if queue:
                requests[request_id] = queue
            if requests:
                self._queues[owner] = requests
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
