"""Jobs as workers see them: items are claimed, finished, and put back when a server is gone."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, select, true, update

from common.errors import InputError
from service.storage import checks
from service.storage.changes import LockedJob
from service.storage.database import Database
from service.storage.records import ACTIVE_STATES, Claim, JsonObject, Outcome, Requeued
from service.storage.tables import ItemRow, JobRow, OwnerRow, ServerRow

LARGEST_CLAIM = 10_000


class Queue:
    """What workers do with items. Everything raises `StoreError`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def claim(self, n: int, server: str) -> list[Claim]:
        """Up to `n` items for this server alone: owners in turns one each, of their oldest job, the first that wait."""
        checks.number("n", n, 1, LARGEST_CLAIM)
        checks.text("server", server)
        with self._db.write("claim") as conn:
            plan, owners = _plan(_queued(conn), n)
            if not plan:
                return []
            last = conn.scalars(select(func.max(OwnerRow.last_served))).one()
            for turn, owner in enumerate(owners, last + 1):
                conn.execute(update(OwnerRow).where(OwnerRow.owner == owner).values(last_served=turn))
            claims = {
                number: deque(self._claim(conn, number, items, server, last + 1))
                for number, items in sorted(Counter(plan).items())
            }
            return [claims[number].popleft() for number in plan if claims[number]]

    def finish(self, claim: Claim, result: JsonObject, cached: bool = False) -> bool:
        """The item is done. False, and nothing changes, where the claim is not held any more: it was finished, or
        requeued, or the job has ended.
        """
        return self.settle([Outcome(claim, result=result, cached=cached)])[0]

    def fail(self, claim: Claim, error: JsonObject) -> bool:
        """As `finish`, for an item that has no result and is not to be tried again."""
        return self.settle([Outcome(claim, error=error)])[0]

    def settle(self, outcomes: Sequence[Outcome]) -> list[bool]:
        """`finish` or `fail` many items at once, which costs little more than one; whether each counted."""
        for outcome in outcomes:
            if (outcome.result is None) == (outcome.error is None):
                raise InputError("outcome", outcome, "one of result and error")
        counted: set[int] = set()

        def settle(locked: LockedJob, held: dict[int, Row[Any]]) -> None:
            mine = []
            for i, outcome in enumerate(outcomes):
                if _holds(locked, held, outcome.claim):
                    del held[outcome.claim.position]
                    mine.append((outcome.claim.position, outcome.result, outcome.error, outcome.cached))
                    counted.add(i)
            if mine:
                locked.finish(mine)
                locked.save()

        self._each(settle, (outcome.claim.job.number for outcome in outcomes))
        return [i in counted for i in range(len(outcomes))]

    def begin(self, claims: Sequence[Claim]) -> None:
        """Count one more attempt at items that are still held. Once a claim, before anything is computed of it: what
        ends its server then is known by it.
        """

        def begin(locked: LockedJob, held: dict[int, Row[Any]]) -> None:
            rows = [
                {"at": claim.position, "attempts": claim.attempts + 1}
                for claim in claims
                if _holds(locked, held, claim)
            ]
            if rows:
                locked.update_items(rows)

        self._each(begin, (claim.job.number for claim in claims))

    def release(self, claims: Sequence[Claim]) -> int:
        """Put back items; where they were begun, that attempt does not count. Return how many were still held."""
        released = 0

        def release(locked: LockedJob, held: dict[int, Row[Any]]) -> None:
            nonlocal released
            mine = [claim for claim in claims if _holds(locked, held, claim)]
            if mine:
                rows = [{"at": claim.position, "attempts": claim.attempts, **_BACK} for claim in mine]
                locked.update_items(rows)
                locked.put_back(len(mine))
                locked.save()
                released += len(mine)

        self._each(release, (claim.job.number for claim in claims))
        return released

    def requeue(self, server: str | None, most_attempts: int, error: JsonObject) -> Requeued:
        """Put back what this server was at, or all that runs with None; for when it is known to be gone.

        Args:
            most_attempts: items that were begun so often fail instead, as what kills a server kills the next one.
            error: of those.
        """
        return self._requeue(true() if server is None else ItemRow.server == server, most_attempts, error)

    def requeue_lost(self, most_attempts: int, error: JsonObject) -> Requeued:
        """As `requeue`, of all workers that are not in the table of workers (any more)."""
        return self._requeue(ItemRow.server.not_in(select(ServerRow.name)), most_attempts, error)

    def _requeue(self, which: ColumnElement[bool], most_attempts: int, error: JsonObject) -> Requeued:
        checks.number("most_attempts", most_attempts, 1)
        again = failed = 0

        def requeue(locked: LockedJob, lost: dict[int, Row[Any]]) -> None:
            nonlocal again, failed
            tried = [row for row in lost.values() if row.attempts >= most_attempts]
            rows = [{"at": row.position, **_BACK} for row in lost.values() if row.attempts < most_attempts]
            if rows:
                locked.update_items(rows)
                locked.put_back(len(rows))
            if tried:
                locked.finish((row.position, None, error, False) for row in tried)
            if lost:
                locked.save()
            again, failed = again + len(rows), failed + len(tried)

        self._each(requeue, None, which)
        return Requeued(again, failed)

    def _each(
        self,
        change: Callable[[LockedJob, dict[int, Row[Any]]], None],
        jobs: Iterable[int] | None,
        which: ColumnElement[bool] | None = None,
    ) -> None:
        """Call `change` with each job that has not ended, locked, and with those of its running items by position.

        Args:
            change: called in one transaction for all.
            jobs: their numbers; those that have such items where None.
            which: of the running items; all where None.
        """
        this = (ItemRow.state == "running") & (true() if which is None else which)
        with self._db.write() as conn:
            if jobs is None:
                jobs = conn.scalars(select(ItemRow.job).where(this).distinct())
            for number in sorted(set(jobs)):
                if (locked := LockedJob.of(conn, number, self._db.now())) is not None:
                    change(locked, _running(conn, number, this))

    def _claim(self, conn: Connection, number: int, items: int, server: str, lease: int) -> list[Claim]:
        locked = LockedJob.of(conn, number, self._db.now())
        if locked is None:  # cancelled in this moment
            return []
        queued = (ItemRow.job == number) & (ItemRow.state == "queued")
        columns = (ItemRow.position, ItemRow.architecture, ItemRow.fingerprint, ItemRow.attempts)
        rows = conn.execute(select(*columns).where(queued).order_by(ItemRow.position).limit(items)).all()
        first = queued & (ItemRow.position <= rows[-1].position)
        running = {"state": "running", "server": server, "lease": lease}
        conn.execute(update(ItemRow).where(first).values(running))
        locked.start(len(rows))
        job = locked.save()
        return [Claim(job, row.position, row.architecture, row.fingerprint, row.attempts, lease) for row in rows]


_BACK = {"state": "queued", "server": None}


def _running(conn: Connection, number: int, this: ColumnElement[bool]) -> dict[int, Row[Any]]:
    columns = (ItemRow.position, ItemRow.lease, ItemRow.attempts)
    return {row.position: row for row in conn.execute(select(*columns).where(ItemRow.job == number, this))}


def _holds(locked: LockedJob, held: dict[int, Row[Any]], claim: Claim) -> bool:
    row = held.get(claim.position)
    return claim.job.number == locked.job.number and row is not None and bool(row.lease == claim.lease)


def _queued(conn: Connection) -> list[Row[Any]]:
    """Jobs with items that wait, oldest first."""
    columns = (JobRow.number, JobRow.owner, JobRow.queued, OwnerRow.last_served)
    jobs = select(*columns).join(OwnerRow, OwnerRow.owner == JobRow.owner)
    jobs = jobs.where(JobRow.state.in_(ACTIVE_STATES), JobRow.queued > 0).order_by(JobRow.number)
    return list(conn.execute(jobs))


def _plan(jobs: Iterable[Row[Any]], n: int) -> tuple[list[int], list[str]]:
    """The jobs to take an item of, one by one, and their owners, who was served last coming last."""
    lines: dict[str, deque[list[int]]] = {}
    turns: dict[str, int] = {}
    for number, owner, queued, turn in jobs:
        lines.setdefault(owner, deque()).append([number, queued])
        turns[owner] = turn
    owners = deque(sorted(lines, key=turns.__getitem__))
    plan: list[int] = []
    served: dict[str, None] = {}
    while owners and len(plan) < n:
        owner = owners.popleft()
        job = lines[owner][0]
        plan.append(job[0])
        served.pop(owner, None)
        served[owner] = None
        job[1] -= 1
        if not job[1]:
            lines[owner].popleft()
        if lines[owner]:
            owners.append(owner)
    return plan, list(served)
