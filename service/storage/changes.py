"""A job that a transaction changes: its counts, state and events go together."""

from collections.abc import Iterable
from dataclasses import fields, replace
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, bindparam, insert, select, update

from service.storage.errors import NotFoundError
from service.storage.records import FINISHED_STATES, Job, JobState, JsonObject
from service.storage.tables import EventRow, ItemRow, JobRow

JOB_COLUMNS = [getattr(JobRow, one.name) for one in fields(Job)]
_COUNTS = ("total", "queued", "running", "done", "failed", "cached")
Finished = tuple[int, JsonObject | None, JsonObject | None, bool]
"""Position, result, error, whether it was cached."""


def find(conn: Connection, job: str, owner: str | None = None) -> Job:
    """The job of this id. Raises `NotFoundError`, also where it is not this owner's."""
    row = conn.execute(select(*JOB_COLUMNS).where(JobRow.id == job)).one_or_none()
    if row is None or owner not in (None, row.owner):
        raise NotFoundError("job", job, "the id of a job that is kept")
    return Job(**row._mapping)


class LockedJob:
    """A job whose row this transaction has locked; whoever locks several does so by number, lowest first.

    Whatever changes an item has the lock of its job, so an item's state is safe to look at. `save` comes last.

    Attributes:
        job: as it is with the changes so far.
    """

    def __init__(self, conn: Connection, job: Job, now: datetime) -> None:
        self._conn, self._now, self.job = conn, now, job
        self._events: list[dict[str, Any]] = []

    @classmethod
    def of(cls, conn: Connection, number: int, now: datetime) -> "LockedJob | None":
        """None where the job was deleted or changes no more."""
        row = conn.execute(select(*JOB_COLUMNS).where(JobRow.number == number).with_for_update()).one_or_none()
        if row is None or row.state in FINISHED_STATES:
            return None
        return cls(conn, Job(**row._mapping), now)

    def tell(self, kind: str, data: JsonObject | None = None) -> None:
        """Add an event; the counts are what it tells unless there is something else."""
        data = {name: getattr(self.job, name) for name in _COUNTS} if data is None else data
        self.job = replace(self.job, events=self.job.events + 1)
        event = {
            "job": self.job.number,
            "id": self.job.events,
            "kind": kind,
            "data": dict(data),
            "created_at": self._now,
        }
        self._events.append(event)

    def start(self, items: int) -> None:
        """So many items that waited now run."""
        job = self.job
        self.job = replace(job, queued=job.queued - items, running=job.running + items)
        if job.state == "queued":
            self.job = replace(self.job, state="running", started_at=self._now)
            self.tell("started")

    def put_back(self, items: int) -> None:
        """So many items that ran wait again."""
        self.job = replace(self.job, queued=self.job.queued + items, running=self.job.running - items)

    def finish(self, items: Iterable[Finished], source: Literal["queued", "running"] = "running") -> None:
        """These items ended; where they were the last, the job ends with them. `source`: what they did before."""
        rows = []
        for position, result, error, cached in items:
            state = "failed" if result is None else "done"
            job = self.job
            counts = {source: getattr(job, source) - 1, state: getattr(job, state) + 1, "cached": job.cached + cached}
            self.job = replace(job, **counts)
            completion = self.job.done + self.job.failed
            self.tell("item", {"position": position, "state": state, "completion": completion})
            row = {"at": position, "state": state, "completion": completion, "cached": cached}
            rows.append({**row, "result": result, "error": error})
        if rows:
            self.update_items(rows)
        if not self.job.queued and not self.job.running:
            self.end("done" if self.job.done else "failed")

    def update_items(self, rows: list[dict[str, Any]]) -> None:
        """Each row has the position `at` and what becomes of the item there."""
        this = (ItemRow.job == self.job.number) & (ItemRow.position == bindparam("at"))
        self._conn.execute(update(ItemRow).where(this), rows)

    def end(self, state: JobState, error: JsonObject | None = None) -> None:
        """The job changes no more; items that run wait for good."""
        if self.job.running:
            running = (ItemRow.job == self.job.number) & (ItemRow.state == "running")
            self._conn.execute(update(ItemRow).where(running).values(state="queued", server=None))
            self.put_back(self.job.running)
        self.job = replace(self.job, state=state, finished_at=self._now, error=None if error is None else dict(error))
        self.tell(state)

    def save(self) -> Job:
        """Write the job and its events."""
        names = (*_COUNTS, "state", "error", "started_at", "finished_at", "events")
        values = {name: getattr(self.job, name) for name in names}
        self._conn.execute(update(JobRow).where(JobRow.number == self.job.number).values(values))
        if self._events:
            self._conn.execute(insert(EventRow), self._events)
        return self.job
