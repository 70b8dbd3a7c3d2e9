"""News of jobs: ids of those with new events, published as transactions are committed."""

import logging
import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import closing

from sqlalchemy import Connection

from service.storage.errors import StoreError

log = logging.getLogger(__name__)
CHANNEL = "archrank_jobs"
"""PostgreSQL channel of the news."""
RECEIVE_TIMEOUT_S = 1.0
"""Time after which a listener without news looks if it has to stop."""
RECONNECT_INTERVAL_S = 2.0
STOP_TIMEOUT_S = 2.0
_KEY = "changed_jobs"
Received = Generator[str | None, None, None]
Subscriber = Callable[[Iterable[str]], object]


def begin_recording(conn: Connection) -> set[str]:
    """Return the set of jobs that `record` fills in the transaction of a connection."""
    changed: set[str] = set()
    conn.info[_KEY] = changed
    return changed


def record(conn: Connection, job: str) -> None:
    """Record that the transaction adds events to a job."""
    conn.info[_KEY].add(job)


class JobNews:
    """Publishes the ids of jobs with new events to subscribers in this process. Thread-safe."""

    def __init__(self) -> None:
        self._subscribers: tuple[Subscriber, ...] = ()

    def subscribe(self, subscriber: Subscriber) -> None:
        """Call `subscriber` with ids of jobs from now on, in the thread that committed or received them."""
        self._subscribers = (*self._subscribers, subscriber)

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Call `subscriber` no longer."""
        self._subscribers = tuple(each for each in self._subscribers if each != subscriber)

    def publish(self, jobs: Iterable[str]) -> None:
        """Pass ids of jobs to all subscribers."""
        for subscriber in self._subscribers:
            subscriber(jobs)


class NewsListener:
    """Thread that publishes the news of other servers, which it receives over one connection to PostgreSQL.

    Args:
        receive: opens the connection and yields ids of jobs, and None whenever there was none for a while; raises
            `StoreError` when the connection is lost.
        news: publishes them in this process.
    """

    def __init__(self, receive: Callable[[], Received], news: JobNews) -> None:
        self._receive, self._news = receive, news
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="news", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, and with it the connection."""
        self._stopped.set()
        self._thread.join(STOP_TIMEOUT_S)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                with closing(self._receive()) as received:
                    for job in received:
                        if job is not None:
                            self._news.publish((job,))
                        if self._stopped.is_set():
                            return
            except StoreError as error:
                log.warning("news of other servers are delayed: %s", error)
                self._stopped.wait(RECONNECT_INTERVAL_S)
