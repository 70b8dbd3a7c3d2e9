"""One store, on SQLite and on PostgreSQL alike."""

import os
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from service.storage import Job, NewItem, Store
from tests.service.storage.postgres import Postgres, program, user

_names = (f"store_{number}" for number in count())


@dataclass
class Clock:
    """Tells the time that a test wants."""

    time: datetime = field(default_factory=lambda: datetime(2030, 1, 1, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.time

    def jump(self, **how: float) -> None:
        self.time += timedelta(**how)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server, started once by each process that runs tests, with a migrated database as a template."""
    if program("initdb") is None or program("postgres") is None:
        pytest.skip("PostgreSQL is not installed")
    if os.geteuid() == 0 and user() is None:
        pytest.skip("PostgreSQL refuses to run as root, and there is nobody else")
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # a socket's path must be short
    try:
        server = Postgres(folder)
        server.start()
        try:
            server.execute("CREATE DATABASE migrated")
            Store.open(server.url("migrated")).close()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A real file system of three megabytes."""
    folder = Path(tempfile.mkdtemp(prefix="disk-", dir="/tmp"))
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", folder], capture_output=True).returncode:
        folder.rmdir()
        pytest.skip("no file system may be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)
        folder.rmdir()


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/data/store.db"
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = next(_names)
    server.execute(f"CREATE DATABASE {name}")
    yield server.url(name)
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database that is ready, or will be once it is opened."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/data/store.db"
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = next(_names)
    server.execute(f"CREATE DATABASE {name} TEMPLATE migrated")
    yield server.url(name)
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(url: str, clock: Clock) -> Iterator[Store]:
    with Store.open(url, clock) as store:
        yield store


def items(n: int, first: int = 0) -> list[NewItem]:
    return [NewItem({"layers": [["S"], [f"T{i}"]]}, f"{i:032x}") for i in range(first, first + n)]


Create = Callable[..., Job]


@pytest.fixture
def create(store: Store) -> Create:
    def create(n: int = 3, owner: str = "anonymous", **more: Any) -> Job:
        return store.jobs.create("predictions", {"seed": 1}, items(n), owner, **more)[0]

    return create


def assert_consistent(store: Store) -> None:
    """Counts, items, completions and events of every job tell the same."""
    for job in store.jobs.list(limit=10_000):
        page = store.jobs.items(job.id, limit=10_000)
        states = Counter(one.state for one in page.items)
        assert (states["queued"], states["running"], states["done"], states["failed"]) == (
            job.queued,
            job.running,
            job.done,
            job.failed,
        )
        assert [one.position for one in page.items] == list(range(job.total))
        results = store.jobs.results(job.id, limit=10_000).items
        assert [one.completion for one in results] == list(range(1, job.done + job.failed + 1))
        events = store.jobs.events(job.id, limit=10_000)
        assert [event.id for event in events] == list(range(1, job.events + 1))
        told = [event.data["position"] for event in events if event.kind == "item"]
        assert told == [one.position for one in results]
        assert job.state == "cancelled" or job.complete == (job.queued + job.running == 0)
        assert not (job.complete and job.running)
