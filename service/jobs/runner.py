"""Background processing of jobs. The store holds their state, so that a killed server leaves nothing but a requeue."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import groupby
from math import ceil
from typing import Any
from uuid import uuid4

from models import Architecture
from proxies import Score
from service.inference.context import AppContext
from service.inference.pipeline import PREDICTIONS_PER_TURN, run_plan
from service.inference.plan import Plan
from service.inference.queries import Detail, PredictionQuery, ScoreQuery
from service.inference.results import ItemResult
from service.inference.scheduler import Requester
from service.jobs.heartbeat import HeartbeatMonitor
from service.observability import logs
from service.storage import Claim, ItemOutcome, Job, Store
from service.storage.errors import StoreError
from service.storage.write_behind import WriteBehind
from service.workers.errors import ScoringError

log = logging.getLogger(__name__)
MIN_HELD_TURNS, HELD_TURNS_PER_WORKER = 64, 2
"""Turns whose items are held at most: enough to keep all workers busy and to look up scores in batches."""
RETRY_INTERVAL_S = 1.0
"""Interval at which the store is polled for queued items, and at which failed operations are repeated."""
MAX_ATTEMPTS = 10
"""Number of servers that may end during an item; they seldom end because of it, since its worker would end first."""
ATTEMPT_TIMEOUT_S = 1.0
"""Maximum time that a started item waits for its attempt to be stored, as it occupies a worker meanwhile."""
PRUNE_INTERVAL_S = 3600.0
SCORE_RETENTION = timedelta(days=90)
"""Time since their last use for which scores are kept."""
MAX_SCORED_ARCHITECTURES = 1_000_000
INTERRUPTED = {"title": "Interrupted", "status": 500, "detail": "the server ended during this item more than once"}
"""Error of an item with the maximum number of attempts."""
ItemKey = tuple[int, int, int]


class JobRunner:
    """Claims items of jobs, processes them like those of requests, and stores their results. For one event loop.

    Args:
        context: resources shared with requests.
        store: store of the jobs.
        result_retention: time for which a finished job is kept.
        heartbeat_timeout: time in seconds without a heartbeat after which another server counts as lost.
        to_document: converts the result of an architecture, its position in the job, and the detail that the job asks
            for to JSON data.
    """

    def __init__(
        self,
        context: AppContext,
        store: Store,
        result_retention: timedelta,
        heartbeat_timeout: float,
        to_document: Callable[[ItemResult, int, Detail], dict[str, Any]],
    ) -> None:
        self._context, self._store = context, store
        self._result_retention, self._to_document = result_retention, to_document
        self._server = uuid4().hex
        self._heartbeat = HeartbeatMonitor(store, self._server, heartbeat_timeout)
        self._heartbeat_thread = ThreadPoolExecutor(1, "heartbeat")  # its own, so that a heartbeat never waits
        self._max_held_turns = max(MIN_HELD_TURNS, HELD_TURNS_PER_WORKER * context.scorer.scheduler.slots)
        self._held: dict[ItemKey, Claim] = {}
        self._begun: set[ItemKey] = set()
        self._tasks: dict[asyncio.Task[None], int | None] = {}  # with the number of the job, if any
        self._lost_jobs: set[int] = set()
        self._outcomes = WriteBehind("results of jobs", self._write, self._on_written)
        self._attempts = WriteBehind("attempts at items of jobs", store.queue.begin)
        self._wakeup = asyncio.Event()
        self._loops: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Requeue the items of earlier servers and start processing. Raises `StoreError`."""
        await self._requeue_lost()
        loops = (self._run(), self._prune(), *([self._send_heartbeats()] if self._store.is_shared else []))
        self._loops = [asyncio.create_task(loop) for loop in loops]

    def wake(self) -> None:
        """Look for queued items without waiting for the interval."""
        self._wakeup.set()

    async def stop(self, timeout: float) -> None:
        """Claim no more items, wait up to `timeout` seconds for running ones, and requeue the rest."""
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        tasks = set(self._tasks)
        if tasks:
            await asyncio.wait(tasks, timeout=timeout)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._outcomes.flush()
        await self._attempts.flush()  # before the release, which reverts attempts
        try:
            await self._release(list(self._held.values()))
            if self._store.is_shared:
                await asyncio.to_thread(self._store.servers.remove, self._server)
        except StoreError as error:
            log.error("unfinished items are requeued once this server counts as lost: %s", error)
        self._heartbeat_thread.shutdown()

    async def _requeue_lost(self) -> None:
        """Requeue the items of lost servers; on an unshared store, those of all earlier servers."""
        if self._store.is_shared:
            loop = asyncio.get_running_loop()
            poll = partial(self._heartbeat.poll, MAX_ATTEMPTS, INTERRUPTED)
            requeued = await loop.run_in_executor(self._heartbeat_thread, poll)
        else:
            requeued = await asyncio.to_thread(self._store.queue.requeue_all, MAX_ATTEMPTS, INTERRUPTED)
        if requeued.queued or requeued.failed:
            log.warning("%d architectures of jobs were requeued, %d failed", requeued.queued, requeued.failed)
            self.wake()

    async def _send_heartbeats(self) -> None:
        while True:
            await asyncio.sleep(self._heartbeat.interval)
            try:
                await self._requeue_lost()
            except StoreError as error:
                log.error("no heartbeat could be sent: %s", error)

    async def _run(self) -> None:
        while True:
            self._wakeup.clear()
            claims = await self._claim() if self._held_turns <= self._max_held_turns / 2 else []
            for number, group in groupby(sorted(claims, key=_job_number), _job_number):
                self._create_task(self._process(list(group)), number)
            if not claims:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(RETRY_INTERVAL_S):  # `wait_for` may lose a simultaneous cancellation
                        await self._wakeup.wait()

    def _create_task(self, work: Coroutine[Any, Any, None], job: int | None = None) -> None:
        task = asyncio.create_task(work)
        self._tasks[task] = job
        task.add_done_callback(self._tasks.pop)

    async def _claim(self) -> Sequence[Claim]:
        try:
            turns = self._max_held_turns - ceil(self._held_turns)
            claims = await asyncio.to_thread(self._store.queue.claim, turns, self._server)
        except StoreError as error:
            log.error("no items can be claimed: %s", error)
            return []
        self._held |= {_item_key(claim): claim for claim in claims}
        return claims

    @property
    def _held_turns(self) -> float:
        return sum(1 / claim.job.items_per_turn for claim in self._held.values())

    async def _prune(self) -> None:
        while True:
            await asyncio.sleep(PRUNE_INTERVAL_S)
            try:
                await asyncio.to_thread(self._store.jobs.prune, self._result_retention)
                await asyncio.to_thread(self._store.scores.prune, MAX_SCORED_ARCHITECTURES, SCORE_RETENTION)
            except StoreError as error:
                log.error("old jobs and scores could not be pruned: %s", error)

    async def _process(self, claims: Sequence[Claim]) -> None:
        """Process items of one job; every item is settled, even after an unexpected exception."""
        job = claims[0].job
        logs.bind(job=job.id)
        try:
            with self._context.tracing.span("job", job=job.id, items=len(claims)):
                await self._process_job(claims, job)
        except Exception as error:
            log.exception("items of a job could not be processed")
            self._outcomes.add([self._outcome(claim, error) for claim in claims])

    async def _process_job(self, claims: Sequence[Claim], job: Job) -> None:
        """Process items of one job: those with known scores at once, all others concurrently."""
        requester = Requester(job.owner, request_id=job.id, is_batch=True)
        try:
            plan = await self._plan(job, requester)
        except StoreError as error:
            log.error("a job cannot be bound yet: %s", error)
            await asyncio.sleep(RETRY_INTERVAL_S)
            await self._requeue(claims)
            return
        architectures = [plan.context.space.parse(claim.architecture) for claim in claims]
        known = await self._context.scorer.recall(list(dict.fromkeys(architectures)), plan.context, plan.proxies)
        # Items with earlier attempts are processed separately, so that no other item shares the blame for a crash.
        batch = [
            i
            for i, architecture in enumerate(architectures)
            if len(known[architecture]) == len(plan.proxies) and not claims[i].attempts
        ]
        for start in range(0, len(batch), PREDICTIONS_PER_TURN):  # results are stored during the next turn
            turn = batch[start : start + PREDICTIONS_PER_TURN]
            await self._settle([claims[i] for i in turn], [architectures[i] for i in turn], known, plan, requester)
        async with asyncio.TaskGroup() as group:
            for i in sorted(set(range(len(claims))) - set(batch)):
                group.create_task(self._settle([claims[i]], [architectures[i]], known, plan, requester))

    async def _plan(self, job: Job, requester: Requester) -> Plan:
        """Resolve a job's query. Raises what `Plan.from_query` and `Plan.from_basis` raise, and `StoreError`."""
        query = (PredictionQuery if job.kind == "predictions" else ScoreQuery)(**job.options)
        context = self._context
        if job.proxies is None:  # created by an earlier version
            plan = await context.run_brief(requester, Plan.from_query, query, context.ensembles)
            query, job = plan.query, await asyncio.to_thread(self._store.jobs.bind, job.id, plan.basis)
        return await context.run_brief(requester, Plan.from_basis, query, job.basis, context.ensembles)

    async def _begin(self, claims: Sequence[Claim]) -> None:
        """Store an attempt at each item once, without waiting long for an unavailable store."""
        new = [claim for claim in claims if _item_key(claim) not in self._begun]
        if new:
            self._begun.update(map(_item_key, new))
            await self._attempts.add_and_wait(new, ATTEMPT_TIMEOUT_S)

    async def _settle(
        self,
        claims: Sequence[Claim],
        architectures: Sequence[Architecture],
        known: Mapping[Architecture, Mapping[str, Score]],
        plan: Plan,
        requester: Requester,
    ) -> None:
        if not claims:
            return
        is_retry = any(claim.attempts for claim in claims)
        requester = replace(requester, on_start=partial(self._begin, claims), is_separate=is_retry)
        try:
            results = await run_plan(plan, architectures, self._context, requester, known)
        except Exception as error:
            log.exception("items of a job failed")
            self._outcomes.add([self._outcome(claim, error) for claim in claims])
            return
        pairs = list(zip(claims, results, strict=True))
        self._outcomes.add([self._outcome(claim, result) for claim, result in pairs if not _is_interrupted(result)])
        interrupted = [claim for claim, result in pairs if _is_interrupted(result)]
        if interrupted:
            await asyncio.sleep(RETRY_INTERVAL_S)
            await self._requeue(interrupted)

    def _write(self, outcomes: Sequence[ItemOutcome]) -> None:
        try:
            settled = self._store.queue.settle(outcomes)
            self._lost_jobs |= {
                outcome.claim.job.number for outcome, counts in zip(outcomes, settled, strict=True) if not counts
            }
        except StoreError:
            raise
        except Exception as error:  # an outcome cannot be serialised
            if len(outcomes) == 1:
                self._store.queue.settle([self._outcome(outcomes[0].claim, error)])
            else:
                for outcome in outcomes:
                    self._write([outcome])

    def _on_written(self, outcomes: Sequence[ItemOutcome]) -> None:
        self._forget(outcome.claim for outcome in outcomes)
        lost_jobs, self._lost_jobs = self._lost_jobs, set()
        if lost_jobs:
            self._create_task(self._abandon(lost_jobs))

    async def _abandon(self, jobs: set[int]) -> None:
        """Stop processing jobs that were cancelled, or whose items another server has taken over."""
        tasks = [task for task, job in self._tasks.items() if job in jobs]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._requeue([claim for claim in self._held.values() if claim.job.number in jobs])

    async def _requeue(self, claims: Sequence[Claim]) -> None:
        """Requeue items for any server, as soon as the store is available."""
        while True:
            try:
                await self._release(claims)
            except StoreError as error:
                log.error("items cannot be requeued yet: %s", error)
                await asyncio.sleep(RETRY_INTERVAL_S)
            else:
                return

    async def _release(self, claims: Sequence[Claim]) -> None:
        if claims:
            await asyncio.to_thread(self._store.queue.release, claims)
            self._forget(claims)

    def _outcome(self, claim: Claim, result: ItemResult) -> ItemOutcome:
        document = self._to_document(result, claim.position, claim.job.options.get("detail", "full"))
        if isinstance(result, Exception) or set(document) == {"error"}:
            return ItemOutcome(claim, error=document["error"])
        return ItemOutcome(claim, result=document, cached=result.cached)

    def _forget(self, claims: Iterable[Claim]) -> None:
        for claim in claims:
            self._held.pop(_item_key(claim), None)
            self._begun.discard(_item_key(claim))
        self._wakeup.set()


def _job_number(claim: Claim) -> int:
    return claim.job.number


def _item_key(claim: Claim) -> ItemKey:
    return claim.job.number, claim.position, claim.lease


def _is_interrupted(result: ItemResult) -> bool:
    """Return True if the backend abandoned the architecture through no fault of its own."""
    return isinstance(result, ScoringError) and result.failure.kind == "interrupted"
