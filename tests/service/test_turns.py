"""Places go round the callers; who gives up loses nothing for others; a full queue says when to come again."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from service.turns import BusyError, Turns


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 10))


async def ask(turns: Turns, caller: str, name: str, seen: list[str]) -> None:
    await turns.take(caller)
    seen.append(name)
    await asyncio.sleep(0)
    turns.give_back(1.0)


def test_callers_take_turns() -> None:
    async def work() -> None:
        turns, seen = Turns(1, 100), list[str]()
        await turns.take("first")
        asked = [("a", "a1"), ("a", "a2"), ("a", "a3"), ("b", "b1"), ("b", "b2"), ("c", "c1")]
        tasks = [asyncio.create_task(ask(turns, caller, name, seen)) for caller, name in asked]
        await asyncio.sleep(0)
        turns.give_back(1.0)
        await asyncio.gather(*tasks)
        assert seen == ["a1", "b1", "c1", "a2", "b2", "a3"]
        assert turns.waiting == 0

    run(work())


def test_no_more_than_there_are_places() -> None:
    async def work() -> None:
        turns, inside, most = Turns(2, 100), 0, 0

        async def one() -> None:
            nonlocal inside, most
            await turns.take("a")
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.001)
            inside -= 1
            turns.give_back(0.001)

        await asyncio.gather(*(one() for _ in range(20)))
        assert most == 2

    run(work())


@pytest.mark.parametrize("given", [False, True], ids=["while it waits", "just as its turn comes"])
def test_who_gives_up_holds_up_nobody(given: bool) -> None:
    async def work() -> None:
        turns, seen = Turns(1, 100), list[str]()
        await turns.take("first")
        tasks = [asyncio.create_task(ask(turns, "a", name, seen)) for name in ("gone", "here")]
        await asyncio.sleep(0)
        if given:
            turns.give_back(1.0)
            tasks[0].cancel()
        else:
            tasks[0].cancel()
            turns.give_back(1.0)
        await asyncio.gather(*tasks, return_exceptions=True)
        assert seen == ["here"]
        assert turns.waiting == 0

    run(work())


def test_full_queue_says_when_to_come_again() -> None:
    async def work() -> None:
        turns = Turns(1, 2)
        turns.check()
        await turns.take("a")
        waiting = asyncio.create_task(turns.take("a"))
        await asyncio.sleep(0)
        with pytest.raises(BusyError, match="2 architectures wait already") as caught:
            turns.check()
        assert 1 <= caught.value.retry_after <= 60
        turns.give_back(1.0)
        await waiting
        turns.check()

    run(work())
