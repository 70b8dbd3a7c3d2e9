"""One server for one SQLite file: what it finds half done is nobody else's."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL

from service.storage.database import parsed
from service.storage.errors import StoreInUseError


@contextmanager
def alone(url: str | URL) -> Iterator[None]:
    """Be the only server on this store, if it is an SQLite file; the system ends this however the process ends.

    Raises `StoreInUseError`, `InputError` for a URL that is not allowed,
    and `OSError` where its folder cannot be made.
    """
    where = parsed(url)
    if where.drivername != "sqlite":
        yield
        return
    file = Path(str(where.database)).absolute()
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{file}.lock", "a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreInUseError(
                f"another archrank server works on {file}: give this one a data folder of its own, or both the same "
                "PostgreSQL database"
            ) from None
        yield
