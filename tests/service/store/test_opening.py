"""Which databases are opened, and what becomes of their tables."""

import os
import re
import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from models.errors import InputError
from service.store import Store, StoreError, StoreGoneError, StoreSchemaError
from service.store.tables import Base
from tests.service.store.conftest import items
from tests.service.store.postgres import Postgres


def test_migrations_make_the_tables(empty_url: str) -> None:
    with Store.open(empty_url) as store, store._db.read() as conn:
        assert compare_metadata(MigrationContext.configure(conn), Base.metadata) == []


def test_opened_again(url: str) -> None:
    with Store.open(url) as store:
        job, _ = store.jobs.create("predict", {}, items(3), "me")
        store.queue.claim(1, "w")
    with Store.open(url) as store:
        assert store.jobs.get(job.id).running == 1
        assert len(store.queue.claim(9, "w")) == 2
        store.health()


def test_newer_schema_is_refused(url: str) -> None:
    with Store.open(url) as store, store._db.write() as conn:
        conn.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreSchemaError, match="schema is 9999, made by a newer archrank; this one knows 0001"):
        Store.open(url)


def test_tables_of_somebody_else_are_left_alone(empty_url: str) -> None:
    with Store.open(empty_url) as store, store._db.write() as conn:
        conn.exec_driver_sql("DROP TABLE alembic_version")
    with pytest.raises(StoreSchemaError, match="that are not archrank's"):
        Store.open(empty_url)


def test_file_that_is_no_database(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("notes\n" * 1000)
    with pytest.raises(StoreSchemaError, match="whether the URL is the right one"):
        Store.open(f"sqlite:///{file}")
    assert file.read_text() == "notes\n" * 1000


def test_file_of_a_data_folder(tmp_path: Path) -> None:
    folder = tmp_path / "a folder with 100% ?#&"
    with Store.in_folder(folder) as store:
        store.health()
        (file,) = (path for path in folder.iterdir() if path.suffix == ".db")
        assert file.name == "archrank.db"
        assert oct(os.stat(file).st_mode)[-3:] == "600"
        with sqlite3.connect(file) as conn:
            assert conn.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        conn.close()


@pytest.mark.parametrize(
    "url",
    ["", "x", "sqlite://", "sqlite:///:memory:", "sqlite:////tmp/x?mode=ro", "mysql://h/d", "postgresql+asyncpg://h/d"],
)
def test_url_of_no_store(url: str) -> None:
    with pytest.raises(InputError, match=re.escape("allowed: sqlite:///<path of a file> or postgresql://")):
        Store.open(url)


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="a folder that can be written"):
        Store.in_folder(tmp_path / "file" / "data")


def test_server_that_does_not_answer(tmp_path: Path) -> None:
    with pytest.raises(StoreGoneError, match="cannot be reached") as caught:
        Store.open(f"postgresql://me:s3cret@/db?host={tmp_path}")
    assert "s3cret" not in str(caught.value)


def test_database_that_does_not_exist(postgres: Postgres) -> None:
    with pytest.raises(StoreError, match="does not exist"):
        Store.open(postgres.url("nowhere"))
