"""Slots go round the callers, a cancelled one delays nobody, and a full queue advises when to retry."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from service.inference.scheduler import FairScheduler, QueueFullError, QuotaExceededError, Requester
from tests.waiting import PATIENCE_S

FIRST = Requester("first")


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, PATIENCE_S))


async def ask(scheduler: FairScheduler, requester: Requester, name: str, seen: list[str]) -> None:
    await scheduler.acquire(requester)
    seen.append(name)
    await asyncio.sleep(0)
    scheduler.release(requester, 1.0)


def test_callers_take_turns() -> None:
    async def work() -> None:
        scheduler, seen = FairScheduler(1, 100), list[str]()
        await scheduler.acquire(FIRST)
        job, short, other, third = Requester("a", is_batch=True), Requester("a"), Requester("b"), Requester("c")
        asked = [(job, "a1"), (job, "a2"), (job, "a3"), (short, "short"), (other, "b1"), (other, "b2"), (third, "c1")]
        tasks = [asyncio.create_task(ask(scheduler, requester, name, seen)) for requester, name in asked]
        await asyncio.sleep(0)
        scheduler.release(FIRST, 1.0)
        await asyncio.gather(*tasks)
        assert seen == ["a1", "b1", "c1", "short", "b2", "a2", "a3"]
        assert scheduler.queue_depth == 0

    run(work())


def test_no_more_than_there_are_places() -> None:
    async def work() -> None:
        scheduler, inside, most = FairScheduler(2, 100), 0, 0

        async def one() -> None:
            nonlocal inside, most
            await scheduler.acquire(FIRST)
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.001)
            inside -= 1
            scheduler.release(FIRST, 0.001)

        await asyncio.gather(*(one() for _ in range(20)))
        assert most == 2

    run(work())


@pytest.mark.parametrize("given", [False, True], ids=["while it waits", "just as its turn comes"])
def test_who_gives_up_holds_up_nobody(given: bool) -> None:
    async def work() -> None:
        scheduler, seen = FairScheduler(1, 100), list[str]()
        await scheduler.acquire(FIRST)
        tasks = [asyncio.create_task(ask(scheduler, Requester("a"), name, seen)) for name in ("gone", "here")]
        await asyncio.sleep(0)
        if given:
            scheduler.release(FIRST, 1.0)
            tasks[0].cancel()
        else:
            tasks[0].cancel()
            scheduler.release(FIRST, 1.0)
        await asyncio.gather(*tasks, return_exceptions=True)
        assert seen == ["here"]
        assert scheduler.queue_depth == 0

    run(work())


def test_full_queue_says_when_to_come_again() -> None:
    async def work() -> None:
        scheduler = FairScheduler(1, 2)
        scheduler.check(FIRST)
        await scheduler.acquire(FIRST)
        waiting = asyncio.create_task(scheduler.acquire(FIRST))
        await asyncio.sleep(0)
        with pytest.raises(QueueFullError, match="2 architectures wait already") as caught:
            scheduler.check(Requester("another"))
        assert 1 <= caught.value.retry_after <= 60
        scheduler.release(FIRST, 1.0)
        await waiting
        scheduler.check(FIRST)

    run(work())


def test_nobody_fills_more_than_their_share() -> None:
    async def work() -> None:
        scheduler, greedy = FairScheduler(1, 4), Requester("greedy", 0.5)
        await scheduler.acquire(greedy)
        waiting = asyncio.create_task(scheduler.acquire(Requester("greedy", 0.5)))
        await asyncio.sleep(0)
        with pytest.raises(QuotaExceededError, match="2 of your architectures wait already"):
            scheduler.check(greedy)
        scheduler.check(Requester("modest", 0.5))
        scheduler.release(greedy, 1.0)
        await waiting
        scheduler.check(greedy)

    run(work())


def test_jobs_do_not_fill_the_queue() -> None:
    async def work() -> None:
        scheduler, job = FairScheduler(1, 2), Requester("a", is_batch=True)
        await scheduler.acquire(job)
        tasks = [asyncio.create_task(scheduler.acquire(job)) for _ in range(10)]
        await asyncio.sleep(0)
        scheduler.check(Requester("a"))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert scheduler.queue_depth == 0

    run(work())
