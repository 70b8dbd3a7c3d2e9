"""Watches jobs for the open event streams, so that idle streams cost the store nothing."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from service.storage import Store, StoreError

log = logging.getLogger(__name__)
POLL_INTERVAL_S = 2.0
"""Interval at which all watched jobs are read in one query, in case news were lost."""
CHECK_INTERVAL_S = 0.25
"""Interval at which streams that have to end are woken; this reads nothing."""


@dataclass(eq=False)
class Watch:
    """An open event stream.

    Attributes:
        job: id of the job.
        last_event_id: id of the last event that was sent.
        is_over: returns True if the stream has to end.
        woken: set when the job may have new events, and when the stream has to end.
    """

    job: str
    last_event_id: int
    is_over: Callable[[], bool]
    woken: asyncio.Event = field(default_factory=asyncio.Event)


class JobWatcher:
    """Wakes event streams: on news of their jobs at once, else after the next poll. For one event loop.

    Args:
        store: store of the jobs.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._watches: dict[str, set[Watch]] = {}
        self._loop = asyncio.get_running_loop()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Subscribe to news, and start polling."""
        self._store.news.subscribe(self._on_news)
        self._tasks = [asyncio.create_task(work) for work in (self._poll_periodically(), self._check_periodically())]

    async def stop(self) -> None:
        """Unsubscribe, and stop polling."""
        self._store.news.unsubscribe(self._on_news)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @contextmanager
    def watch(self, job: str, last_event_id: int, is_over: Callable[[], bool]) -> Iterator[Watch]:
        """Watch a job while its event stream is open.

        Args:
            job: id of the job.
            last_event_id: id of the last event that was sent; the stream keeps it up to date.
            is_over: returns True if the stream has to end.
        """
        watch = Watch(job, last_event_id, is_over)
        self._watches.setdefault(job, set()).add(watch)
        try:
            yield watch
        finally:
            self._watches[job].discard(watch)
            if not self._watches[job]:
                del self._watches[job]

    async def poll(self) -> None:
        """Wake the streams whose jobs have other events than were sent. Raises `StoreError`."""
        if not self._watches:
            return
        last_events = await asyncio.to_thread(self._store.jobs.last_events, list(self._watches))
        for watch in self._all():
            if last_events.get(watch.job) != watch.last_event_id:
                watch.woken.set()

    def _all(self) -> list[Watch]:
        return [watch for watches in self._watches.values() for watch in watches]

    def _on_news(self, jobs: Iterable[str]) -> None:
        self._loop.call_soon_threadsafe(self._wake, tuple(jobs))

    def _wake(self, jobs: Iterable[str]) -> None:
        for job in jobs:
            for watch in self._watches.get(job, ()):
                watch.woken.set()

    async def _poll_periodically(self) -> None:
        while True:
            await asyncio.sleep(POLL_INTERVAL_S)
            try:
                await self.poll()
            except StoreError as error:
                log.warning("events wait for the store: %s", error)

    async def _check_periodically(self) -> None:
        while True:
            await asyncio.sleep(CHECK_INTERVAL_S)
            for watch in self._all():
                if watch.is_over():
                    watch.woken.set()
