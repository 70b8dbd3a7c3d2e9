"""Lock that keeps a second server from using an SQLite file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy import URL

from service.storage.database import parse_url
from service.storage.errors import StoreInUseError


@contextmanager
def single_instance_lock(url: str | URL) -> Iterator[None]:
    """Hold the lock of an SQLite file, which the operating system releases if the process is killed.

    A server that holds it may requeue all running items. PostgreSQL databases are shared and need no lock.

    Args:
        url: URL of a store.

    Raises:
        StoreInUseError: another server holds the lock.
        InputError: the URL is not allowed.
        OSError: the directory of the file cannot be created.
    """
    parsed = parse_url(url)
    if parsed.drivername != "sqlite":
        yield
        return
    file = Path(str(parsed.database)).absolute()
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(f"{file}.lock", blocking=False, fallback_to_soft=False)
    try:
        acquired = lock.acquire()
    except Timeout:
        raise StoreInUseError(
            f"another archrank server uses {file}: give this one a data directory of its own, or both the same "
            "PostgreSQL database"
        ) from None
    with acquired:
        yield
