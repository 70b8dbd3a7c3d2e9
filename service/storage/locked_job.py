"""Changes of a job within a transaction: counts, state and events stay consistent."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from datetime import datetime
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, bindparam, insert, select, update

from service.storage.errors import NotFoundError
from service.storage.news import record
from service.storage.records import FINISHED_STATES, Job, JobState, JsonObject
from service.storage.tables import EventRow, ItemRow, JobRow

JOB_COLUMNS = [getattr(JobRow, field.name) for field in fields(Job)]
_COUNTS = ("total", "queued", "running", "done", "failed", "cached")


class FinishedItem(NamedTuple):
    """Outcome of an item: a result or an error.

    Attributes:
        position: position of the item in the job.
        result: result of the item.
        error: error of the item.
        cached: True if the result was already known.
    """

    position: int
    result: JsonObject | None
    error: JsonObject | None
    cached: bool


def find_job(conn: Connection, job_id: str, owner: str | None = None) -> Job:
    """Return the job with this id. Raises `NotFoundError`, also if another owner has it."""
    row = conn.execute(select(*JOB_COLUMNS).where(JobRow.id == job_id)).one_or_none()
    if row is None or owner not in (None, row.owner):
        raise NotFoundError("job", job_id, "the id of a stored job")
    return Job(**row._mapping)


class LockedJob:
    """A job whose row the transaction has locked. Several jobs are locked in the order of their numbers.

    Items only change while their job is locked, so that their states can be relied on. `save` comes last.

    Attributes:
        job: the job with its changes so far.
    """

    def __init__(self, conn: Connection, job: Job, now: datetime) -> None:
        self._conn, self._now, self.job = conn, now, job
        self._events: list[dict[str, Any]] = []

    @classmethod
    def from_number(cls, conn: Connection, number: int, now: datetime) -> "LockedJob | None":
        """Lock a job. Return None if it was deleted or has a final state."""
        row = conn.execute(select(*JOB_COLUMNS).where(JobRow.number == number).with_for_update()).one_or_none()
        if row is None or row.state in FINISHED_STATES:
            return None
        return cls(conn, Job(**row._mapping), now)

    def add_event(self, kind: str, data: JsonObject | None = None) -> None:
        """Add an event, by default with the counts of the job."""
        data = {name: getattr(self.job, name) for name in _COUNTS} if data is None else data
        number = self.job.events + len(self._events) + 1
        event = {"job": self.job.number, "id": number, "kind": kind, "data": dict(data), "created_at": self._now}
        self._events.append(event)

    def start_items(self, number: int) -> None:
        """Count queued items as running."""
        job = self.job
        self.job = replace(job, queued=job.queued - number, running=job.running + number)
        if job.state == "queued":
            self.job = replace(self.job, state="running", started_at=self._now)
            self.add_event("started")

    def requeue_items(self, number: int) -> None:
        """Count running items as queued."""
        self.job = replace(self.job, queued=self.job.queued + number, running=self.job.running - number)

    def finish_items(self, items: Iterable[FinishedItem], source: Literal["queued", "running"] = "running") -> None:
        """Finish items, and the job with its last item.

        Args:
            items: the items.
            source: their previous state.
        """
        rows, added = [], Counter[str]()
        for completion, item in enumerate(items, self.job.done + self.job.failed + 1):
            state = "failed" if item.result is None else "done"
            added[state] += 1
            added["cached"] += item.cached
            self.add_event("item", {"position": item.position, "state": state, "completion": completion})
            row = {"at": item.position, "state": state, "completion": completion, "cached": item.cached}
            rows.append({**row, "result": item.result, "error": item.error})
        if rows:
            added[source] = -len(rows)
            self.job = replace(self.job, **{name: getattr(self.job, name) + added[name] for name in added})
            self.update_items(rows)
        if not self.job.queued and not self.job.running:
            self.finish("done" if self.job.done else "failed")

    def update_items(self, rows: list[dict[str, Any]]) -> None:
        """Update items. A row holds the position of an item as `at`, and its new values."""
        this = (ItemRow.job == self.job.number) & (ItemRow.position == bindparam("at"))
        self._conn.execute(update(ItemRow).where(this), rows)

    def set_items(self, positions: Sequence[int], **values: Any) -> None:
        """Update items to the same values, in one statement."""
        these = (ItemRow.job == self.job.number) & ItemRow.position.in_(positions)
        self._conn.execute(update(ItemRow).where(these).values(values))

    def finish(self, state: JobState) -> None:
        """Enter a final state; running items stay queued for good."""
        if self.job.running:
            running = (ItemRow.job == self.job.number) & (ItemRow.state == "running")
            self._conn.execute(update(ItemRow).where(running).values(state="queued", server=None))
            self.requeue_items(self.job.running)
        self.job = replace(self.job, state=state, finished_at=self._now)
        self.add_event(state)

    def save(self) -> Job:
        """Write the job and its events."""
        self.job = replace(self.job, events=self.job.events + len(self._events))
        names = (*_COUNTS, "state", "started_at", "finished_at", "events")
        values = {name: getattr(self.job, name) for name in names}
        self._conn.execute(update(JobRow).where(JobRow.number == self.job.number).values(values))
        if self._events:
            self._conn.execute(insert(EventRow), self._events)
            record(self._conn, self.job.id)
        return self.job
