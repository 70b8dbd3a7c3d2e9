"""What goes wrong with a store, and what helps: the driver's errors as ours."""

import shutil
import sqlite3
from pathlib import Path

from sqlalchemy import exc

from common.errors import ArchrankError, InputError

LEAST_FREE = 2**20
"""Bytes. With less than this free, an I/O error of SQLite is put down to a full disk."""


class StoreError(ArchrankError):
    """The store could not do what it was asked, and did none of it.

    Only where the connection was lost in the very moment of the commit is it unknown whether it was done; every
    operation may be repeated then.
    """


class StoreBusyError(StoreError):
    """Another process holds a lock, or all connections are in use, for longer than one waits."""


class StoreFullError(StoreError):
    """The disk is full."""


class StoreGoneError(StoreError):
    """The file cannot be opened or written, or the server cannot be reached."""


class StoreInUseError(StoreError):
    """Another server works on the same SQLite file."""


class StoreSchemaError(StoreError):
    """The database is none of ours, or that of a newer archrank."""


class StoreEncodingError(StoreError):
    """The database cannot hold every character."""


class NotFoundError(InputError):
    """No row has this id."""


class IdempotencyError(InputError):
    """An idempotency key was used before, with another body."""


class TooManyJobsError(ArchrankError):
    """An owner has as many unfinished jobs as they may have."""


class JobStateError(InputError):
    """A job is not in a state that allows this."""


_HELP: dict[type[StoreError], str] = {
    StoreError: "the store failed",
    StoreBusyError: "the store is busy: try again; if it stays so, look for another process that holds a transaction",
    StoreFullError: "the store's disk is full: free some space or prune; nothing needs to be restarted",
    StoreGoneError: "the store cannot be reached: look whether its folder can be written, or its server runs and lets "
    "in whom the URL names; nothing here needs to be restarted",
    StoreSchemaError: "the database does not hold archrank's tables: look whether the URL is the right one",
}
_SQLITE = {
    "SQLITE_BUSY": StoreBusyError,
    "SQLITE_LOCKED": StoreBusyError,
    "SQLITE_FULL": StoreFullError,
    "SQLITE_IOERR": StoreGoneError,
    "SQLITE_CANTOPEN": StoreGoneError,
    "SQLITE_READONLY": StoreGoneError,
    "SQLITE_PERM": StoreGoneError,
    "SQLITE_NOTADB": StoreSchemaError,
}
"""By the beginning of SQLite's name of the error."""
_POSTGRES = {
    "08": StoreGoneError,  # connection exception
    "25P03": StoreGoneError,  # this process was paused within a transaction
    "28": StoreGoneError,  # invalid authorization
    "3D": StoreGoneError,  # no such database
    "40": StoreBusyError,  # deadlock, serialization failure
    "53100": StoreFullError,
    "53": StoreBusyError,  # out of connections, of memory
    "55P03": StoreBusyError,  # lock timeout
    "57014": StoreBusyError,  # statement timeout
    "57P": StoreGoneError,  # the server stops, or starts
    "58": StoreGoneError,  # I/O error
    "42P01": StoreSchemaError,  # no such table
    "42703": StoreSchemaError,  # no such column
    "3F": StoreSchemaError,  # no such schema
}
"""By the beginning of the SQLSTATE; the first that fits counts."""


def translated(error: exc.SQLAlchemyError, file: Path | None) -> ArchrankError:
    """The error to raise in place of one of SQLAlchemy's.

    Args:
        file: of an SQLite store.
    """
    cause = error.orig if isinstance(error, exc.StatementError) else None
    if isinstance(cause, ArchrankError):  # of our own serializer
        return cause
    if isinstance(error, exc.TimeoutError):
        kind: type[StoreError] = StoreBusyError
    elif isinstance(cause, sqlite3.Error):
        kind = _sqlite_kind(cause, file)
    elif isinstance(error, exc.DBAPIError):
        kind = _postgres_kind(cause, error.connection_invalidated)
    else:
        kind = StoreError
    said = str(cause or error).strip().splitlines()
    return kind(f"{_HELP[kind]} ({'; '.join(line.strip() for line in said[:3])})")


def _sqlite_kind(cause: sqlite3.Error, file: Path | None) -> type[StoreError]:
    name = getattr(cause, "sqlite_errorname", "")
    kind = next((kind for start, kind in _SQLITE.items() if name.startswith(start)), StoreError)
    if kind is StoreGoneError and file is not None and file.exists():
        return StoreFullError if shutil.disk_usage(file.parent).free < LEAST_FREE else kind
    return StoreSchemaError if "no such table" in str(cause) or "no such column" in str(cause) else kind


def _postgres_kind(cause: BaseException | None, disconnected: bool) -> type[StoreError]:
    state = getattr(cause, "sqlstate", None)
    if state is None:  # the client itself noticed: no connection, or none any more
        return StoreGoneError if disconnected or type(cause).__name__ == "OperationalError" else StoreError
    return next((kind for start, kind in _POSTGRES.items() if state.startswith(start)), StoreError)
