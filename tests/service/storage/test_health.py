"""However many ask how the store is, it is tried once a second at most."""

import asyncio
from pathlib import Path

import pytest

from service.storage import Store, StoreError
from service.storage import health as store_check
from service.storage.health import StoreCheck


def test_many_who_ask_are_one_try(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(store: Store) -> None:
        tries: list[None] = []
        health = store.health
        monkeypatch.setattr(store, "health", lambda: (tries.append(None), health()))
        monkeypatch.setattr(store_check, "FRESH", 60.0)
        check = StoreCheck(store)
        assert await asyncio.gather(*(check.error() for _ in range(20))) == [None] * 20
        assert len(tries) == 1
        for file in tmp_path.iterdir():
            file.unlink()
        assert await check.error() is None
        monkeypatch.setattr(store_check, "FRESH", 0.0)
        assert isinstance(await check.error(), StoreError)

    with Store.in_folder(tmp_path) as store:
        asyncio.run(work(store))
