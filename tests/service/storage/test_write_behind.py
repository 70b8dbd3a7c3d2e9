"""Values are written in order and once, however long the store is unavailable."""

import asyncio
from collections.abc import Sequence

import pytest

from service.storage import StoreError, write_behind
from service.storage.write_behind import WriteBehind


def test_retries_until_the_store_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_behind, "RETRY_INTERVAL_S", 0.001)
    attempts: list[Sequence[int]] = []
    stored: list[int] = []
    reported: list[int] = []

    def write(values: Sequence[int]) -> None:
        attempts.append(values)
        if len(attempts) < 4:
            raise StoreError("away")
        stored.extend(values)

    async def work() -> None:
        writer = WriteBehind("numbers", write, reported.extend)
        writer.add([1, 2])
        await asyncio.sleep(0)  # the first attempt has begun
        for number in range(3, 9):
            writer.add([number])
        await writer.flush(60)
        writer.add([9])
        await writer.flush(60)
        assert len(writer) == 0

    asyncio.run(work())
    assert stored == reported == list(range(1, 10))
    assert attempts[0] == attempts[3] == [1, 2]
    assert attempts[4] == list(range(3, 9))  # in one batch


def test_gives_up_after_the_timeout() -> None:
    def write(values: Sequence[int]) -> None:
        raise StoreError("away")

    def on_written(values: Sequence[int]) -> None:
        pytest.fail("nothing was written")

    async def work() -> int:
        writer = WriteBehind("numbers", write, on_written)
        writer.add([1])
        await writer.flush(0.01)
        return len(writer)

    assert asyncio.run(work()) == 0
