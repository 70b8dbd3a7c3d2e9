"""Everything that survives the process, behind one door."""

from pathlib import Path
from types import TracebackType
from uuid import uuid4

from sqlalchemy import URL, select

from service.storage.database import Clock, Database, utc_now
from service.storage.errors import StoreError
from service.storage.jobs import Jobs
from service.storage.keys import Keys
from service.storage.queue import Queue
from service.storage.scores import Scores
from service.storage.servers import Servers
from service.storage.tables import HealthRow

FILE = "archrank.db"


class Store:
    """Scores, jobs and API keys. Threads share one store; each process opens its own, of the same URL.

    After an error it goes on as soon as the cause is gone.

    Attributes:
        scores: of earlier requests.
        jobs: as their owners see them.
        queue: the same jobs as servers see them.
        servers: those who are there.
        keys: API keys.
    """

    def __init__(self, database: Database) -> None:
        self._db = database
        self.scores = Scores(database)
        self.jobs = Jobs(database)
        self.queue = Queue(database)
        self.servers = Servers(database)
        self.keys = Keys(database)

    @classmethod
    def open(cls, url: str | URL, clock: Clock = utc_now) -> "Store":
        """Connect, and bring the tables to the newest schema.

        Args:
            url: `sqlite:///` and the path of a file, which is made where it is missing, or
                `postgresql://user@host/database`.
            clock: tells the time, which people read and pruning goes by; order never depends on it.

        Raises `InputError` and `StoreError`.
        """
        return cls(Database(url, clock))

    @classmethod
    def in_folder(cls, folder: Path, clock: Clock = utc_now) -> "Store":
        """The SQLite store of a data folder."""
        return cls.open(cls.url_of(folder), clock)

    @staticmethod
    def url_of(folder: Path) -> URL:
        """Of the SQLite store of a data folder."""
        return URL.create("sqlite", database=str(folder.absolute() / FILE))

    @property
    def shared(self) -> bool:
        """Whether other servers may work on the same jobs; on an SQLite file one is `alone`."""
        return self._db.file is None

    def close(self) -> None:
        """Close every connection."""
        self._db.close()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def health(self) -> None:
        """Write a row and read it again. Raises `StoreError`, which says what is wrong."""
        token = uuid4().hex
        with self._db.write() as conn:
            write = self._db.insert(HealthRow).values(id=1, token=token)
            conn.execute(write.on_conflict_do_update(index_elements=["id"], set_={"token": token}))
            read = conn.scalars(select(HealthRow.token)).one()
        if read != token:
            raise StoreError(f"the store wrote {token} and read {read}")
