"""Jobs from the point of view of their owners."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, delete, func, insert, select, update

from common.errors import InputError
from service.storage.database import Database
from service.storage.errors import IdempotencyError, TooManyJobsError
from service.storage.locked_job import JOB_COLUMNS, FinishedItem, LockedJob, find_job
from service.storage.records import (
    ACTIVE_STATES,
    FINISHED_STATES,
    JOB_KINDS,
    UNBOUND,
    Basis,
    Item,
    ItemPage,
    Job,
    JobEvent,
    JobKind,
    JobState,
    JsonObject,
    NewItem,
    StateCounts,
)
from service.storage.tables import EventRow, ItemRow, JobRow, OwnerRow
from service.storage.validation import MAX_PAGE_SIZE, check_integer, check_text, to_json

_ITEM_COLUMNS = [getattr(ItemRow, field.name) for field in fields(Item)]
_EVENT_COLUMNS = [getattr(EventRow, field.name) for field in fields(JobEvent)]


class JobRepository:
    """The table of jobs.

    Every method raises `StoreError`; methods that take the id of a job raise `NotFoundError`.
    """

    def __init__(self, database: Database) -> None:
        self._db = database

    def create(
        self,
        kind: JobKind,
        options: JsonObject,
        items: Sequence[NewItem],
        owner: str,
        idempotency_key: str | None = None,
        max_active_jobs: int | None = None,
        basis: Basis = UNBOUND,
    ) -> tuple[Job, bool]:
        """Create a job, unless the owner used the idempotency key for the same request before.

        Args:
            kind: kind of the results.
            options: fields of the request other than its architectures.
            items: the architectures.
            owner: id of an API key, or `anonymous`.
            idempotency_key: key chosen by the client.
            max_active_jobs: maximum number of the owner's unfinished jobs; no limit if None.
            basis: ensemble and proxies that the job is bound to.

        Returns:
            The job, and True if it is new.

        Raises:
            IdempotencyError: the owner used the key for another request.
            TooManyJobsError: the owner has the maximum number of unfinished jobs.
            InputError: a value is not allowed.
        """
        if kind not in JOB_KINDS:
            raise InputError("kind", kind, "one of " + ", ".join(JOB_KINDS))
        if not items:
            raise InputError("items (number)", 0, "at least 1")
        for position, item in enumerate(items):
            if item.result is not None and item.error is not None:
                raise InputError(f"items[{position}]", item, "at most one of result and error")
        check_text("owner", owner)
        body_hash = None
        if idempotency_key is not None:
            check_text("Idempotency-Key", idempotency_key)
            body = to_json([kind, options, [item.architecture for item in items]], sort_keys=True)
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
            insert_job = self._db.insert(JobRow).values(**row, body_hash=body_hash)
            insert_job = insert_job.on_conflict_do_nothing(index_elements=["owner", "idempotency_key"])
            number = conn.scalars(insert_job.returning(JobRow.number)).one_or_none()
            if number is None:
                return _find_idempotent(conn, owner, idempotency_key, body_hash), False
            if max_active_jobs is not None and (others := _count_active(conn, owner) - 1) >= max_active_jobs:
                raise TooManyJobsError(f"{others} jobs are not finished; at most {max_active_jobs} may be at a time")
            conn.execute(self._db.insert(OwnerRow).values(owner=owner, last_served=0).on_conflict_do_nothing())
            conn.execute(insert(ItemRow), [_item_row(number, position, item) for position, item in enumerate(items)])
            locked = LockedJob(conn, replace(job, number=number), now)
            locked.add_event("created")
            known = [
                FinishedItem(position, item.result, item.error, item.result is not None)
                for position, item in enumerate(items)
                if item.result is not None or item.error is not None
            ]
            locked.finish_items(known, "queued")
            return locked.save(), True

    def get(self, job_id: str, owner: str | None = None) -> Job:
        """Return a job; of this owner only, unless None."""
        with self._db.read() as conn:
            return find_job(conn, job_id, owner)

    def bind(self, job_id: str, basis: Basis) -> Job:
        """Bind a job of an earlier version, unless another server did so first. Return the bound job."""
        unbound = (JobRow.id == job_id) & JobRow.proxies.is_(None)
        with self._db.write() as conn:
            conn.execute(update(JobRow).where(unbound).values(basis._asdict()))
            return find_job(conn, job_id)

    def list(self, owner: str | None = None, limit: int = 100) -> Sequence[Job]:
        """Return the latest jobs of an owner, or of all owners if None, newest first."""
        check_integer("limit", limit, 1, MAX_PAGE_SIZE)
        jobs = select(*JOB_COLUMNS).order_by(JobRow.number.desc()).limit(limit)
        if owner is not None:
            jobs = jobs.where(JobRow.owner == owner)
        with self._db.read() as conn:
            return [Job(**row._mapping) for row in conn.execute(jobs)]

    def results(self, job_id: str, after: int = 0, limit: int = 1000) -> ItemPage:
        """Return finished items in the order of their completion.

        Args:
            job_id: id of the job.
            after: `after` of the previous page. Following it yields each item once, even while the job runs.
            limit: maximum number of items.
        """
        check_integer("after", after, 0)
        check_integer("limit", limit, 1, MAX_PAGE_SIZE)
        with self._db.read() as conn:
            job = find_job(conn, job_id)  # first: all results of a job that is complete by now can be read
            this = (ItemRow.job == job.number) & (ItemRow.completion > after)
            rows = conn.execute(select(*_ITEM_COLUMNS).where(this).order_by(ItemRow.completion).limit(limit))
            items = [Item(*row) for row in rows]
        last = items[-1].completion if items else after
        return ItemPage(items, last, job.complete and last >= job.done + job.failed)

    def events(self, job_id: str, after: int = 0, limit: int = 1000) -> Sequence[JobEvent]:
        """Return the events after the one with id `after`. No event follows `done`, `failed` or `cancelled`."""
        check_integer("after", after, 0)
        check_integer("limit", limit, 1, MAX_PAGE_SIZE)
        with self._db.read() as conn:
            this = (EventRow.job == find_job(conn, job_id).number) & (EventRow.id > after)
            rows = conn.execute(select(*_EVENT_COLUMNS).where(this).order_by(EventRow.id).limit(limit))
            return [JobEvent(**row._mapping) for row in rows]

    def last_event(self, job_id: str, after: int = 0) -> Sequence[JobEvent]:
        """Return the last event so far, unless its id is `after` or less."""
        check_integer("after", after, 0)
        with self._db.read() as conn:
            job = find_job(conn, job_id)
            if job.events <= after:
                return []
            this = (EventRow.job == job.number) & (EventRow.id == job.events)
            return [JobEvent(**row._mapping) for row in conn.execute(select(*_EVENT_COLUMNS).where(this))]

    def last_events(self, job_ids: Sequence[str]) -> dict[str, int]:
        """Return the id of each job's last event; deleted jobs are left out."""
        with self._db.read() as conn:
            rows = conn.execute(select(JobRow.id, JobRow.events).where(JobRow.id.in_(job_ids)))
            return dict(rows.tuples().all())

    def counts(self) -> dict[JobState, StateCounts]:
        """Count the jobs and their items by state of the job; states without jobs are omitted."""
        numbers = func.count(), func.sum(JobRow.queued), func.sum(JobRow.running)
        with self._db.read() as conn:
            rows = conn.execute(select(JobRow.state, *numbers).group_by(JobRow.state))
            return {state: StateCounts(*map(int, counts)) for state, *counts in rows}

    def cancel(self, job_id: str) -> Job:
        """Cancel a job: queued items stay queued, and running ones are discarded. A finished job does not change."""
        with self._db.write() as conn:
            locked = LockedJob.from_number(conn, find_job(conn, job_id).number, self._db.now())
            if locked is None:
                return find_job(conn, job_id)
            locked.finish("cancelled")
            return locked.save()

    def prune(self, older_than: timedelta) -> int:
        """Delete the jobs that finished so long ago. Return their number."""
        old = select(JobRow.number).where(
            JobRow.state.in_(FINISHED_STATES), JobRow.finished_at < self._db.now() - older_than
        )
        with self._db.read() as conn:
            numbers = conn.scalars(old).all()
        for number in numbers:  # one per transaction, so that others do not wait long
            with self._db.write() as conn:
                conn.execute(delete(JobRow).where(JobRow.number == number))
        return len(numbers)


def _find_idempotent(conn: Connection, owner: str, key: str | None, body_hash: str | None) -> Job:
    this = (JobRow.owner == owner) & (JobRow.idempotency_key == key)
    row = conn.execute(select(*JOB_COLUMNS, JobRow.body_hash).where(this)).one()
    if row.body_hash != body_hash:
        raise IdempotencyError("Idempotency-Key", key, f"a key not used before; job {row.id} has another body")
    return Job(**{column.key: row._mapping[column.key] for column in JOB_COLUMNS})


def _count_active(conn: Connection, owner: str) -> int:
    active = (JobRow.owner == owner) & JobRow.state.in_(ACTIVE_STATES)
    return conn.scalars(select(func.count()).select_from(JobRow).where(active)).one()


def _item_row(job: int, position: int, item: NewItem) -> dict[str, Any]:
    return {
        "job": job,
        "position": position,
        "architecture": item.architecture,
        "fingerprint": item.fingerprint,
        "state": "queued",
        "attempts": 0,
        "cached": False,
    }
