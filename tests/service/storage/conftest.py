"""Fixtures of a store, on SQLite and on PostgreSQL."""

import os
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from service.storage import Claim, ItemOutcome, Job, NewItem, Store
from service.storage.records import JsonObject
from service.storage.tables import ItemRow
from tests.service.storage.postgres import Postgres, program, user

_names = (f"store_{number}" for number in count())


@dataclass
class Clock:
    """Clock that a test sets."""

    time: datetime = field(default_factory=lambda: datetime(2030, 1, 1, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.time

    def jump(self, **delta: float) -> None:
        self.time += timedelta(**delta)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server, started once per test process, with a migrated database as a template."""
    if program("initdb") is None or program("postgres") is None:
        pytest.skip("PostgreSQL is not installed")
    if os.geteuid() == 0 and user() is None:
        pytest.skip("PostgreSQL refuses to run as root, and there is no other user")
    directory = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # a socket's path must be short
    try:
        server = Postgres(directory)
        server.start()
        try:
            server.execute("CREATE DATABASE migrated")
            Store.open(server.url("migrated")).close()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(directory)


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A mounted file system of three megabytes."""
    directory = Path(tempfile.mkdtemp(prefix="disk-", dir="/tmp"))
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", directory], capture_output=True).returncode:
        directory.rmdir()
        pytest.skip("file systems cannot be mounted")
    try:
        yield directory
    finally:
        subprocess.run(["umount", directory], check=True)
        directory.rmdir()


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a database without tables."""
    yield from _database(request, tmp_path, template="template1")


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a database that is migrated, or will be when it is opened."""
    yield from _database(request, tmp_path, template="migrated")


def _database(request: pytest.FixtureRequest, tmp_path: Path, template: str) -> Iterator[str]:
    """Yield the URL of a database of the requested kind, on PostgreSQL a copy of the template; drop it at the end."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/data/store.db"
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = next(_names)
    server.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    yield server.url(name)
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(url: str, clock: Clock) -> Iterator[Store]:
    with Store.open(url, clock) as store:
        yield store


def new_items(n: int, first: int = 0) -> list[NewItem]:
    return [NewItem({"layers": [["S"], [f"T{i}"]]}, f"{i:032x}") for i in range(first, first + n)]


@dataclass(frozen=True)
class StoredItem:
    """A row of the table of items."""

    position: int
    architecture: dict[str, Any]
    fingerprint: str | None
    state: str
    attempts: int
    completion: int | None
    cached: bool
    result: dict[str, Any] | None
    error: dict[str, Any] | None


def get_items(store: Store, job_id: str) -> list[StoredItem]:
    """All items of a job, in the order posted."""
    columns = [getattr(ItemRow, column.name) for column in fields(StoredItem)]
    query = select(*columns).where(ItemRow.job == store.jobs.get(job_id).number).order_by(ItemRow.position)
    with store._db.read() as conn:
        return [StoredItem(**row._mapping) for row in conn.execute(query)]


def finish(store: Store, claim: Claim, result: JsonObject, cached: bool = False) -> bool:
    """Settle one item with a result; True if it counts."""
    return store.queue.settle([ItemOutcome(claim, result=result, cached=cached)])[0]


def fail(store: Store, claim: Claim, error: JsonObject) -> bool:
    """Settle one item with an error; True if it counts."""
    return store.queue.settle([ItemOutcome(claim, error=error)])[0]


def queued_by_owner(store: Store) -> dict[str, int]:
    """Numbers of queued items of unfinished jobs."""
    queued: Counter[str] = Counter()
    for job in store.jobs.list(limit=10_000):
        queued[job.owner] += job.queued if not job.complete else 0
    return dict(+queued)


Create = Callable[..., Job]


@pytest.fixture
def create(store: Store) -> Create:
    def create(n: int = 3, owner: str = "anonymous", **more: Any) -> Job:
        return store.jobs.create("predictions", {"seed": 1}, new_items(n), owner, **more)[0]

    return create


def assert_consistent(store: Store) -> None:
    """Counts, items, completions and events of every job agree."""
    for job in store.jobs.list(limit=10_000):
        items = get_items(store, job.id)
        states = Counter(item.state for item in items)
        assert (states["queued"], states["running"], states["done"], states["failed"]) == (
            job.queued,
            job.running,
            job.done,
            job.failed,
        )
        assert [item.position for item in items] == list(range(job.total))
        results = store.jobs.results(job.id, limit=10_000).items
        assert [item.completion for item in results] == list(range(1, job.done + job.failed + 1))
        events = store.jobs.events(job.id, limit=10_000)
        assert [event.id for event in events] == list(range(1, job.events + 1))
        positions = [event.data["position"] for event in events if event.kind == "item"]
        assert positions == [item.position for item in results]
        assert job.state == "cancelled" or job.complete == (job.queued + job.running == 0)
        assert not (job.complete and job.running)
