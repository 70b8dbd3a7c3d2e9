"""The runner in this process, on a store of its own: none of a job's items is left behind."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from service.app import make_backend, make_desk
from service.library import Library
from service.runner import AHEAD, JobRunner
from service.settings import Settings
from service.store import Job, NewItem, Store
from tests.service.conftest import SIX, SMALL


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.in_folder(tmp_path) as store:
        yield store


def run(store: Store, job: str) -> Job:
    """The job when it has ended."""
    settings = Settings(device="cpu", backend="inline")
    library = Library.load(settings)
    backend = make_backend(settings, library)
    backend.start()

    async def ended() -> Job:
        runner = JobRunner(make_desk(settings, library, backend, store), store, timedelta(hours=1), 20)
        await runner.start()
        try:
            async with asyncio.timeout(60):
                while not (found := store.jobs.get(job)).complete:
                    await asyncio.sleep(0.01)
        finally:
            await runner.stop(5)
        return found

    try:
        return asyncio.run(ended())
    finally:
        backend.stop()


def create(store: Store, architectures: list[Any], **options: Any) -> str:
    items = [NewItem(one, str(i)) for i, one in enumerate(architectures)]
    return store.jobs.create("predict", options, items, "me")[0].id


def test_more_than_are_held_at_once(store: Store) -> None:
    job = run(store, create(store, [SMALL, SIX] * AHEAD, proxies=[]))
    assert (job.state, job.done, job.running) == ("done", 2 * AHEAD, 0)


def test_job_of_an_ensemble_that_is_gone_fails(store: Store) -> None:
    """It was there when the job was accepted, by a server of before."""
    job = run(store, create(store, [SMALL, SIX], ensemble="gone"))
    assert (job.state, job.failed, job.running) == ("failed", 2, 0)
    (one, _) = store.jobs.results(job.id).items
    assert one.error is not None
    assert "gone" in one.error["detail"]
