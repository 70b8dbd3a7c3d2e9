"""Tables of the newest schema."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    Text,
    UniqueConstraint,
)
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """Time in UTC; the value has its time zone even if the database stores none."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert a time to UTC."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Set the time zone of a stored time."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


AUTOINCREMENT = BigInteger().with_variant(Integer, "sqlite")  # SQLite increments INTEGER only, which has 64 bits
MERGEABLE_JSON = JSON().with_variant(JSONB(), "postgresql")


class Base(DeclarativeBase):
    """Base class of the tables."""

    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it from the class
        str: Text,
        int: BigInteger,
        float: Double,
        datetime: UtcDateTime,
        dict[str, Any]: JSON(none_as_null=True),
        list[str]: JSON(none_as_null=True),
        list[dict[str, Any]]: JSON(none_as_null=True),
    }


class ContextRow(Base):
    """Conditions that the scores of many architectures share."""

    __tablename__ = "contexts"
    __table_args__ = (UniqueConstraint("space", "probe_batch", "seed", "repeats", "device", "dtype", name="context"),)

    id: Mapped[int] = mapped_column(AUTOINCREMENT, primary_key=True)
    space: Mapped[str]
    probe_batch: Mapped[str]
    seed: Mapped[int]
    repeats: Mapped[int]
    device: Mapped[str]
    dtype: Mapped[str]


class ScoresRow(Base):
    """Scores of one architecture in one context."""

    __tablename__ = "scores"
    __table_args__ = (
        UniqueConstraint("context", "architecture", name="scored"),
        Index("scores_use_order", "use_order"),
        Index("scores_last_used_at", "last_used_at"),
    )

    id: Mapped[int] = mapped_column(AUTOINCREMENT, primary_key=True)
    context: Mapped[int] = mapped_column(ForeignKey("contexts.id"))
    architecture: Mapped[str]
    scores: Mapped[dict[str, Any]] = mapped_column(MERGEABLE_JSON)  # by `<proxy>/<version>`
    last_used_at: Mapped[datetime]
    use_order: Mapped[int]  # counts uses, independently of the clock


class OwnerRow(Base):
    """Owner of jobs; the one served least recently is served next."""

    __tablename__ = "owners"

    owner: Mapped[str] = mapped_column(primary_key=True)
    last_served: Mapped[int]  # counts claims of all owners


IS_ACTIVE = sql("state IN ('queued', 'running')")


class JobRow(Base):
    """Job, with the numbers of its items by state."""

    __tablename__ = "jobs"
    __table_args__ = (
        UniqueConstraint("owner", "idempotency_key", name="idempotency"),
        CheckConstraint("queued >= 0 AND running >= 0 AND total = queued + running + done + failed", name="counts"),
        Index("jobs_active", "number", sqlite_where=IS_ACTIVE, postgresql_where=IS_ACTIVE),
        Index("jobs_owner", "owner", "number"),
        {"sqlite_autoincrement": True},  # numbers are never reused
    )

    number: Mapped[int] = mapped_column(AUTOINCREMENT, primary_key=True)
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
    events: Mapped[int]  # id of the last event


IS_QUEUED = sql("state = 'queued'")
IS_RUNNING = sql("state = 'running'")


class ItemRow(Base):
    """Architecture of a job."""

    __tablename__ = "items"
    __table_args__ = (
        UniqueConstraint("job", "completion", name="completion"),
        Index("items_queued", "job", "position", sqlite_where=IS_QUEUED, postgresql_where=IS_QUEUED),
        Index("items_running", "job", "server", sqlite_where=IS_RUNNING, postgresql_where=IS_RUNNING),
    )

    job: Mapped[int] = mapped_column(ForeignKey("jobs.number", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    architecture: Mapped[dict[str, Any]]
    fingerprint: Mapped[str | None]
    state: Mapped[str]
    attempts: Mapped[int]
    server: Mapped[str | None]
    lease: Mapped[int | None]  # identifies a claim of the item
    completion: Mapped[int | None]  # counts the job's finished items
    cached: Mapped[bool]
    result: Mapped[dict[str, Any] | None]
    error: Mapped[dict[str, Any] | None]


class EventRow(Base):
    """Event of a job."""

    __tablename__ = "events"

    job: Mapped[int] = mapped_column(ForeignKey("jobs.number", ondelete="CASCADE"), primary_key=True)
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str]
    data: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class ServerRow(Base):
    """Server that works on items, and its heartbeats so far."""

    __tablename__ = "servers"

    name: Mapped[str] = mapped_column(primary_key=True)
    heartbeats: Mapped[int]


class KeyRow(Base):
    """API key, hashed."""

    __tablename__ = "api_keys"

    number: Mapped[int] = mapped_column(AUTOINCREMENT, primary_key=True)
    id: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    hash: Mapped[str]
    scopes: Mapped[list[str]]
    limits: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class AccessRow(Base):
    """Access without an API key. One row, once a first key was added."""

    __tablename__ = "access"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    anonymous: Mapped[bool]


class StudyRow(Base):
    """Study of a user, with counters of its observations."""

    __tablename__ = "studies"
    __table_args__ = (
        UniqueConstraint("owner", "name", name="study_name"),
        {"sqlite_autoincrement": True},  # numbers are never reused
    )

    number: Mapped[int] = mapped_column(AUTOINCREMENT, primary_key=True)
    id: Mapped[str] = mapped_column(unique=True)
    owner: Mapped[str]
    name: Mapped[str]
    definition: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    revision: Mapped[int]  # counts changes of the set of observations
    total: Mapped[int]
    last_position: Mapped[int]  # of all observations ever added


class ObservationRow(Base):
    """Observation of a study."""

    __tablename__ = "observations"
    __table_args__ = (
        UniqueConstraint("study", "id", name="observed"),
        Index("observations_fingerprint", "study", "fingerprint"),
    )

    study: Mapped[int] = mapped_column(ForeignKey("studies.number", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    id: Mapped[str]  # hash of the content
    fingerprint: Mapped[str]
    value: Mapped[float | None]
    document: Mapped[dict[str, Any]]


class ReservationRow(Base):
    """Suggestion of a study that a worker has received and not observed yet."""

    __tablename__ = "reservations"

    study: Mapped[int] = mapped_column(ForeignKey("studies.number", ondelete="CASCADE"), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(primary_key=True)
    architecture: Mapped[dict[str, Any]]
    expires_at: Mapped[datetime]


class SuggestionRow(Base):
    """Reserved architectures of a request with an idempotency key, for its repetition."""

    __tablename__ = "suggestions"

    study: Mapped[int] = mapped_column(ForeignKey("studies.number", ondelete="CASCADE"), primary_key=True)
    idempotency_key: Mapped[str] = mapped_column(primary_key=True)
    body_hash: Mapped[str]
    architectures: Mapped[list[dict[str, Any]]]
    expires_at: Mapped[datetime]


class HealthRow(Base):
    """One row, written by the health check."""

    __tablename__ = "health"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    token: Mapped[str]
