"""Values computed in the background: the newest revision wins, failures are kept, one computation at a time."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from service.studies import background
from service.studies.background import BackgroundThreads, Latest
from tests.waiting import PATIENCE_S


class Source:
    """Something stored, whose value is computed when the test allows it.

    Attributes:
        revision: newest revision.
        computed: revisions of the computations so far.
        running: number of computations at present.
        failure: exception of the next computations.
    """

    def __init__(self) -> None:
        self.revision = 0
        self.computed: list[int] = []
        self.running = 0
        self.failure: Exception | None = None
        self.allowed = asyncio.Event()
        self.allowed.set()
        self.latest: Latest[str] = Latest("a test", self._compute)

    async def _compute(self) -> tuple[int, str]:
        assert not self.running
        self.running += 1
        try:
            revision = self.revision
            await self.allowed.wait()
            self.computed.append(revision)
            if self.failure is not None:
                raise self.failure
            return revision, f"value {revision}"
        finally:
            self.running -= 1

    async def get(self, revision: int) -> str | None:
        self.latest.request(revision)
        await asyncio.wait_for(self.latest.wait(revision), PATIENCE_S)
        return self.latest.value


def run(test: Callable[[Source], Coroutine[Any, Any, None]]) -> None:
    async def call() -> None:
        await test(Source())

    asyncio.run(call())


def test_a_known_revision_is_not_computed_again() -> None:
    async def test(source: Source) -> None:
        assert [await source.get(0) for _ in range(3)] == ["value 0"] * 3
        assert source.computed == [0]

    run(test)


def test_revisions_during_a_computation_are_covered_by_one_more() -> None:
    async def test(source: Source) -> None:
        source.allowed.clear()
        source.latest.request(0)
        await asyncio.sleep(0)
        for revision in range(1, 6):
            source.revision = revision
            source.latest.request(revision)
        assert source.latest.is_running
        source.allowed.set()
        assert await source.get(5) == "value 5"
        assert source.computed == [0, 5]

    run(test)


def test_the_value_stays_during_a_computation() -> None:
    async def test(source: Source) -> None:
        await source.get(0)
        source.allowed.clear()
        source.revision = 1
        source.latest.request(1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(source.latest.wait(1), 0.01)
        assert (source.latest.value, source.latest.revision) == ("value 0", 0)

    run(test)


def test_a_failure_keeps_the_value(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    async def test(source: Source) -> None:
        await source.get(0)
        source.revision, source.failure = 1, ValueError("no")
        assert await source.get(1) == "value 0"
        assert source.latest.error is source.failure
        assert (await source.get(1), source.computed) == ("value 0", [0, 1])  # not again so soon
        monkeypatch.setattr(background, "RETRY_INTERVAL_S", 0.0)
        source.failure = None
        assert await source.get(1) == "value 1"
        assert source.latest.error is None

    run(test)
    assert "a test could not be computed" in caplog.text


def test_a_newer_revision_is_tried_after_a_failure() -> None:
    async def test(source: Source) -> None:
        source.failure = ValueError("no")
        assert await source.get(0) is None
        source.revision, source.failure = 1, None
        assert await source.get(1) == "value 1"

    run(test)


def test_nobody_waits_for_a_cancelled_computation() -> None:
    async def test(source: Source) -> None:
        source.allowed.clear()
        source.latest.request(0)
        waiting = asyncio.create_task(source.latest.wait(0))
        await asyncio.sleep(0.01)
        source.latest.cancel()
        await asyncio.wait_for(waiting, PATIENCE_S)
        assert source.latest.value is None

    run(test)


def test_threads_are_limited() -> None:
    running, most, lock = 0, 0, threading.Lock()
    both = threading.Barrier(2, timeout=PATIENCE_S)

    def work(number: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        both.wait()
        with lock:
            running -= 1
        both.wait()
        return number

    async def call() -> list[int]:
        threads = BackgroundThreads(2, "test")
        return await asyncio.gather(*(threads.run(work, number) for number in range(6)))

    assert asyncio.run(call()) == list(range(6))
    assert most == 2


def test_exceptions_of_threads() -> None:
    def work() -> None:
        raise ZeroDivisionError

    async def call() -> None:
        with pytest.raises(ZeroDivisionError):
            await BackgroundThreads(1, "test").run(work)

    asyncio.run(call())


def test_the_loop_ends_before_the_thread() -> None:
    started, ended = threading.Event(), threading.Event()

    def work() -> None:
        started.set()
        ended.wait(PATIENCE_S)

    async def call() -> None:
        task = asyncio.create_task(BackgroundThreads(1, "ended-after-the-loop").run(work))
        await asyncio.to_thread(started.wait, PATIENCE_S)
        task.cancel()

    asyncio.run(call())
    (thread,) = (thread for thread in threading.enumerate() if thread.name == "ended-after-the-loop")
    ended.set()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
