"""API keys, hashed."""

from collections.abc import Sequence
from dataclasses import fields

from sqlalchemy import Connection, func, select, update

from common.errors import InputError
from service.storage import checks
from service.storage.database import Database
from service.storage.errors import NotFoundError
from service.storage.records import ApiKey, JsonObject
from service.storage.tables import AccessRow, KeyRow

_COLUMNS = [getattr(KeyRow, one.name) for one in fields(ApiKey)]


class Keys:
    """The table of API keys; whoever makes keys hashes them. Everything raises `StoreError`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, id: str, prefix: str, name: str, hash: str, scopes: Sequence[str], limits: JsonObject) -> ApiKey:  # noqa: A002
        """Keep a key; from now on requests without one are refused. Raises `InputError` where the id is taken."""
        given = {"id": id, "prefix": prefix, "name": name, "hash": hash}
        for field, value in given.items():
            checks.text(field, value)
        row = {**given, "scopes": list(scopes), "limits": dict(limits), "created_at": self._db.now()}
        with self._db.write("keys") as conn:
            once = self._db.insert(KeyRow).values(row).on_conflict_do_nothing(index_elements=["id"])
            added = conn.execute(once.returning(*_COLUMNS)).one_or_none()
            self._allow(conn, anonymous=False)
        if added is None:
            raise InputError("id", id, "an id that no key has")
        return ApiKey(**added._mapping)

    def list(self) -> Sequence[ApiKey]:
        """All, oldest first, revoked ones too."""
        with self._db.read() as conn:
            rows = conn.execute(select(*_COLUMNS).order_by(KeyRow.number))
            return [ApiKey(**row._mapping) for row in rows]

    def anonymous(self) -> bool:
        """True while requests without a key are answered: until there is a first key, and after `open`."""
        with self._db.read() as conn:
            return conn.scalars(select(AccessRow.anonymous)).one_or_none() is not False

    def open(self) -> None:
        """Answer requests without a key until the next one is made. Raises `InputError` where a key is in use."""
        with self._db.write("keys") as conn:
            used = list(conn.scalars(select(KeyRow.id).where(KeyRow.revoked_at.is_(None)).order_by(KeyRow.number)))
            if used:
                raise InputError("keys in use", ", ".join(used), "none: `archrank keys revoke` each of them first")
            self._allow(conn, anonymous=True)

    def close(self) -> None:
        """Refuse requests without a key until `open`."""
        with self._db.write("keys") as conn:
            self._allow(conn, anonymous=False)

    def by_prefix(self, prefix: str) -> Sequence[ApiKey]:
        """The keys that begin so, revoked ones too; commonly one."""
        with self._db.read() as conn:
            rows = conn.execute(select(*_COLUMNS).where(KeyRow.prefix == prefix).order_by(KeyRow.number))
            return [ApiKey(**row._mapping) for row in rows]

    def revoke(self, id: str) -> ApiKey:  # noqa: A002
        """Note the time from which it is of no use; the first time counts. Raises `NotFoundError`."""
        first = func.coalesce(KeyRow.revoked_at, self._db.now())
        with self._db.write() as conn:
            revoked = update(KeyRow).where(KeyRow.id == id).values(revoked_at=first).returning(*_COLUMNS)
            row = conn.execute(revoked).one_or_none()
        if row is None:
            raise NotFoundError("id", id, "the id of a key")
        return ApiKey(**row._mapping)

    def _allow(self, conn: Connection, *, anonymous: bool) -> None:
        said = self._db.insert(AccessRow).values(id=1, anonymous=anonymous)
        conn.execute(said.on_conflict_do_update(index_elements=["id"], set_={"anonymous": anonymous}))
