"""Translation of SQLAlchemy's and the drivers' errors to those of the store, with advice for operators."""

import shutil
import sqlite3
from pathlib import Path

from sqlalchemy import exc

from common.errors import ArchrankError
from service.storage.errors import (
    StoreBusyError,
    StoreError,
    StoreFullError,
    StoreSchemaError,
    StoreUnavailableError,
)

MIN_FREE_BYTES = 2**20
"""Free space of the disk below which an I/O error of SQLite is reported as a full disk."""
_ADVICE: dict[type[StoreError], str] = {
    StoreError: "the store failed",
    StoreBusyError: "the store is busy: try again; if this persists, look for another process with an open transaction",
    StoreFullError: "the store's disk is full: free some space or prune; no restart is needed",
    StoreUnavailableError: "the store cannot be reached: check that its directory can be written, or that its server "
    "runs and accepts the user of the URL; no restart is needed",
    StoreSchemaError: "the database does not hold archrank's tables: check the URL",
}
_SQLITE_ERRORS = {
    "SQLITE_BUSY": StoreBusyError,
    "SQLITE_LOCKED": StoreBusyError,
    "SQLITE_FULL": StoreFullError,
    "SQLITE_IOERR": StoreUnavailableError,
    "SQLITE_CANTOPEN": StoreUnavailableError,
    "SQLITE_READONLY": StoreUnavailableError,
    "SQLITE_PERM": StoreUnavailableError,
    "SQLITE_NOTADB": StoreSchemaError,
}
"""Errors by prefix of SQLite's error name."""
_POSTGRES_ERRORS = {
    "08": StoreUnavailableError,  # connection exception
    "25P03": StoreUnavailableError,  # idle in transaction: this process was paused
    "28": StoreUnavailableError,  # invalid authorization
    "3D": StoreUnavailableError,  # no such database
    "40": StoreBusyError,  # deadlock, serialization failure
    "53100": StoreFullError,
    "53": StoreBusyError,  # out of connections or memory
    "55P03": StoreBusyError,  # lock timeout
    "57014": StoreBusyError,  # statement timeout
    "57P": StoreUnavailableError,  # the server stops or starts
    "58": StoreUnavailableError,  # I/O error
    "42P01": StoreSchemaError,  # no such table
    "42703": StoreSchemaError,  # no such column
    "3F": StoreSchemaError,  # no such schema
}
"""Errors by prefix of the SQLSTATE, in order of precedence."""


def translate(error: exc.SQLAlchemyError, file: Path | None) -> ArchrankError:
    """Return the error to raise in place of one of SQLAlchemy's.

    Args:
        error: the error of SQLAlchemy.
        file: the SQLite file; None on PostgreSQL.
    """
    cause = error.orig if isinstance(error, exc.StatementError) else None
    if isinstance(cause, ArchrankError):  # raised by the JSON serializer
        return cause
    if isinstance(error, exc.TimeoutError):
        kind: type[StoreError] = StoreBusyError
    elif isinstance(cause, sqlite3.Error):
        kind = _sqlite_kind(cause, file)
    elif isinstance(error, exc.DBAPIError):
        kind = _postgres_kind(cause, error.connection_invalidated)
    else:
        kind = StoreError
    lines = str(cause or error).strip().splitlines()
    return kind(f"{_ADVICE[kind]} ({'; '.join(line.strip() for line in lines[:3])})")


def _sqlite_kind(cause: sqlite3.Error, file: Path | None) -> type[StoreError]:
    name = getattr(cause, "sqlite_errorname", "")
    kind = next((kind for prefix, kind in _SQLITE_ERRORS.items() if name.startswith(prefix)), StoreError)
    if kind is StoreUnavailableError and file is not None and file.exists():
        return StoreFullError if shutil.disk_usage(file.parent).free < MIN_FREE_BYTES else kind
    return StoreSchemaError if "no such table" in str(cause) or "no such column" in str(cause) else kind


def _postgres_kind(cause: BaseException | None, is_disconnected: bool) -> type[StoreError]:
    sqlstate = getattr(cause, "sqlstate", None)
    if sqlstate is None:  # raised by the client: not connected, or disconnected
        is_unavailable = is_disconnected or type(cause).__name__ == "OperationalError"
        return StoreUnavailableError if is_unavailable else StoreError
    return next((kind for prefix, kind in _POSTGRES_ERRORS.items() if sqlstate.startswith(prefix)), StoreError)
