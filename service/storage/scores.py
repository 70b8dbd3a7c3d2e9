"""The scores of earlier requests, by all that they depend on."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, Connection, and_, delete, func, select, update

from service.storage import checks
from service.storage.database import Database
from service.storage.errors import StoreError
from service.storage.score_key import ScoreKey
from service.storage.tables import ContextRow, ScoresRow

if TYPE_CHECKING:
    from proxies import Score  # imports PyTorch, which `archrank keys` does without

CHUNK = 1000
"""Architectures in one statement, and in one transaction."""
TOUCHED = timedelta(hours=1)
"""A use is written down if the last that was is longer ago, so that most reads write nothing."""
Packed = list[Any]
T = TypeVar("T")


class _Context(NamedTuple):
    space: str
    probe_batch: str
    seed: int
    repeats: int
    device: str
    dtype: str

    @classmethod
    def of(cls, key: ScoreKey) -> "_Context":
        return cls(key.space, key.batch, key.seed, key.repeats, key.device, key.dtype)

    def matches(self) -> ColumnElement[bool]:
        return and_(*(getattr(ContextRow, name) == value for name, value in self._asdict().items()))


class Scores:
    """Scores that outlive the process. All scores of one architecture in one context are one row."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def get(self, keys: Iterable[ScoreKey]) -> "dict[ScoreKey, Score]":
        """What is known of these. Raises `StoreError`."""
        found: dict[ScoreKey, Score] = {}
        for context, wanted in _by_context(keys).items():
            for chunk in _chunks(wanted):
                found |= self._get(context, chunk, wanted)
        return found

    def put(self, scores: "Mapping[ScoreKey, Score]") -> None:
        """Keep those that are `ok`, beside or in place of those that are there. Raises `StoreError`."""
        kept = {key: score for key, score in scores.items() if score.status == "ok"}
        for context, keys in _by_context(kept).items():
            for chunk in _chunks(keys):
                packed = {one: {_name(key): _packed(kept[key]) for key in keys[one]} for one in chunk}
                with self._db.write() as conn:
                    self._put(conn, context, packed)

    def prune(self, most: int, unused_for: timedelta) -> int:
        """Delete the scores of those architectures that nobody asked for so long (to the hour), and of those used
        longest ago where there are more than `most`; how many architectures these were. Raises `StoreError`.
        """
        checks.number("most", most, 0)
        with self._db.write() as conn:
            old = conn.execute(delete(ScoresRow).where(ScoresRow.last_used_at < self._db.now() - unused_for)).rowcount
            excess = conn.scalars(select(func.count()).select_from(ScoresRow)).one() - most
            if excess <= 0:
                return old
            oldest = select(ScoresRow.id).order_by(ScoresRow.use_order, ScoresRow.id).limit(excess)
            return old + conn.execute(delete(ScoresRow).where(ScoresRow.id.in_(oldest))).rowcount

    def _get(
        self, context: _Context, architectures: list[str], wanted: Mapping[str, list[ScoreKey]]
    ) -> "dict[ScoreKey, Score]":
        rows = (
            select(ScoresRow.id, ScoresRow.architecture, ScoresRow.scores, ScoresRow.last_used_at)
            .join(ContextRow, ContextRow.id == ScoresRow.context)
            .where(context.matches(), ScoresRow.architecture.in_(architectures))
        )
        found: dict[ScoreKey, Score] = {}
        stale = []
        now = self._db.now()
        with self._db.read() as conn:
            for id_, architecture, packed, used in conn.execute(rows):
                known = {key: packed[name] for key in wanted[architecture] if (name := _name(key)) in packed}
                found |= {key: _unpacked(one) for key, one in known.items()}
                if known and abs(now - used) > TOUCHED:
                    stale.append(id_)
        if stale:
            with suppress(StoreError), self._db.write() as conn:  # that a disk is full does not hinder reading
                used = update(ScoresRow).where(ScoresRow.id.in_(stale))
                conn.execute(used.values(last_used_at=now, use_order=_next_turn(conn)))
        return found

    def _put(self, conn: Connection, context: _Context, packed: Mapping[str, Mapping[str, Packed]]) -> None:
        conn.execute(self._db.insert(ContextRow).values(**context._asdict()).on_conflict_do_nothing())
        number = conn.scalars(select(ContextRow.id).where(context.matches())).one()
        insert = self._db.insert(ScoresRow)
        # One statement merges, so that of two writers neither loses its scores.
        new, old = insert.excluded, ScoresRow.__table__.c
        merged = old.scores.op("||")(new.scores) if self._db.file is None else func.json_patch(old.scores, new.scores)
        upsert = insert.on_conflict_do_update(
            index_elements=["context", "architecture"],
            set_={"scores": merged, "last_used_at": new.last_used_at, "use_order": new.use_order},
        )
        same = {"context": number, "last_used_at": self._db.now(), "use_order": _next_turn(conn)}
        # In one order everywhere: two writers of the same rows wait for, and do not block, each other.
        conn.execute(upsert, [{"architecture": one, "scores": packed[one], **same} for one in sorted(packed)])


def _next_turn(conn: Connection) -> int:
    return conn.scalars(select(func.coalesce(func.max(ScoresRow.use_order), 0) + 1)).one()


def _by_context(keys: Iterable[ScoreKey]) -> dict[_Context, dict[str, list[ScoreKey]]]:
    grouped: dict[_Context, dict[str, list[ScoreKey]]] = {}
    for key in keys:
        grouped.setdefault(_Context.of(key), {}).setdefault(key.architecture, []).append(key)
    return grouped


def _chunks(values: Iterable[T]) -> Iterator[list[T]]:
    left = iter(values)
    while chunk := list(islice(left, CHUNK)):
        yield chunk


def _name(key: ScoreKey) -> str:
    return f"{key.proxy}/{key.version}"


def _packed(score: "Score") -> Packed:
    """A list, which SQLite and PostgreSQL merge as a whole."""
    return [score.value, score.log, score.seconds, score.note]


def _unpacked(packed: Sequence[Any]) -> "Score":
    from proxies import Score

    value, log, seconds, note = packed
    return Score(_float(value), _float(log), "ok", float(seconds), note=note)


def _float(number: float | None) -> float | None:
    """PostgreSQL writes 1e22 as an integer."""
    return None if number is None else float(number)
