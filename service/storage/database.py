"""Connections and transactions, on SQLite or PostgreSQL."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Literal

from sqlalchemy import URL, Connection, Engine, create_engine, event, exc, func, make_url, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.pool import ConnectionPoolEntry

from common.errors import InputError
from common.extras import require_extra
from service.storage.error_translation import translate
from service.storage.errors import StoreEncodingError, StoreUnavailableError
from service.storage.migrate import migrate
from service.storage.news import CHANNEL, RECEIVE_TIMEOUT_S, JobNews, Received, begin_recording
from service.storage.tables import Base
from service.storage.validation import from_json, to_json

BUSY_TIMEOUT_S = 10
"""Maximum wait for a lock, for a connection of the pool, and for a server to answer."""
BUSY_RETRY_INTERVAL_S = 0.01
POOL_SIZE = 10
ALLOWED_URLS = "sqlite:///<path of a file> or postgresql://<user>@<host>/<database>"
Clock = Callable[[], datetime]
Lock = Literal["migrate", "claim", "keys"]
_ADVISORY_LOCKS: dict[Lock, int] = {"migrate": 0x61726301, "claim": 0x61726302, "keys": 0x61726303}
"""Arbitrary numbers, the same in every process."""


def utc_now() -> datetime:
    """Return the time of the system's clock."""
    return datetime.now(UTC)


class Database:
    """An engine, and the only place where transactions begin and errors are translated. Thread-safe.

    Args:
        url: one of `ALLOWED_URLS`.
        clock: source of timestamps.

    Attributes:
        news: publishes the jobs with new events after each transaction.
        now: the clock.
        file: path of the SQLite file; None on PostgreSQL.

    Raises:
        InputError: the URL is not allowed.
        StoreError: the database cannot be opened or migrated.
    """

    def __init__(self, url: str | URL, clock: Clock) -> None:
        self.now, self.news = clock, JobNews()
        parsed = parse_url(url)
        self.file: Path | None = None
        if parsed.drivername == "sqlite":
            self.file = Path(str(parsed.database)).absolute()
            self._engine = _create_sqlite_engine(self.file)
        else:
            self._engine = create_postgres_engine(parsed)
        try:
            self._initialize()
        except BaseException:
            self.close()
            raise

    def _initialize(self) -> None:
        if self.file is not None:
            try:
                self.file.parent.mkdir(parents=True, exist_ok=True)
                self.file.touch(0o600)  # an empty file is an empty database; connections never create one
            except OSError as error:
                raise InputError("url", str(self.file), f"a file in a writable directory ({error})") from None
        with self.write("migrate") as conn:
            migrate(conn)

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a transaction that only reads. Raises `StoreError`."""
        with self._translate_errors(), self._engine.begin() as conn:
            yield conn

    @contextmanager
    def write(self, lock: Lock | None = None) -> Iterator[Connection]:
        """Open a transaction that is committed as a whole or not at all.

        Args:
            lock: mutual exclusion with all transactions that name the same lock, in all processes.

        Raises:
            StoreError: the transaction failed.
        """
        with self._translate_errors(), self._engine.execution_options(writes=True).begin() as conn:
            if lock and self.file is None:  # SQLite has one writer at a time
                conn.execute(select(func.pg_advisory_xact_lock(_ADVISORY_LOCKS[lock])))
            changed_jobs = begin_recording(conn)
            yield conn
            if self.file is None:
                for job in sorted(changed_jobs):
                    conn.execute(select(func.pg_notify(CHANNEL, job)))
        if changed_jobs:
            self.news.publish(changed_jobs)

    def receive_news(self) -> Received:
        """Open a connection, and yield the id of each job that any server of a PostgreSQL store has news of.

        Yields:
            The id; None after `RECEIVE_TIMEOUT_S` without one.

        Raises:
            StoreError: there is no connection, or it was lost.
        """
        with self._translate_errors(), self._engine.connect() as conn:
            conn = conn.execution_options(isolation_level="AUTOCOMMIT")
            conn.exec_driver_sql(f"LISTEN {CHANNEL}")
            driver_connection: Any = conn.connection.driver_connection
            conn.detach()  # no transaction gets a connection that listens
            try:
                while True:
                    for notification in driver_connection.notifies(timeout=RECEIVE_TIMEOUT_S):
                        yield notification.payload
                    yield None
            except conn.dialect.loaded_dbapi.Error as error:
                raise StoreUnavailableError(f"the connection that listens for news was lost ({error})") from error

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except exc.SQLAlchemyError as error:
            raise translate(error, self.file) from error

    def insert(self, table: type[Base]) -> sqlite.Insert | postgresql.Insert:
        """Return an insert statement of the dialect, which supports `on_conflict_…`."""
        return postgresql.insert(table) if self.file is None else sqlite.insert(table)


def parse_url(url: str | URL) -> URL:
    """Parse the URL of a store and set its driver. Raises `InputError` for a URL that is not allowed."""
    try:
        parsed = make_url(url)
    except exc.ArgumentError:
        raise InputError("url", "(not a URL)", ALLOWED_URLS) from None  # it may contain a password
    if parsed.drivername in ("postgres", "postgresql"):
        require_extra("postgres", "psycopg")
        parsed = parsed.set(drivername="postgresql+psycopg")
    printable = parsed.render_as_string(hide_password=True)
    if parsed.drivername not in ("sqlite", "postgresql+psycopg"):
        raise InputError("url", printable, ALLOWED_URLS)
    if parsed.drivername == "sqlite" and (not parsed.database or parsed.database == ":memory:" or parsed.query):
        raise InputError("url", printable, ALLOWED_URLS)
    return parsed


def create_postgres_engine(url: URL, **options: Any) -> Engine:
    """Create an engine for PostgreSQL. Its connections raise `StoreEncodingError` unless the encoding is UTF-8.

    Args:
        url: URL returned by `parse_url`; its query takes precedence over the defaults.
        options: further options of `create_engine`.
    """
    # A process that is paused within a transaction keeps its locks, but no longer than others wait for them.
    defaults = {
        "application_name": "archrank",
        "connect_timeout": BUSY_TIMEOUT_S,
        "options": f"-c lock_timeout={BUSY_TIMEOUT_S}s -c idle_in_transaction_session_timeout={BUSY_TIMEOUT_S}s",
    }
    connect_args = {name: value for name, value in defaults.items() if name not in url.query}
    # The driver's default is the database's encoding, and it returns bytes instead of text for an unknown one.
    connect_args["client_encoding"] = "utf8"
    pool = {"pool_size": POOL_SIZE, "pool_timeout": BUSY_TIMEOUT_S} if "poolclass" not in options else {}
    engine = create_engine(
        url,
        connect_args=connect_args,
        json_serializer=to_json,
        json_deserializer=from_json,
        pool_pre_ping=True,  # reconnect after a restart of the server
        **pool,
        **options,
    )

    @event.listens_for(engine, "connect")
    def check_encoding(connection: Any, entry: ConnectionPoolEntry) -> None:
        encoding = connection.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            raise StoreEncodingError(
                f"the encoding of database {url.database!r} is {encoding}; archrank needs UTF8: "
                "createdb --encoding UTF8 --template template0 NAME"
            )

    return engine


def _create_sqlite_engine(file: Path) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(file)),
        creator=lambda: _connect_to_sqlite(file),
        json_serializer=to_json,
        json_deserializer=from_json,
        pool_size=POOL_SIZE,
        pool_timeout=BUSY_TIMEOUT_S,
    )

    def file_identity() -> tuple[int, int] | None:
        try:
            status = os.stat(file)
        except OSError:
            return None
        return status.st_dev, status.st_ino

    @event.listens_for(engine, "connect")
    def remember_file(connection: Any, entry: ConnectionPoolEntry) -> None:
        entry.info["file"] = file_identity()

    @event.listens_for(engine, "checkout")
    def check_file(connection: Any, entry: ConnectionPoolEntry, proxy: Any) -> None:
        if entry.info["file"] != file_identity():  # writing to a deleted file would go unnoticed
            raise exc.DisconnectionError(f"{file} was replaced")

    @event.listens_for(engine, "begin")
    def begin(conn: Connection) -> None:
        # A write lock from the start, because a reader that turns writer cannot wait for other writers.
        conn.exec_driver_sql("BEGIN IMMEDIATE" if conn.get_execution_options().get("writes") else "BEGIN")

    return engine


def _connect_to_sqlite(file: Path) -> sqlite3.Connection:
    # Transactions begin explicitly, and a missing file is an error instead of a new and empty store.
    conn = sqlite3.connect(
        f"{file.as_uri()}?mode=rw", BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False, uri=True
    )
    try:
        _enable_write_ahead_log(conn)
        # FULL, because a client must be able to rely on a response: with NORMAL a power failure reverts the last
        # transactions, and a stream would count the same event numbers again for other events.
        # Caches are small, as every connection has one; the operating system caches the file for all of them.
        for pragma in ("synchronous = FULL", "foreign_keys = ON", "cache_size = -256"):
            conn.execute(f"PRAGMA {pragma}").close()
    except BaseException:
        conn.close()
        raise
    return conn


def _enable_write_ahead_log(conn: sqlite3.Connection) -> None:
    """Switch to WAL. If several processes open a new file at once, SQLite fails without waiting for its timeout."""
    deadline = monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            conn.execute("PRAGMA journal_mode = WAL").close()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname != "SQLITE_BUSY" or monotonic() > deadline:
                raise
            sleep(BUSY_RETRY_INTERVAL_S)
        else:
            return
