"""Servers that share a database, and how they tell each other that they are alive: without any clock."""

from collections.abc import Mapping

from sqlalchemy import and_, delete, or_, select

from service.storage import checks
from service.storage.database import Database
from service.storage.tables import ServerRow


class Servers:
    """The table of servers, each with a counter. Everything raises `StoreError`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def beat(self, server: str) -> dict[str, int]:
        """Count this server's counter up, which is made where it is missing; all counters by server."""
        checks.text("server", server)
        first = self._db.insert(ServerRow).values(name=server, heartbeats=1)
        with self._db.write() as conn:
            conn.execute(
                first.on_conflict_do_update(index_elements=["name"], set_={"heartbeats": ServerRow.heartbeats + 1})
            )
            return {row.name: row.heartbeats for row in conn.execute(select(ServerRow.name, ServerRow.heartbeats))}

    def forget(self, beats: Mapping[str, int]) -> int:
        """Delete the servers whose counters are still these; how many. `Queue.requeue_lost` sees to their items."""
        if not beats:
            return 0
        unmoved = or_(*(and_(ServerRow.name == name, ServerRow.heartbeats == beat) for name, beat in beats.items()))
        with self._db.write() as conn:
            return conn.execute(delete(ServerRow).where(unmoved)).rowcount

    def leave(self, server: str) -> None:
        """Delete a server that ends."""
        with self._db.write() as conn:
            conn.execute(delete(ServerRow).where(ServerRow.name == server))
