"""Servers that share a database, and how they tell each other that they are alive: without any clock."""

from collections.abc import Mapping

from sqlalchemy import and_, delete, or_, select

from service.storage import checks
from service.storage.database import Database
from service.storage.tables import WorkerRow


class Workers:
    """The table of workers, each with a counter. Everything raises `StoreError`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def beat(self, worker: str) -> dict[str, int]:
        """Count this worker's counter up, which is made where it is missing; all counters by worker."""
        checks.text("worker", worker)
        first = self._db.insert(WorkerRow).values(name=worker, beat=1)
        with self._db.write() as conn:
            conn.execute(first.on_conflict_do_update(index_elements=["name"], set_={"beat": WorkerRow.beat + 1}))
            return {row.name: row.beat for row in conn.execute(select(WorkerRow.name, WorkerRow.beat))}

    def forget(self, beats: Mapping[str, int]) -> int:
        """Delete the workers whose counters are still these; how many. `Queue.requeue_lost` sees to their items."""
        if not beats:
            return 0
        unmoved = or_(*(and_(WorkerRow.name == name, WorkerRow.beat == beat) for name, beat in beats.items()))
        with self._db.write() as conn:
            return conn.execute(delete(WorkerRow).where(unmoved)).rowcount

    def leave(self, worker: str) -> None:
        """Delete a worker that ends."""
        with self._db.write() as conn:
            conn.execute(delete(WorkerRow).where(WorkerRow.name == worker))
