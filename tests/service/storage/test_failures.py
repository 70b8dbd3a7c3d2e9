"""Full disks, lost servers and lost files: a clear error, no partial effect, and recovery afterwards."""

import random
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, event

from service.storage import (
    NewItem,
    Store,
    StoreBusyError,
    StoreError,
    StoreFullError,
    StoreSchemaError,
    StoreUnavailableError,
    database,
)
from tests.service.storage.conftest import Create, assert_consistent, finish, new_items
from tests.service.storage.postgres import Postgres, user

_random = random.Random(0)
BIG = [NewItem({"text": _random.randbytes(1000).hex()}, "f") for _ in range(1000)]  # two megabytes, incompressible


def assert_survives_full(store: Store, free: Any) -> None:
    """The store's disk is too small for `BIG` until `free` is called."""
    job, _ = store.jobs.create("predictions", {}, new_items(3), "me")
    (claim,) = store.queue.claim(1, "w")
    for _ in range(2):
        with pytest.raises(StoreFullError, match=r"disk is full: free some space"):
            store.jobs.create("predictions", {}, BIG, "me", "key")
    assert [listed.id for listed in store.jobs.list()] == [job.id]
    assert_consistent(store)
    free()
    assert finish(store, claim, {})
    assert store.jobs.create("predictions", {}, BIG, "me", "key")[1]
    store.check_health()
    assert_consistent(store)


def test_sqlite_at_its_maximum_size(tmp_path: Path) -> None:
    connections: list[Any] = []

    def remember(connection: Any, entry: Any) -> None:
        connections.append(connection)
        limit(connection, 200)

    def limit(connection: Any, pages: int) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages}").close()

    event.listen(Engine, "connect", remember)
    try:
        with Store.open(Store.directory_url(tmp_path)) as store:

            def free() -> None:
                for connection in connections:
                    limit(connection, 2**30)

            assert_survives_full(store, free)
    finally:
        event.remove(Engine, "connect", remember)


def test_sqlite_on_a_full_disk(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(2**20))
    with Store.open(Store.directory_url(small_disk / "data")) as store:
        with ballast.open("ab") as file:  # leave 200 KiB
            file.write(bytes(shutil.disk_usage(small_disk).free - 200 * 2**10))

        def free() -> None:
            ballast.unlink()
            subprocess.run(["mount", "-o", "remount,size=30m", small_disk], check=True)

        assert_survives_full(store, free)


def test_sqlite_opened_on_a_full_disk(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(shutil.disk_usage(small_disk).free))
    with pytest.raises(StoreFullError):
        Store.open(Store.directory_url(small_disk))
    ballast.unlink()
    with Store.open(Store.directory_url(small_disk)) as store:
        store.check_health()


def test_postgres_on_a_full_disk(small_disk: Path, postgres: Postgres) -> None:
    space = small_disk / "space"
    space.mkdir()
    if owner := user():
        shutil.chown(space, owner)
    subprocess.run(["mount", "-o", "remount,size=16m", small_disk], check=True)
    postgres.execute(f"CREATE TABLESPACE small LOCATION '{space}'")
    postgres.execute("CREATE DATABASE small TABLESPACE small")
    try:
        with Store.open(postgres.url("small")) as store:
            ballast = small_disk / "ballast"
            ballast.write_bytes(bytes(shutil.disk_usage(small_disk).free - 500 * 2**10))

            def free() -> None:
                ballast.unlink()
                subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)

            assert_survives_full(store, free)
    finally:
        postgres.execute("DROP DATABASE small WITH (FORCE)")
        postgres.execute("DROP TABLESPACE small")


@contextmanager
def temporary_database(postgres: Postgres, name: str) -> Iterator[str]:
    postgres.execute(f"CREATE DATABASE {name} TEMPLATE migrated")
    yield postgres.url(name)
    postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_postgres_restarted(postgres: Postgres) -> None:
    with temporary_database(postgres, "restarted") as url, Store.open(url) as store:
        job, _ = store.jobs.create("predictions", {}, new_items(2), "me")
        (claim, _) = store.queue.claim(2, "w")
        postgres.stop()
        postgres.start()
        assert finish(store, claim, {})  # the restart goes unnoticed
        postgres.stop()
        try:
            for call in (
                store.check_health,
                store.jobs.list,
                lambda: store.jobs.create("predictions", {}, new_items(1), "me"),
            ):
                with pytest.raises(StoreUnavailableError, match="cannot be reached"):
                    call()
        finally:
            postgres.start()
        store.check_health()
        assert store.jobs.get(job.id).done == 1
        assert_consistent(store)


def test_postgres_restarted_within_a_transaction(postgres: Postgres) -> None:
    with temporary_database(postgres, "interrupted") as url, Store.open(url) as store:

        def restart(*_: object) -> None:
            postgres.stop()
            postgres.start()

        event.listen(Engine, "commit", restart)
        try:
            with pytest.raises(StoreUnavailableError):
                store.jobs.create("predictions", {}, new_items(9), "me")
        finally:
            event.remove(Engine, "commit", restart)
        assert store.jobs.list() == []
        assert store.jobs.create("predictions", {}, new_items(9), "me")[1]
        assert_consistent(store)


def test_postgres_locked_by_another(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 1)
    with temporary_database(postgres, "locked") as url, Store.open(url) as store:
        job, _ = store.jobs.create("predictions", {}, new_items(1), "me")
        with psycopg.connect(url) as other:
            other.execute("SELECT * FROM jobs FOR UPDATE")
            with pytest.raises(StoreBusyError, match="lock timeout"):
                store.jobs.cancel(job.id)
            assert store.jobs.get(job.id) == job
        assert store.jobs.cancel(job.id).state == "cancelled"


def test_sqlite_file_is_moved_away_and_back(tmp_path: Path) -> None:
    with Store.open(Store.directory_url(tmp_path / "data")) as store:
        job, _ = store.jobs.create("predictions", {}, new_items(1), "me")
        (tmp_path / "data").rename(tmp_path / "moved")
        for call in (
            store.check_health,
            store.jobs.list,
            lambda: store.jobs.create("predictions", {}, new_items(1), "me"),
        ):
            with pytest.raises(StoreUnavailableError, match="cannot be reached"):
                call()
        assert not (tmp_path / "data").exists()
        (tmp_path / "moved").rename(tmp_path / "data")
        assert store.jobs.get(job.id) == job
        store.check_health()


def test_sqlite_restored_from_a_copy(tmp_path: Path) -> None:
    """Connections to the replaced file are not used any more."""
    with Store.open(Store.directory_url(tmp_path / "copy")) as store:
        job, _ = store.jobs.create("predictions", {}, new_items(1), "me")
    with Store.open(Store.directory_url(tmp_path / "data")) as store:
        store.check_health()
        shutil.rmtree(tmp_path / "data")
        shutil.copytree(tmp_path / "copy", tmp_path / "data")
        assert [listed.id for listed in store.jobs.list()] == [job.id]


def test_missing_table(url: str, store: Store, create: Create) -> None:
    create(1)
    with store._db.write() as conn:
        conn.exec_driver_sql("DROP TABLE events")
    with pytest.raises(StoreSchemaError, match="does not hold archrank's tables"):
        create(1)
    with pytest.raises(StoreError):
        store.queue.claim(1, "w")
    assert len(store.jobs.list()) == 1
