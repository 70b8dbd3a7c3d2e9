"""API keys."""

from collections.abc import Sequence
from dataclasses import fields

from sqlalchemy import Connection, func, select, update

from common.errors import InputError
from service.storage.database import Database
from service.storage.errors import NotFoundError
from service.storage.records import ApiKey, JsonObject
from service.storage.tables import AccessRow, KeyRow
from service.storage.validation import check_text

_COLUMNS = [getattr(KeyRow, field.name) for field in fields(ApiKey)]


class ApiKeyRepository:
    """The table of API keys, hashed by the caller. Every method raises `StoreError`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, id: str, name: str, hash: str, scopes: Sequence[str], limits: JsonObject) -> ApiKey:  # noqa: A002
        """Add a key; from now on requests without a key are refused.

        Args:
            id: public identifier.
            name: name of the user.
            hash: hash of the key.
            scopes: names of the permitted scopes.
            limits: limits by name.

        Raises:
            InputError: the id is taken, or a value cannot be stored.
        """
        texts = {"id": id, "name": name, "hash": hash}
        for field, value in texts.items():
            check_text(field, value)
        row = {**texts, "scopes": list(scopes), "limits": dict(limits), "created_at": self._db.now()}
        with self._db.write("keys") as conn:
            insert = self._db.insert(KeyRow).values(row).on_conflict_do_nothing(index_elements=["id"])
            added = conn.execute(insert.returning(*_COLUMNS)).one_or_none()
            self._set_anonymous(conn, False)
        if added is None:
            raise InputError("id", id, "an id that no key has")
        return ApiKey(**added._mapping)

    def list(self) -> Sequence[ApiKey]:
        """Return all keys, oldest first, including revoked ones."""
        with self._db.read() as conn:
            rows = conn.execute(select(*_COLUMNS).order_by(KeyRow.number))
            return [ApiKey(**row._mapping) for row in rows]

    def anonymous(self) -> bool:
        """Return True if requests without a key are accepted: before the first key, and after `open`."""
        with self._db.read() as conn:
            return conn.scalars(select(AccessRow.anonymous)).one_or_none() is not False

    def open(self) -> None:
        """Accept requests without a key until the next key is added. Raises `InputError` if a key is in use."""
        with self._db.write("keys") as conn:
            valid = conn.scalars(select(KeyRow.id).where(KeyRow.revoked_at.is_(None)).order_by(KeyRow.number)).all()
            if valid:
                raise InputError("keys in use", ", ".join(valid), "none: `archrank keys revoke` each of them first")
            self._set_anonymous(conn, True)

    def close(self) -> None:
        """Refuse requests without a key until `open`."""
        with self._db.write("keys") as conn:
            self._set_anonymous(conn, False)

    def revoke(self, id: str) -> ApiKey:  # noqa: A002
        """Revoke a key; the time of its first revocation is kept. Raises `NotFoundError`."""
        revoked_at = func.coalesce(KeyRow.revoked_at, self._db.now())
        with self._db.write() as conn:
            revoke = update(KeyRow).where(KeyRow.id == id).values(revoked_at=revoked_at).returning(*_COLUMNS)
            row = conn.execute(revoke).one_or_none()
        if row is None:
            raise NotFoundError("id", id, "the id of a key")
        return ApiKey(**row._mapping)

    def _set_anonymous(self, conn: Connection, anonymous: bool) -> None:
        insert = self._db.insert(AccessRow).values(id=1, anonymous=anonymous)
        conn.execute(insert.on_conflict_do_update(index_elements=["id"], set_={"anonymous": anonymous}))
