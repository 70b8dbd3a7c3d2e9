"""Queue of the jobs' items, from the point of view of the servers that process them."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, select, true, update

from common.errors import InputError
from service.storage.database import Database
from service.storage.locked_job import FinishedItem, LockedJob
from service.storage.records import ACTIVE_STATES, Claim, ItemOutcome, JsonObject, RequeueResult, items_per_turn
from service.storage.tables import ItemRow, JobRow, OwnerRow, ServerRow
from service.storage.validation import check_integer, check_text

MAX_CLAIMS = 10_000
"""Maximum number of turns of one claim."""
_REQUEUED = {"state": "queued", "server": None}


class JobQueue:
    """Queue of items. Every method raises `StoreError`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def claim(self, n: int, server: str) -> list[Claim]:
        """Claim the queued items of up to `n` turns exclusively.

        Owners take turns of one item, or of several that need no network; each owner's oldest job comes first, and its
        items in their order.

        Args:
            n: maximum number of turns.
            server: name of the claiming server.
        """
        check_integer("n", n, 1, MAX_CLAIMS)
        check_text("server", server)
        with self._db.write("claim") as conn:
            jobs, owners = _plan_claims(_queued_jobs(conn), n)
            if not jobs:
                return []
            last = conn.scalars(select(func.max(OwnerRow.last_served))).one()
            for turn, owner in enumerate(owners, last + 1):
                conn.execute(update(OwnerRow).where(OwnerRow.owner == owner).values(last_served=turn))
            claims = {
                number: deque(self._claim(conn, number, items, server, last + 1))
                for number, items in sorted(Counter(jobs).items())
            }
            return [claims[number].popleft() for number in jobs if claims[number]]

    def settle(self, outcomes: Sequence[ItemOutcome]) -> list[bool]:
        """Store outcomes in one transaction, which costs little more than a single one.

        Returns:
            For each outcome, True if it counts. It does not if its claim has expired: the item was settled or
            requeued, or its job has a final state.

        Raises:
            InputError: an outcome has both a result and an error, or neither.
        """
        for outcome in outcomes:
            if (outcome.result is None) == (outcome.error is None):
                raise InputError("outcome", outcome, "one of result and error")
        settled: set[int] = set()

        def settle(locked: LockedJob, held: dict[int, Row[Any]]) -> None:
            items = []
            for i, outcome in enumerate(outcomes):
                if _is_held(locked, held, outcome.claim):
                    del held[outcome.claim.position]
                    items.append(FinishedItem(outcome.claim.position, outcome.result, outcome.error, outcome.cached))
                    settled.add(i)
            if items:
                locked.finish_items(items)
                locked.save()

        self._change_jobs(settle, (outcome.claim.job.number for outcome in outcomes))
        return [i in settled for i in range(len(outcomes))]

    def begin(self, claims: Sequence[Claim]) -> None:
        """Count an attempt at items that are still held.

        Called once per claim before the computation starts, so that a crash of the server is attributed to the item.
        """

        def begin(locked: LockedJob, held: dict[int, Row[Any]]) -> None:
            positions: dict[int, list[int]] = {}
            for claim in claims:
                if _is_held(locked, held, claim):
                    positions.setdefault(claim.attempts, []).append(claim.position)
            for attempts, begun in positions.items():
                locked.set_items(begun, attempts=attempts + 1)

        self._change_jobs(begin, (claim.job.number for claim in claims))

    def release(self, claims: Sequence[Claim]) -> int:
        """Requeue items without counting their attempts. Return the number of those that were still held."""
        released = 0

        def release(locked: LockedJob, held: dict[int, Row[Any]]) -> None:
            nonlocal released
            mine = [claim for claim in claims if _is_held(locked, held, claim)]
            if mine:
                rows = [{"at": claim.position, "attempts": claim.attempts, **_REQUEUED} for claim in mine]
                locked.update_items(rows)
                locked.requeue_items(len(mine))
                locked.save()
                released += len(mine)

        self._change_jobs(release, (claim.job.number for claim in claims))
        return released

    def requeue_all(self, max_attempts: int, error: JsonObject) -> RequeueResult:
        """Requeue all running items, for a server that is alone on its store.

        Args:
            max_attempts: number of attempts after which an item fails, as it is likely to crash the next server.
            error: error of items that fail.
        """
        return self._requeue(true(), max_attempts, error)

    def requeue_lost(self, max_attempts: int, error: JsonObject) -> RequeueResult:
        """Requeue the running items of servers that are not registered. See `requeue_all`."""
        return self._requeue(ItemRow.server.not_in(select(ServerRow.name)), max_attempts, error)

    def _requeue(self, condition: ColumnElement[bool], max_attempts: int, error: JsonObject) -> RequeueResult:
        check_integer("max_attempts", max_attempts, 1)
        queued = failed = 0

        def requeue(locked: LockedJob, lost: dict[int, Row[Any]]) -> None:
            nonlocal queued, failed
            exhausted = [row for row in lost.values() if row.attempts >= max_attempts]
            rows = [{"at": row.position, **_REQUEUED} for row in lost.values() if row.attempts < max_attempts]
            if rows:
                locked.update_items(rows)
                locked.requeue_items(len(rows))
            if exhausted:
                locked.finish_items(FinishedItem(row.position, None, error, False) for row in exhausted)
            if lost:
                locked.save()
            queued, failed = queued + len(rows), failed + len(exhausted)

        self._change_jobs(requeue, None, condition)
        return RequeueResult(queued, failed)

    def _change_jobs(
        self,
        change: Callable[[LockedJob, dict[int, Row[Any]]], None],
        jobs: Iterable[int] | None,
        condition: ColumnElement[bool] | None = None,
    ) -> None:
        """Call `change` with each unfinished job, locked, and with its running items by position.

        Args:
            change: change of a job; all run in one transaction.
            jobs: numbers of the jobs; all with such items if None.
            condition: restriction of the running items.
        """
        running = (ItemRow.state == "running") & (true() if condition is None else condition)
        with self._db.write() as conn:
            if jobs is None:
                jobs = conn.scalars(select(ItemRow.job).where(running).distinct())
            for number in sorted(set(jobs)):
                if (locked := LockedJob.from_number(conn, number, self._db.now())) is not None:
                    change(locked, _items_by_position(conn, number, running))

    def _claim(self, conn: Connection, number: int, n: int, server: str, lease: int) -> list[Claim]:
        locked = LockedJob.from_number(conn, number, self._db.now())
        if locked is None:  # cancelled since it was planned
            return []
        queued = (ItemRow.job == number) & (ItemRow.state == "queued")
        columns = (ItemRow.position, ItemRow.architecture, ItemRow.fingerprint, ItemRow.attempts)
        rows = conn.execute(select(*columns).where(queued).order_by(ItemRow.position).limit(n)).all()
        claimed = queued & (ItemRow.position <= rows[-1].position)
        conn.execute(update(ItemRow).where(claimed).values(state="running", server=server, lease=lease))
        locked.start_items(len(rows))
        job = locked.save()
        return [Claim(job, row.position, row.architecture, row.fingerprint, row.attempts, lease) for row in rows]


def _items_by_position(conn: Connection, number: int, condition: ColumnElement[bool]) -> dict[int, Row[Any]]:
    columns = (ItemRow.position, ItemRow.lease, ItemRow.attempts)
    return {row.position: row for row in conn.execute(select(*columns).where(ItemRow.job == number, condition))}


def _is_held(locked: LockedJob, held: dict[int, Row[Any]], claim: Claim) -> bool:
    row = held.get(claim.position)
    return claim.job.number == locked.job.number and row is not None and bool(row.lease == claim.lease)


def _queued_jobs(conn: Connection) -> list[Row[Any]]:
    """Return the jobs with queued items, oldest first."""
    columns = (JobRow.number, JobRow.owner, JobRow.queued, OwnerRow.last_served, JobRow.options, JobRow.proxies)
    jobs = select(*columns).join(OwnerRow, OwnerRow.owner == JobRow.owner)
    jobs = jobs.where(JobRow.state.in_(ACTIVE_STATES), JobRow.queued > 0).order_by(JobRow.number)
    return list(conn.execute(jobs))


def _plan_claims(jobs: Iterable[Row[Any]], n: int) -> tuple[list[int], list[str]]:
    """Distribute `n` turns over the owners.

    Args:
        jobs: jobs with queued items, oldest first.
        n: maximum number of turns.

    Returns:
        The number of a job for each item, and the owners in the order of their last turns.
    """
    jobs_by_owner: dict[str, deque[list[int]]] = {}
    last_served: dict[str, int] = {}
    for number, owner, queued, turn, options, proxies in jobs:
        jobs_by_owner.setdefault(owner, deque()).append([number, queued, items_per_turn(options, proxies)])
        last_served[owner] = turn
    owners = deque(sorted(jobs_by_owner, key=last_served.__getitem__))
    plan: list[int] = []
    served: dict[str, None] = {}
    for _ in range(n):
        if not owners:
            break
        owner = owners.popleft()
        job = jobs_by_owner[owner][0]
        number, queued, size = job
        plan += [number] * min(queued, size)
        served.pop(owner, None)
        served[owner] = None
        job[1] -= min(queued, size)
        if not job[1]:
            jobs_by_owner[owner].popleft()
        if jobs_by_owner[owner]:
            owners.append(owner)
    return plan, list(served)
