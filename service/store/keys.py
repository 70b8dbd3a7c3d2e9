"""API keys, hashed."""

from collections.abc import Sequence
from dataclasses import fields

from sqlalchemy import func, select, update

from models.errors import InputError
from service.store import checks
from service.store.database import Database
from service.store.errors import NotFoundError
from service.store.records import ApiKey, JsonObject
from service.store.tables import KeyRow

_COLUMNS = [getattr(KeyRow, one.name) for one in fields(ApiKey)]


class Keys:
    """The table of API keys; whoever makes keys hashes them. Everything raises `StoreError`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, id: str, prefix: str, name: str, hash: str, scopes: Sequence[str], limits: JsonObject) -> ApiKey:  # noqa: A002
        """Keep a key. Raises `InputError` where the id is taken."""
        given = {"id": id, "prefix": prefix, "name": name, "hash": hash}
        for field, value in given.items():
            checks.text(field, value)
        row = {**given, "scopes": list(scopes), "limits": dict(limits), "created": self._db.now()}
        with self._db.write() as conn:
            once = self._db.insert(KeyRow).values(row).on_conflict_do_nothing(index_elements=["id"])
            added = conn.execute(once.returning(*_COLUMNS)).one_or_none()
        if added is None:
            raise InputError("id", id, "an id that no key has")
        return ApiKey(**added._mapping)

    def list(self) -> Sequence[ApiKey]:
        """All, oldest first, revoked ones too."""
        with self._db.read() as conn:
            rows = conn.execute(select(*_COLUMNS).order_by(KeyRow.number))
            return [ApiKey(**row._mapping) for row in rows]

    def by_prefix(self, prefix: str) -> Sequence[ApiKey]:
        """The keys that begin so, revoked ones too; commonly one."""
        with self._db.read() as conn:
            rows = conn.execute(select(*_COLUMNS).where(KeyRow.prefix == prefix).order_by(KeyRow.number))
            return [ApiKey(**row._mapping) for row in rows]

    def revoke(self, id: str) -> ApiKey:  # noqa: A002
        """Note the time from which it is of no use; the first time counts. Raises `NotFoundError`."""
        first = func.coalesce(KeyRow.revoked, self._db.now())
        with self._db.write() as conn:
            revoked = update(KeyRow).where(KeyRow.id == id).values(revoked=first).returning(*_COLUMNS)
            row = conn.execute(revoked).one_or_none()
        if row is None:
            raise NotFoundError("id", id, "the id of a key")
        return ApiKey(**row._mapping)
