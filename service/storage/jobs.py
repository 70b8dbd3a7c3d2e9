"""Jobs as their owners see them: created, watched, cancelled, deleted."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update

from common.errors import InputError
from service.storage import checks
from service.storage.changes import JOB_COLUMNS, LockedJob, find
from service.storage.database import Database
from service.storage.errors import IdempotencyError, JobStateError, TooManyJobsError
from service.storage.records import (
    ACTIVE_STATES,
    FINISHED_STATES,
    JOB_KINDS,
    UNBOUND,
    Basis,
    Event,
    Item,
    Job,
    JobCounts,
    JobKind,
    JobState,
    JsonObject,
    NewItem,
    Page,
)
from service.storage.tables import EventRow, ItemRow, JobRow, OwnerRow

_ITEM = [getattr(ItemRow, one.name) for one in fields(Item)]
_EVENT = [getattr(EventRow, one.name) for one in fields(Event)]


class Jobs:
    """What owners do with jobs. Everything raises `StoreError`; what takes the id of a job raises `NotFoundError`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def create(
        self,
        kind: JobKind,
        options: JsonObject,
        items: Sequence[NewItem],
        owner: str,
        idempotency_key: str | None = None,
        most: int | None = None,
        basis: Basis = UNBOUND,
    ) -> tuple[Job, bool]:
        """A job, all of it or nothing, and whether it is new: not where the owner used this key for the same before.

        Raises `IdempotencyError` where it was used for something else, `TooManyJobsError` where the owner has `most`
        unfinished ones already, and `InputError`.
        """
        if kind not in JOB_KINDS:
            raise InputError("kind", kind, "one of " + ", ".join(JOB_KINDS))
        if not items:
            raise InputError("items (number)", 0, "at least 1")
        for position, item in enumerate(items):
            if item.result is not None and item.error is not None:
                raise InputError(f"items[{position}]", item, "at most one of result and error")
        checks.text("owner", owner)
        body_hash = None
        if idempotency_key is not None:
            checks.text("Idempotency-Key", idempotency_key)
            body = checks.dumps([kind, options, [item.architecture for item in items]], sort_keys=True)
            body_hash = hashlib.sha256(body.encode()).hexdigest()
        now = self._db.now()
        job = Job(
            number=0,
            id=uuid4().hex,
            owner=owner,
            kind=kind,
            options=dict(options),
            **basis._asdict(),
            idempotency_key=idempotency_key,
            state="queued",
            error=None,
            created_at=now,
            started_at=None,
            finished_at=None,
            total=len(items),
            queued=len(items),
            running=0,
            done=0,
            failed=0,
            cached=0,
            events=0,
        )
        row = {name: value for name, value in asdict(job).items() if name != "number"}
        with self._db.write() as conn:
            once = self._db.insert(JobRow).values(**row, body_hash=body_hash)
            once = once.on_conflict_do_nothing(index_elements=["owner", "idempotency_key"])
            number = conn.scalars(once.returning(JobRow.number)).one_or_none()
            if number is None:
                return self._same(conn, owner, idempotency_key, body_hash), False
            if most is not None and (others := _unfinished(conn, owner) - 1) >= most:
                raise TooManyJobsError(f"{others} jobs are not finished; at most {most} may be at a time")
            conn.execute(self._db.insert(OwnerRow).values(owner=owner, last_served=0).on_conflict_do_nothing())
            conn.execute(insert(ItemRow), [_row(number, position, item) for position, item in enumerate(items)])
            locked = LockedJob(conn, replace(job, number=number), now)
            locked.tell("created")
            known = [
                (position, item.result, item.error, item.result is not None)
                for position, item in enumerate(items)
                if item.result is not None or item.error is not None
            ]
            locked.finish(known, "queued")
            return locked.save(), True

    def get(self, job: str, owner: str | None = None) -> Job:
        """The job; with an owner only if it is theirs."""
        with self._db.read() as conn:
            return find(conn, job, owner)

    def bind(self, job: str, basis: Basis) -> Job:
        """Bind a job of an earlier archrank, unless another server did so first. Return it as it then is."""
        unbound = (JobRow.id == job) & JobRow.proxies.is_(None)
        with self._db.write() as conn:
            conn.execute(update(JobRow).where(unbound).values(basis._asdict()))
            return find(conn, job)

    def list(self, owner: str | None = None, limit: int = 100, after: int | None = None) -> Sequence[Job]:
        """Jobs of this owner or of all, newest first. `after`: number of the last job of the page before."""
        checks.number("limit", limit, 1, checks.LARGEST_PAGE)
        jobs = select(*JOB_COLUMNS).order_by(JobRow.number.desc()).limit(limit)
        if owner is not None:
            jobs = jobs.where(JobRow.owner == owner)
        if after is not None:
            jobs = jobs.where(JobRow.number < checks.number("after", after, 0))
        with self._db.read() as conn:
            return [Job(**row._mapping) for row in conn.execute(jobs)]

    def results(self, job: str, after: int = 0, limit: int = 1000) -> Page:
        """Finished items in the order in which they finished: who asks again with the page's `after` gets each once,
        also while the job runs.
        """
        checks.number("after", after, 0)
        return self._page(job, limit, ItemRow.completion, after)

    def items(self, job: str, after: int = -1, limit: int = 1000) -> Page:
        """Items in the order posted, whatever their state. `after`: the position before the first."""
        checks.number("after", after, -1)
        return self._page(job, limit, ItemRow.position, after)

    def events(self, job: str, after: int = 0, limit: int = 1000) -> Sequence[Event]:
        """What happened after the event of this id. Nothing more comes after `done`, `failed` or `cancelled`."""
        checks.number("after", after, 0)
        checks.number("limit", limit, 1, checks.LARGEST_PAGE)
        with self._db.read() as conn:
            this = (EventRow.job == find(conn, job).number) & (EventRow.id > after)
            rows = conn.execute(select(*_EVENT).where(this).order_by(EventRow.id).limit(limit))
            return [Event(**row._mapping) for row in rows]

    def queued(self) -> dict[str, int]:
        """Numbers of items that wait for a worker, by owner; owners without any are not there."""
        total = func.sum(JobRow.queued)
        jobs = select(JobRow.owner, total).where(JobRow.state.in_(ACTIVE_STATES)).group_by(JobRow.owner)
        with self._db.read() as conn:
            return {owner: int(number) for owner, number in conn.execute(jobs.having(total > 0))}

    def counts(self) -> dict[JobState, JobCounts]:
        """By state, how many there are; states without any are not there."""
        numbers = func.count(), func.sum(JobRow.queued), func.sum(JobRow.running)
        with self._db.read() as conn:
            rows = conn.execute(select(JobRow.state, *numbers).group_by(JobRow.state))
            return {state: JobCounts(*map(int, counts)) for state, *counts in rows}

    def cancel(self, job: str) -> Job:
        """What waits is not begun, and what runs does not count. A job that has ended stays as it is."""
        return self._end(job, "cancelled", None)

    def fail(self, job: str, error: JsonObject) -> Job:
        """As `cancel`, for a job that cannot go on, e.g. because its ensemble is no longer there."""
        return self._end(job, "failed", error)

    def delete(self, job: str) -> None:
        """Forget a job that has ended. Raises `JobStateError` where it has not."""
        with self._db.write() as conn:
            found = find(conn, job)
            if not found.complete:
                raise JobStateError("job", job, f"a job that has ended; this one is {found.state}")
            conn.execute(delete(JobRow).where(JobRow.number == found.number))

    def prune(self, older_than: timedelta) -> int:
        """Forget the jobs that ended so long ago; how many these were."""
        old = select(JobRow.number).where(
            JobRow.state.in_(FINISHED_STATES), JobRow.finished_at < self._db.now() - older_than
        )
        with self._db.read() as conn:
            numbers = list(conn.scalars(old))
        for number in numbers:  # one at a time, so that others are not locked out for long
            with self._db.write() as conn:
                conn.execute(delete(JobRow).where(JobRow.number == number))
        return len(numbers)

    def _same(self, conn: Connection, owner: str, key: str | None, body_hash: str | None) -> Job:
        this = (JobRow.owner == owner) & (JobRow.idempotency_key == key)
        found = conn.execute(select(*JOB_COLUMNS, JobRow.body_hash).where(this)).one()
        if found.body_hash != body_hash:
            raise IdempotencyError("Idempotency-Key", key, f"a key not used before; job {found.id} has another body")
        return Job(**{column.key: found._mapping[column.key] for column in JOB_COLUMNS})

    def _page(self, job: str, limit: int, order: Any, after: int) -> Page:
        checks.number("limit", limit, 1, checks.LARGEST_PAGE)
        with self._db.read() as conn:
            found = find(conn, job)  # first: of a job that had ended by now all results are there
            this: ColumnElement[bool] = (ItemRow.job == found.number) & (order > after)
            rows = conn.execute(select(*_ITEM).where(this).order_by(order).limit(limit))
            items = [Item(**row._mapping) for row in rows]
        last = getattr(items[-1], order.key) if items else after
        end = found.done + found.failed if order.key == "completion" else found.total - 1
        return Page(items, last, found.complete and last >= end)

    def _end(self, job: str, state: Any, error: JsonObject | None) -> Job:
        with self._db.write() as conn:
            found = find(conn, job)
            locked = LockedJob.of(conn, found.number, self._db.now())
            if locked is None:
                return find(conn, job)
            locked.end(state, error)
            return locked.save()


def _unfinished(conn: Connection, owner: str) -> int:
    active = (JobRow.owner == owner) & JobRow.state.in_(ACTIVE_STATES)
    return conn.scalars(select(func.count()).select_from(JobRow).where(active)).one()


def _row(job: int, position: int, item: NewItem) -> dict[str, Any]:
    shared = {"state": "queued", "attempts": 0, "cached": False}
    what = {"architecture": item.architecture, "fingerprint": item.fingerprint}
    return {"job": job, "position": position, **what, **shared}
