"""Event streams wake on news; idle ones cost the store one query for all of them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from fastapi.sse import ServerSentEvent
from sqlalchemy import event

from service.api.authentication import Authenticator, Caller
from service.api.routes.jobs import stream_job_events
from service.api.shutdown import ShutdownState
from service.inference.queries import Detail
from service.jobs import watcher as watcher_module
from service.jobs.watcher import JobWatcher
from service.storage import ItemOutcome, NewItem, Store, StoreError
from tests.waiting import PATIENCE_S

STREAMS = 200
NEVER_S = 3600.0
CALLER = Caller("anonymous", frozenset({"predict"}), None, 1, 1.0)


class Keys:
    """Stands for the authenticator."""

    valid = True

    def is_valid(self, caller: Caller) -> bool:
        return self.valid


class Streams:
    """Event streams of jobs in one event loop."""

    def __init__(self, store: Store, watcher: JobWatcher) -> None:
        self.store, self.watcher = store, watcher
        self.shutdown, self.keys = ShutdownState(1.0), Keys()

    def open(self, job: str, after: int = 0, detail: Detail = "full") -> AsyncIterator[ServerSentEvent]:
        keys = cast(Authenticator, self.keys)
        return stream_job_events((job, after), self.store, CALLER, self.shutdown, keys, self.watcher, detail)

    async def until_sent(self, *last_events: int) -> None:
        """Return when each stream has sent so many events."""
        while sorted(watch.last_event_id for watch in self.watcher._all()) != sorted(last_events):
            await asyncio.sleep(0.01)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path}/store.db") as store:
        yield store


@pytest.fixture(autouse=True)
def no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither polls nor pauses: what wakes a stream is news, or a call of `poll`."""
    monkeypatch.setattr(watcher_module, "POLL_INTERVAL_S", NEVER_S)
    monkeypatch.setattr("service.api.routes.jobs.MIN_READ_INTERVAL_S", 0.0)


@asynccontextmanager
async def open_streams(store: Store) -> AsyncIterator[Streams]:
    watcher = JobWatcher(store)
    watcher.start()
    try:
        yield Streams(store, watcher)
    finally:
        await watcher.stop()


def run(store: Store, test: Callable[[Streams], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(PATIENCE_S), open_streams(store) as streams:
            await test(streams)

    asyncio.run(main())


@contextmanager
def counted_queries(store: Store) -> Iterator[list[str]]:
    """Queries that the store executes."""
    queries: list[str] = []

    def count(conn: Any, cursor: Any, statement: str, *_: Any) -> None:
        if not statement.startswith("BEGIN"):
            queries.append(statement)

    event.listen(store._db._engine, "before_cursor_execute", count)
    try:
        yield queries
    finally:
        event.remove(store._db._engine, "before_cursor_execute", count)


def new_job(store: Store, items: int = 1) -> str:
    return store.jobs.create("predictions", {}, [NewItem({}, f"{i:032x}") for i in range(items)], "anonymous")[0].id


def finish_all(store: Store) -> None:
    while claims := store.queue.claim(9, "w"):
        store.queue.settle([ItemOutcome(claim, result={}) for claim in claims])


async def kinds(stream: AsyncIterator[ServerSentEvent]) -> list[str | None]:
    return [event.event async for event in stream]


def test_idle_streams_cost_one_query_a_poll(store: Store) -> None:
    jobs = [new_job(store) for _ in range(10)]

    async def test(streams: Streams) -> None:
        with counted_queries(store) as queries:
            received = [asyncio.create_task(kinds(streams.open(jobs[i % len(jobs)]))) for i in range(STREAMS)]
            while len(queries) < 4 * STREAMS:  # job and events, until there are no further ones
                await asyncio.sleep(0.01)
            for _ in range(5):
                await asyncio.sleep(2 * watcher_module.CHECK_INTERVAL_S)
                await streams.watcher.poll()
        assert len(queries) == 4 * STREAMS + 5
        streams.shutdown.closed_at = 0.0
        assert await asyncio.gather(*received) == [["created"]] * STREAMS

    run(store, test)


def test_news_of_this_process_wake_a_stream(store: Store) -> None:
    job, other = new_job(store), new_job(store)

    async def test(streams: Streams) -> None:
        received, idle = (asyncio.create_task(kinds(streams.open(each))) for each in (job, other))
        await streams.until_sent(1, 1)
        store.jobs.cancel(job)
        assert await received == ["created", "cancelled"]
        assert not idle.done()
        idle.cancel()

    run(store, test)


def test_a_poll_finds_the_events_of_another_process(store: Store, tmp_path: Path) -> None:
    job = new_job(store, items=3)

    async def test(streams: Streams) -> None:
        received = asyncio.create_task(kinds(streams.open(job)))
        await streams.until_sent(1)
        with Store.open(f"sqlite:///{tmp_path}/store.db") as other:
            finish_all(other)
        while not received.done():
            await streams.watcher.poll()
            await asyncio.sleep(0.01)
        assert await received == ["created", "started", "item", "item", "item", "done"]

    run(store, test)


def test_a_brief_stream_has_the_last_event_alone(store: Store) -> None:
    job = new_job(store, items=3)
    claims = store.queue.claim(3, "w")

    async def test(streams: Streams) -> None:
        stream = streams.open(job, detail="brief")
        assert (await anext(stream)).event == "started"
        store.queue.settle([ItemOutcome(claim, result={}) for claim in claims[:2]])
        event = await anext(stream)
        assert (event.event, event.id, event.raw_data) == (
            *("item", "4"),
            '{"position": 1, "state": "done", "completion": 2}',
        )
        store.queue.settle([ItemOutcome(claims[2], result={})])
        assert await kinds(stream) == ["done"]
        assert await kinds(streams.open(job, after=4, detail="brief")) == ["done"]

    run(store, test)


def test_a_stream_resumes_when_the_store_is_back(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    job = new_job(store)

    def fail(*_: object) -> None:
        raise StoreError("unavailable")

    async def test(streams: Streams) -> None:
        with monkeypatch.context() as unavailable:
            unavailable.setattr(store.jobs, "events", fail)
            received = asyncio.create_task(kinds(streams.open(job)))
            store.jobs.cancel(job)
            await asyncio.sleep(0.05)
            assert not received.done()
        while not received.done():
            await streams.watcher.poll()
            await asyncio.sleep(0.01)
        assert await received == ["created", "cancelled"]

    run(store, test)


@pytest.mark.parametrize("reason", ["shutdown", "revoked"])
def test_idle_streams_end(reason: str, store: Store) -> None:
    job = new_job(store)

    async def test(streams: Streams) -> None:
        received = asyncio.create_task(kinds(streams.open(job)))
        await streams.until_sent(1)
        streams.keys.valid = reason != "revoked"
        streams.shutdown.closed_at = 0.0 if reason == "shutdown" else None
        assert await received == ["created"]
        assert streams.watcher._all() == []

    run(store, test)
