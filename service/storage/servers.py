"""Servers that share a database. Their heartbeats are counters, independent of any clock."""

from collections.abc import Mapping

from sqlalchemy import and_, delete, or_, select

from service.storage.database import Database
from service.storage.tables import ServerRow
from service.storage.validation import check_text


class ServerRepository:
    """The table of servers and their heartbeats. Every method raises `StoreError`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def beat(self, server: str) -> dict[str, int]:
        """Count a heartbeat of a server, which is registered by its first. Return the counters of all servers."""
        check_text("server", server)
        insert = self._db.insert(ServerRow).values(name=server, heartbeats=1)
        increment = {"heartbeats": ServerRow.heartbeats + 1}
        with self._db.write() as conn:
            conn.execute(insert.on_conflict_do_update(index_elements=["name"], set_=increment))
            return {row.name: row.heartbeats for row in conn.execute(select(ServerRow.name, ServerRow.heartbeats))}

    def remove_lost(self, heartbeats: Mapping[str, int]) -> int:
        """Remove the servers whose counters still have these values. Return their number.

        `JobQueue.requeue_lost` requeues their items.
        """
        if not heartbeats:
            return 0
        unchanged = (
            and_(ServerRow.name == name, ServerRow.heartbeats == counter) for name, counter in heartbeats.items()
        )
        with self._db.write() as conn:
            return conn.execute(delete(ServerRow).where(or_(*unchanged))).rowcount

    def remove(self, server: str) -> None:
        """Remove a server that shuts down."""
        with self._db.write() as conn:
            conn.execute(delete(ServerRow).where(ServerRow.name == server))
