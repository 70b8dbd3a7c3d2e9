"""What is written behind is written in order and once, however long the store is away."""

import asyncio
from collections.abc import Sequence

import pytest

from service.storage import StoreError
from service.storage import write_behind as behind
from service.storage.write_behind import WriteBehind


def test_again_until_the_store_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(behind, "PAUSE", 0.001)
    tried: list[Sequence[int]] = []
    stored: list[int] = []
    told: list[int] = []

    def write(values: Sequence[int]) -> None:
        tried.append(values)
        if len(tried) < 4:
            raise StoreError("away")
        stored.extend(values)

    async def work() -> None:
        one = WriteBehind("numbers", write, told.extend)
        one.add([1, 2])
        await asyncio.sleep(0)  # it has begun with these
        for number in range(3, 9):
            one.add([number])
        await one.flush(60)
        one.add([9])
        await one.flush(60)
        assert len(one) == 0

    asyncio.run(work())
    assert stored == told == list(range(1, 10))
    assert tried[0] == tried[3] == [1, 2]
    assert tried[4] == list(range(3, 9))  # together


def test_gives_up_at_the_end() -> None:
    def write(values: Sequence[int]) -> None:
        raise StoreError("away")

    async def work() -> int:
        one = WriteBehind("numbers", write, pytest.fail)
        one.add([1])
        await one.flush(0.01)
        return len(one)

    assert asyncio.run(work()) == 0
