"""Persistent state of the service."""

from pathlib import Path
from types import TracebackType
from uuid import uuid4

from sqlalchemy import URL, select

from service.storage.database import Clock, Database, utc_now
from service.storage.errors import StoreError
from service.storage.jobs import JobRepository
from service.storage.keys import ApiKeyRepository
from service.storage.news import NewsListener
from service.storage.queue import JobQueue
from service.storage.scores import ScoreRepository
from service.storage.servers import ServerRepository
from service.storage.studies import StudyRepository
from service.storage.tables import HealthRow

FILE_NAME = "archrank.db"
"""Name of the SQLite file in a data directory."""


class Store:
    """Scores, jobs, studies and API keys. Thread-safe; each process opens the URL itself.

    The store recovers from errors without being opened again.

    Attributes:
        scores: scores of earlier requests.
        jobs: jobs, for their owners.
        queue: items of the jobs, for servers that process them.
        servers: registered servers.
        keys: API keys.
        studies: studies and their observations.
        news: ids of jobs with new events.
    """

    def __init__(self, database: Database) -> None:
        self._db = database
        self.scores = ScoreRepository(database)
        self.jobs = JobRepository(database)
        self.queue = JobQueue(database)
        self.servers = ServerRepository(database)
        self.keys = ApiKeyRepository(database)
        self.studies = StudyRepository(database)
        self.news = database.news

    @classmethod
    def open(cls, url: str | URL, clock: Clock = utc_now) -> "Store":
        """Connect to a database and migrate it to the newest schema.

        Args:
            url: `sqlite:///` and the path of a file, which is created if it is missing, or
                `postgresql://user@host/database`.
            clock: source of timestamps, by which old rows are pruned; no order depends on it.

        Raises:
            InputError: the URL is not allowed.
            StoreError: the database cannot be opened or migrated.
        """
        return cls(Database(url, clock))

    @staticmethod
    def directory_url(directory: Path) -> URL:
        """Return the URL of the SQLite store of a data directory."""
        return URL.create("sqlite", database=str(directory.absolute() / FILE_NAME))

    @property
    def is_shared(self) -> bool:
        """True if several servers may use the store. An SQLite file has one, by `single_instance_lock`."""
        return self._db.file is None

    def listener(self) -> NewsListener | None:
        """Return a listener for the news of other servers; None for a store that has no others."""
        return NewsListener(self._db.receive_news, self.news) if self.is_shared else None

    def close(self) -> None:
        """Close every connection."""
        self._db.close()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def check_health(self) -> None:
        """Write a row and read it again. Raises `StoreError`."""
        token = uuid4().hex
        with self._db.write() as conn:
            insert = self._db.insert(HealthRow).values(id=1, token=token)
            conn.execute(insert.on_conflict_do_update(index_elements=["id"], set_={"token": token}))
            stored = conn.scalars(select(HealthRow.token)).one()
        if stored != token:
            raise StoreError(f"the store wrote {token} and read {stored}")
