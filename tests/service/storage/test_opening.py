"""Opening and migration of databases."""

import os
import re
import sqlite3
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import NullPool, create_engine, text

from common.errors import InputError
from proxies import Score
from service.storage import RequeueResult, Store, StoreError, StoreSchemaError, StoreUnavailableError
from service.storage.database import parse_url
from service.storage.migrate import MIGRATIONS_DIR
from service.storage.records import UNBOUND
from service.storage.score_key import ScoreKey
from service.storage.tables import Base
from tests.service.storage.conftest import get_items, new_items
from tests.service.storage.postgres import Postgres


def test_migrations_create_the_tables(empty_url: str) -> None:
    with Store.open(empty_url) as store, store._db.read() as conn:
        assert compare_metadata(MigrationContext.configure(conn), Base.metadata) == []


def test_opened_again(url: str) -> None:
    with Store.open(url) as store:
        job, _ = store.jobs.create("predictions", {}, new_items(3), "me")
        store.queue.claim(1, "w")
    with Store.open(url) as store:
        assert store.jobs.get(job.id).running == 1
        assert len(store.queue.claim(9, "w")) == 2
        store.check_health()


EARLIER = (
    "INSERT INTO jobs (number, id, owner, kind, options, state, created, "
    "total, waiting, running, done, failed, cached, events) "
    "VALUES (1, 'j1', 'k1', 'predict', '{}', 'running', '2030-01-01', 3, 1, 1, 1, 0, 0, 0)",
    "INSERT INTO owners (owner, turn) VALUES ('k1', 0)",
    *(
        "INSERT INTO items (job, position, architecture, state, attempts, completion, cached) "
        f"VALUES (1, {position}, '{{}}', '{state}', 9, {completion}, false)"
        for position, state, completion in ((0, "done", 1), (1, "running", "NULL"), (2, "waiting", "NULL"))
    ),
)
KEY = (
    "INSERT INTO api_keys (id, prefix, name, hash, scopes, limits, created, revoked) "
    "VALUES ('k1', 'ar_1', 'lab', 'h4sh', '[]', '{}', '2030-01-01', '2030-01-02')"
)


def create_earlier(url: str, *statements: str, revision: str = "0002") -> None:
    """Create a store of an earlier schema and execute statements."""
    parsed = parse_url(url)
    if parsed.drivername == "sqlite":
        Path(str(parsed.database)).parent.mkdir()
    engine = create_engine(parsed, poolclass=NullPool)
    with engine.begin() as conn:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS_DIR))
        config.attributes["connection"] = conn
        command.upgrade(config, revision)
        for statement in statements:
            conn.execute(text(statement.replace(":", r"\:")))


def test_store_of_an_earlier_archrank(empty_url: str) -> None:
    """Its revoked keys admit nobody, its jobs continue, and claims without a start are no attempts."""
    create_earlier(empty_url, KEY, *EARLIER)
    with Store.open(empty_url) as store:
        assert not store.keys.anonymous()
        assert store.jobs.get("j1").basis == UNBOUND
        assert [item.attempts for item in get_items(store, "j1")] == [9, 0, 0]
        assert store.queue.requeue_all(1, {}) == RequeueResult(1, 0)
        assert [claim.position for claim in store.queue.claim(9, "w")] == [1, 2]


def test_store_of_an_earlier_archrank_that_had_no_key(empty_url: str) -> None:
    create_earlier(empty_url)
    with Store.open(empty_url) as store:
        assert store.keys.anonymous()


CONTEXT = (
    "INSERT INTO contexts (id, space, batch, seed, draws, device, dtype) "
    "VALUES (1, 'gcn-nas', 'b', 0, 3, 'cpu', 'float32')"
)
SCORES = (
    "INSERT INTO scores (id, context, architecture, scores, used, turn) VALUES (1, 1, 'a', "
    """'{"zen/1": [1.5, null, 0.25, "chunked", 0.1], "synflow/2": [null, 1e22, 0.5, null, 3]}', '2030-01-01', 1)"""
)


def test_scores_of_an_earlier_archrank_are_kept(empty_url: str) -> None:
    create_earlier(empty_url, CONTEXT, SCORES)
    zen = ScoreKey("gcn-nas", "a", "b", 0, 3, "zen", "1", "cpu", "float32")
    synflow = zen._replace(proxy="synflow", version="2")
    with Store.open(empty_url) as store:
        assert store.scores.get([zen, synflow]) == {
            zen: Score(1.5, None, "ok", 0.25, note="chunked"),
            synflow: Score(None, 1e22, "ok", 0.5),
        }


def test_newer_schema_is_refused(url: str) -> None:
    with Store.open(url) as store, store._db.write() as conn:
        conn.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreSchemaError, match="schema is 9999, made by a newer archrank; this one knows 0001"):
        Store.open(url)


def test_foreign_tables_are_left_alone(empty_url: str) -> None:
    with Store.open(empty_url) as store, store._db.write() as conn:
        conn.exec_driver_sql("DROP TABLE alembic_version")
    with pytest.raises(StoreSchemaError, match="that are not archrank's"):
        Store.open(empty_url)


def test_file_is_not_a_database(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("notes\n" * 1000)
    with pytest.raises(StoreSchemaError, match="check the URL"):
        Store.open(f"sqlite:///{file}")
    assert file.read_text() == "notes\n" * 1000


def test_file_of_a_data_directory(tmp_path: Path) -> None:
    directory = tmp_path / "a directory with 100% ?#&"
    with Store.open(Store.directory_url(directory)) as store:
        store.check_health()
        (file,) = (path for path in directory.iterdir() if path.suffix == ".db")
        assert file.name == "archrank.db"
        assert oct(os.stat(file).st_mode)[-3:] == "600"
        with sqlite3.connect(file) as conn:
            assert conn.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        conn.close()


@pytest.mark.parametrize(
    "url",
    ["", "x", "sqlite://", "sqlite:///:memory:", "sqlite:////tmp/x?mode=ro", "mysql://h/d", "postgresql+asyncpg://h/d"],
)
def test_url_is_not_allowed(url: str) -> None:
    with pytest.raises(InputError, match=re.escape("allowed: sqlite:///<path of a file> or postgresql://")):
        Store.open(url)


def test_directory_cannot_be_created(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="a writable directory"):
        Store.open(Store.directory_url(tmp_path / "file" / "data"))


def test_server_that_does_not_answer(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailableError, match="cannot be reached") as caught:
        Store.open(f"postgresql://me:s3cret@/db?host={tmp_path}")
    assert "s3cret" not in str(caught.value)


def test_database_that_does_not_exist(postgres: Postgres) -> None:
    with pytest.raises(StoreError, match="does not exist"):
        Store.open(postgres.url("nowhere"))
