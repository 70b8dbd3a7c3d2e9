"""The tables, as the newest migration leaves them."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, CheckConstraint, DateTime, ForeignKey, Index, Integer, Text, UniqueConstraint
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator


class Utc(TypeDecorator[datetime]):
    """A time in UTC, with its zone also where the database has none."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


NUMBER = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up INTEGER only; it has 64 bits there
MERGEABLE = JSON().with_variant(JSONB(), "postgresql")


class Base(DeclarativeBase):
    """Of every table."""

    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it from the class
        str: Text,
        int: BigInteger,
        datetime: Utc,
        dict[str, Any]: JSON(none_as_null=True),
        list[str]: JSON(none_as_null=True),
    }


class ContextRow(Base):
    """All that the scores of many architectures have in common."""

    __tablename__ = "contexts"
    __table_args__ = (UniqueConstraint("space", "probe_batch", "seed", "repeats", "device", "dtype", name="context"),)

    id: Mapped[int] = mapped_column(NUMBER, primary_key=True)
    space: Mapped[str]
    probe_batch: Mapped[str]
    seed: Mapped[int]
    repeats: Mapped[int]
    device: Mapped[str]
    dtype: Mapped[str]


class ScoresRow(Base):
    """The scores of one architecture in one context."""

    __tablename__ = "scores"
    __table_args__ = (
        UniqueConstraint("context", "architecture", name="scored"),
        Index("scores_use_order", "use_order"),
        Index("scores_last_used_at", "last_used_at"),
    )

    id: Mapped[int] = mapped_column(NUMBER, primary_key=True)
    context: Mapped[int] = mapped_column(ForeignKey("contexts.id"))
    architecture: Mapped[str]
    scores: Mapped[dict[str, Any]] = mapped_column(MERGEABLE)  # by proxy and version
    last_used_at: Mapped[datetime]
    use_order: Mapped[int]  # counts uses up, whatever the clock says


class OwnerRow(Base):
    """Whose turn it is: the owner that was served the longest time ago."""

    __tablename__ = "owners"

    owner: Mapped[str] = mapped_column(primary_key=True)
    last_served: Mapped[int]


ACTIVE = sql("state IN ('queued', 'running')")


class JobRow(Base):
    """A job, with the numbers of its items by state."""

    __tablename__ = "jobs"
    __table_args__ = (
        UniqueConstraint("owner", "idempotency_key", name="idempotency"),
        CheckConstraint("queued >= 0 AND running >= 0 AND total = queued + running + done + failed", name="counts"),
        Index("jobs_active", "number", sqlite_where=ACTIVE, postgresql_where=ACTIVE),
        Index("jobs_owner", "owner", "number"),
        {"sqlite_autoincrement": True},  # no number comes twice
    )

    number: Mapped[int] = mapped_column(NUMBER, primary_key=True)
    id: Mapped[str] = mapped_column(unique=True)
    owner: Mapped[str]
    kind: Mapped[str]
    options: Mapped[dict[str, Any]]
    ensemble: Mapped[str | None]
    ensemble_hash: Mapped[str | None]
    proxies: Mapped[dict[str, Any] | None]
    idempotency_key: Mapped[str | None]
    body_hash: Mapped[str | None]
    state: Mapped[str]
    error: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    total: Mapped[int]
    queued: Mapped[int]
    running: Mapped[int]
    done: Mapped[int]
    failed: Mapped[int]
    cached: Mapped[int]
    events: Mapped[int]  # id of the last


QUEUED, RUNNING = sql("state = 'queued'"), sql("state = 'running'")


class ItemRow(Base):
    """One architecture of a job."""

    __tablename__ = "items"
    __table_args__ = (
        UniqueConstraint("job", "completion", name="completion"),
        Index("items_queued", "job", "position", sqlite_where=QUEUED, postgresql_where=QUEUED),
        Index("items_running", "job", "server", sqlite_where=RUNNING, postgresql_where=RUNNING),
    )

    job: Mapped[int] = mapped_column(ForeignKey("jobs.number", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    architecture: Mapped[dict[str, Any]]
    fingerprint: Mapped[str | None]
    state: Mapped[str]
    attempts: Mapped[int]  # how often it was begun
    server: Mapped[str | None]
    lease: Mapped[int | None]  # tells one claim of this item from another
    completion: Mapped[int | None]  # counts the job's finished items up
    cached: Mapped[bool]
    result: Mapped[dict[str, Any] | None]
    error: Mapped[dict[str, Any] | None]


class EventRow(Base):
    """What happened to a job, in order."""

    __tablename__ = "events"

    job: Mapped[int] = mapped_column(ForeignKey("jobs.number", ondelete="CASCADE"), primary_key=True)
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str]
    data: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class ServerRow(Base):
    """A server that works on items, and how often it said that it is alive."""

    __tablename__ = "servers"

    name: Mapped[str] = mapped_column(primary_key=True)
    heartbeats: Mapped[int]


class KeyRow(Base):
    """An API key, hashed."""

    __tablename__ = "api_keys"

    number: Mapped[int] = mapped_column(NUMBER, primary_key=True)
    id: Mapped[str] = mapped_column(unique=True)
    prefix: Mapped[str] = mapped_column(index=True)
    name: Mapped[str]
    hash: Mapped[str]
    scopes: Mapped[list[str]]
    limits: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class AccessRow(Base):
    """One row from the first API key on: whether requests without a key are answered."""

    __tablename__ = "access"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    anonymous: Mapped[bool]


class HealthRow(Base):
    """One row, to try whether one can write."""

    __tablename__ = "health"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    token: Mapped[str]
