"""Scores of earlier requests."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, Connection, and_, delete, func, select, update

from service.storage.database import Database
from service.storage.errors import StoreError
from service.storage.score_key import ScoreKey
from service.storage.tables import ContextRow, ScoresRow
from service.storage.validation import check_integer

if TYPE_CHECKING:
    from proxies import Score  # imports PyTorch, which `archrank keys` does without

CHUNK_SIZE = 1000
"""Maximum number of architectures in a statement and in a transaction."""
USE_RESOLUTION = timedelta(hours=1)
"""Minimum time between two recorded uses of a row, so that most reads write nothing."""
PackedScore = list[Any]
T = TypeVar("T")


class _Context(NamedTuple):
    space: str
    probe_batch: str
    seed: int
    repeats: int
    device: str
    dtype: str

    @classmethod
    def from_key(cls, key: ScoreKey) -> "_Context":
        return cls(**{name: getattr(key, name) for name in cls._fields})

    def matches(self) -> ColumnElement[bool]:
        return and_(*(getattr(ContextRow, name) == value for name, value in self._asdict().items()))


class ScoreRepository:
    """The table of scores. All scores of one architecture in one context are one row."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def get(self, keys: Iterable[ScoreKey]) -> "dict[ScoreKey, Score]":
        """Return the stored scores among these keys. Raises `StoreError`."""
        scores: dict[ScoreKey, Score] = {}
        for context, by_architecture in _group_by_context(keys).items():
            for chunk in _chunks(by_architecture):
                scores |= self._get(context, chunk, by_architecture)
        return scores

    def put(self, scores: "Mapping[ScoreKey, Score]") -> None:
        """Store the scores that have not failed; a score that is stored already is replaced. Raises `StoreError`."""
        valid = {key: score for key, score in scores.items() if score.status != "failed"}
        for context, by_architecture in _group_by_context(valid).items():
            for chunk in _chunks(by_architecture):
                packed = {
                    architecture: {_name(key): _pack(valid[key]) for key in by_architecture[architecture]}
                    for architecture in chunk
                }
                with self._db.write() as conn:
                    self._put(conn, context, packed)

    def prune(self, max_architectures: int, unused_for: timedelta) -> int:
        """Delete scores that are not used any more.

        Args:
            max_architectures: maximum number of architectures; the least recently used ones are deleted.
            unused_for: time since the last use after which scores are deleted, to the hour.

        Returns:
            The number of architectures whose scores were deleted.

        Raises:
            StoreError: the store failed.
        """
        check_integer("max_architectures", max_architectures, 0)
        with self._db.write() as conn:
            unused = ScoresRow.last_used_at < self._db.now() - unused_for
            deleted = conn.execute(delete(ScoresRow).where(unused)).rowcount
            excess = conn.scalars(select(func.count()).select_from(ScoresRow)).one() - max_architectures
            if excess <= 0:
                return deleted
            oldest = select(ScoresRow.id).order_by(ScoresRow.use_order, ScoresRow.id).limit(excess)
            return deleted + conn.execute(delete(ScoresRow).where(ScoresRow.id.in_(oldest))).rowcount

    def _get(
        self, context: _Context, architectures: list[str], keys: Mapping[str, list[ScoreKey]]
    ) -> "dict[ScoreKey, Score]":
        rows = (
            select(ScoresRow.id, ScoresRow.architecture, ScoresRow.scores, ScoresRow.last_used_at)
            .join(ContextRow, ContextRow.id == ScoresRow.context)
            .where(context.matches(), ScoresRow.architecture.in_(architectures))
        )
        scores: dict[ScoreKey, Score] = {}
        stale = []
        now = self._db.now()
        with self._db.read() as conn:
            for row_id, architecture, packed, last_used_at in conn.execute(rows):
                known = {key: packed[name] for key in keys[architecture] if (name := _name(key)) in packed}
                scores |= {key: _unpack(score) for key, score in known.items()}
                if known and abs(now - last_used_at) > USE_RESOLUTION:
                    stale.append(row_id)
        if stale:
            with suppress(StoreError), self._db.write() as conn:  # a full disk does not prevent reading
                use = {"last_used_at": now, "use_order": _next_use(conn)}
                conn.execute(update(ScoresRow).where(ScoresRow.id.in_(stale)).values(use))
        return scores

    def _put(self, conn: Connection, context: _Context, packed: Mapping[str, Mapping[str, PackedScore]]) -> None:
        conn.execute(self._db.insert(ContextRow).values(**context._asdict()).on_conflict_do_nothing())
        context_id = conn.scalars(select(ContextRow.id).where(context.matches())).one()
        insert = self._db.insert(ScoresRow)
        # One statement merges the scores, so that concurrent writers do not overwrite each other's.
        new, old = insert.excluded, ScoresRow.__table__.c
        merged = old.scores.op("||")(new.scores) if self._db.file is None else func.json_patch(old.scores, new.scores)
        upsert = insert.on_conflict_do_update(
            index_elements=["context", "architecture"],
            set_={"scores": merged, "last_used_at": new.last_used_at, "use_order": new.use_order},
        )
        shared = {"context": context_id, "last_used_at": self._db.now(), "use_order": _next_use(conn)}
        # Sorted, so that concurrent writers of the same rows cannot deadlock.
        rows = [{"architecture": name, "scores": packed[name], **shared} for name in sorted(packed)]
        conn.execute(upsert, rows)


def _next_use(conn: Connection) -> int:
    return conn.scalars(select(func.coalesce(func.max(ScoresRow.use_order), 0) + 1)).one()


def _group_by_context(keys: Iterable[ScoreKey]) -> dict[_Context, dict[str, list[ScoreKey]]]:
    groups: dict[_Context, dict[str, list[ScoreKey]]] = {}
    for key in keys:
        groups.setdefault(_Context.from_key(key), {}).setdefault(key.architecture, []).append(key)
    return groups


def _chunks(values: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(values)
    while chunk := list(islice(iterator, CHUNK_SIZE)):
        yield chunk


def _name(key: ScoreKey) -> str:
    return f"{key.proxy}/{key.version}"


def _pack(score: "Score") -> PackedScore:
    """Convert a score to a list, which both databases merge as a whole. Without a number it is not applicable."""
    return [score.value, score.log, score.seconds, score.note]


def _unpack(packed: Sequence[Any]) -> "Score":
    from proxies import Score

    value, log, seconds, note = packed
    status: Literal["ok", "not_applicable"] = "not_applicable" if value is None and log is None else "ok"
    return Score(_to_float(value), _to_float(log), status, float(seconds), note=note)


def _to_float(number: float | None) -> float | None:
    """Convert to a float: PostgreSQL returns 1e22 as an integer."""
    return None if number is None else float(number)
