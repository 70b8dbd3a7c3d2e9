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
from service.storage import checks
from service.storage.errors import StoreEncodingError, translated
from service.storage.migrate import migrate
from service.storage.tables import Base

BUSY_SECONDS = 10
"""How long one waits for another's lock, for a connection of the pool, and for a server to answer."""
ALLOWED = "sqlite:///<path of a file> or postgresql://<user>@<host>/<database>"
Clock = Callable[[], datetime]
Lock = Literal["migrate", "claim", "keys"]
_LOCKS: dict[Lock, int] = {"migrate": 0x61726301, "claim": 0x61726302, "keys": 0x61726303}
"""Any numbers, but the same in every process."""


def utc_now() -> datetime:
    """The system's clock."""
    return datetime.now(UTC)


class Database:
    """An engine, and the only place where transactions begin and errors are translated. Threads may share it.

    Args:
        url: see `ALLOWED`.
        clock: tells the time, for people and for what is pruned by age.

    Raises `InputError` for a URL that is not allowed, and `StoreError`.
    """

    def __init__(self, url: str | URL, clock: Clock) -> None:
        self.now = clock
        where = parsed(url)
        self.file: Path | None = None
        if where.drivername == "sqlite":
            self.file = Path(str(where.database)).absolute()
            self._engine = _sqlite(self.file)
        else:
            self._engine = postgres(where)
        try:
            self._create()
        except BaseException:
            self.close()
            raise

    def _create(self) -> None:
        if self.file is not None:
            try:
                self.file.parent.mkdir(parents=True, exist_ok=True)
                self.file.touch(0o600)  # an empty file is an empty database; what is not there is never made later
            except OSError as error:
                raise InputError("url", str(self.file), f"a file in a folder that can be written ({error})") from None
        with self.write("migrate") as conn:
            migrate(conn)

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads. Raises `StoreError`."""
        with self._errors(), self._engine.begin() as conn:
            yield conn

    @contextmanager
    def write(self, lock: Lock | None = None) -> Iterator[Connection]:
        """A transaction that is kept as a whole or not at all. Raises `StoreError`.

        Args:
            lock: only one transaction at a time has it, of all processes.
        """
        with self._errors(), self._engine.execution_options(writes=True).begin() as conn:
            if lock and self.file is None:  # SQLite has one writer at a time anyway
                conn.execute(select(func.pg_advisory_xact_lock(_LOCKS[lock])))
            yield conn

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except exc.SQLAlchemyError as error:
            raise translated(error, self.file) from error

    def insert(self, table: type[Base]) -> sqlite.Insert | postgresql.Insert:
        """An insert that can say what to do `on_conflict`."""
        return postgresql.insert(table) if self.file is None else sqlite.insert(table)


def parsed(url: str | URL) -> URL:
    """The URL, with the driver that is used. Raises `InputError` for one that is not allowed."""
    try:
        where = make_url(url)
    except exc.ArgumentError:
        raise InputError("url", "(not a URL)", ALLOWED) from None  # it may hold a password
    if where.drivername in ("postgres", "postgresql"):
        where = where.set(drivername="postgresql+psycopg")
    shown = where.render_as_string(hide_password=True)
    if where.drivername not in ("sqlite", "postgresql+psycopg"):
        raise InputError("url", shown, ALLOWED)
    if where.drivername == "sqlite" and (not where.database or where.database == ":memory:" or where.query):
        raise InputError("url", shown, ALLOWED)
    return where


def postgres(where: URL, **options: Any) -> Engine:
    """An engine whose connections raise `StoreEncodingError` where the database cannot hold every character.

    Args:
        where: as `parsed` gives it.
        options: of `create_engine`.
    """
    # Whoever is paused within a transaction keeps its locks: for no longer than others wait for them.
    ours = {
        "application_name": "archrank",
        "connect_timeout": BUSY_SECONDS,
        "options": f"-c lock_timeout={BUSY_SECONDS}s -c idle_in_transaction_session_timeout={BUSY_SECONDS}s",
    }
    arguments = {name: value for name, value in ours.items() if name not in where.query}
    # Or the driver takes the database's encoding, and gives bytes in place of text for one that it does not know.
    arguments["client_encoding"] = "utf8"
    pool = {"pool_size": 10, "pool_timeout": BUSY_SECONDS} if "poolclass" not in options else {}
    engine = create_engine(
        where,
        connect_args=arguments,
        json_serializer=checks.dumps,
        pool_pre_ping=True,  # so that a server may restart
        **pool,
        **options,
    )

    @event.listens_for(engine, "connect")
    def encoding(connection: Any, entry: ConnectionPoolEntry) -> None:
        found = connection.info.parameter_status("server_encoding")
        if found != "UTF8":
            raise StoreEncodingError(
                f"the encoding of database {where.database!r} is {found}; archrank needs UTF8: "
                "createdb --encoding UTF8 --template template0 NAME"
            )

    return engine


def _write_ahead(conn: sqlite3.Connection) -> None:
    """Where several open a new file at once, SQLite refuses some without the wait that was asked for."""
    deadline = monotonic() + BUSY_SECONDS
    while True:
        try:
            conn.execute("PRAGMA journal_mode = WAL").close()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname != "SQLITE_BUSY" or monotonic() > deadline:
                raise
            sleep(0.01)
        else:
            return


def _sqlite(file: Path) -> Engine:
    def connect() -> sqlite3.Connection:
        # Transactions begin where we say so, and a file that is gone is an error, not a new and empty store.
        conn = sqlite3.connect(
            f"{file.as_uri()}?mode=rw", BUSY_SECONDS, isolation_level=None, check_same_thread=False, uri=True
        )
        try:
            # FULL, because what a client was told must hold: with NORMAL a power failure takes back the last
            # transactions, and a stream would count the same event numbers again for other events.
            # Small caches, as there is one for each connection; the system holds the file once for all of them.
            _write_ahead(conn)
            for pragma in ("synchronous = FULL", "foreign_keys = ON", "cache_size = -256"):
                conn.execute(f"PRAGMA {pragma}").close()
        except BaseException:
            conn.close()
            raise
        return conn

    engine = create_engine(
        URL.create("sqlite", database=str(file)),
        creator=connect,
        json_serializer=checks.dumps,
        pool_size=10,
        pool_timeout=BUSY_SECONDS,
    )

    def identity() -> tuple[int, int] | None:
        try:
            status = os.stat(file)
        except OSError:
            return None
        return status.st_dev, status.st_ino

    @event.listens_for(engine, "connect")
    def remember(connection: Any, entry: ConnectionPoolEntry) -> None:
        entry.info["file"] = identity()

    @event.listens_for(engine, "checkout")
    def compare(connection: Any, entry: ConnectionPoolEntry, proxy: Any) -> None:
        if entry.info["file"] != identity():  # one could go on writing into a deleted file, and never notice
            raise exc.DisconnectionError(f"{file} is another file than before")

    @event.listens_for(engine, "begin")
    def begin(conn: Connection) -> None:
        # At once, because a reader that turns writer cannot wait for other writers.
        conn.exec_driver_sql("BEGIN IMMEDIATE" if conn.get_execution_options().get("writes") else "BEGIN")

    return engine
