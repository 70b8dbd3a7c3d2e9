"""The health check writes at most once per interval, however many requests there are."""

import asyncio
from pathlib import Path

import pytest

from service.storage import Store, StoreError, health_check
from service.storage.health_check import StoreHealthCheck


def test_concurrent_requests_share_a_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(store: Store) -> None:
        checks = 0
        check_health = store.check_health

        def count() -> None:
            nonlocal checks
            checks += 1
            check_health()

        monkeypatch.setattr(store, "check_health", count)
        monkeypatch.setattr(health_check, "CHECK_INTERVAL_S", 60.0)
        check = StoreHealthCheck(store)
        assert await asyncio.gather(*(check.error() for _ in range(20))) == [None] * 20
        assert checks == 1
        for file in tmp_path.iterdir():
            file.unlink()
        assert await check.error() is None
        monkeypatch.setattr(health_check, "CHECK_INTERVAL_S", 0.0)
        assert isinstance(await check.error(), StoreError)

    with Store.open(Store.directory_url(tmp_path)) as store:
        asyncio.run(work(store))
