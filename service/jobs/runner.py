"""Works off the jobs of the store. A job's state is there, not here: whoever is killed leaves nothing but a requeue."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import groupby
from typing import Any
from uuid import uuid4

from models import Architecture
from service.inference.context import AppContext
from service.inference.pipeline import run_plan
from service.inference.plan import Plan
from service.inference.queries import PredictionQuery, ScoreQuery
from service.inference.results import ItemResult
from service.inference.scheduler import Requester
from service.jobs.heartbeat import HeartbeatMonitor
from service.observability import logs
from service.storage import Claim, ItemOutcome, Job, Store
from service.storage.errors import StoreError
from service.storage.write_behind import WriteBehind
from service.workers.scoring_errors import ScoringError

log = logging.getLogger(__name__)
AHEAD = 64
"""Items that are held at most: enough to keep every process busy, and to answer what is known many at a time. More are
claimed when half of them are finished."""
PAUSE = 1.0
"""Seconds after which the store is asked again whether there is work, or whether it is there again."""
MOST_ATTEMPTS = 10
"""Servers that may end while they compute an item: that is seldom its own fault, which the backend would notice."""
ATTEMPT_SECONDS = 1.0
"""Seconds that an item with a place waits for its attempt to be written; a longer wait would hold up others."""
PRUNE_SECONDS = 3600.0
UNUSED_DAYS = 90
MOST_SCORED = 1_000_000
"""Architectures whose scores are kept, and for how long after their last use."""
LOST = {"title": "Interrupted", "status": 500, "detail": "the server ended while it worked on this, more than once"}


class JobRunner:
    """Claims items, has them answered as requests are, and writes down what came of them. For one event loop.

    Args:
        context: resources shared with requests.
        store: where the jobs are.
        keep: how long results are kept after a job has finished.
        worker_seconds: how long another server on the store may give no sign before its items are taken over.
        to_document: converts the result of an architecture, and its position in the job, to JSON data.
    """

    def __init__(
        self,
        context: AppContext,
        store: Store,
        keep: timedelta,
        worker_seconds: float,
        to_document: Callable[[ItemResult, int], dict[str, Any]],
    ) -> None:
        self._desk, self._store, self._keep, self._to_document = context, store, keep, to_document
        self._name = uuid4().hex
        self._watch = HeartbeatMonitor(store, self._name, worker_seconds)
        self._thread = ThreadPoolExecutor(1, "watch")  # of its own: a sign of life waits for nobody
        self._held: dict[tuple[int, int, int], Claim] = {}
        self._begun: set[tuple[int, int, int]] = set()
        self._tasks: dict[asyncio.Task[None], int | None] = {}  # and the number of the job that each works on
        self._over: set[int] = set()
        self._outcomes = WriteBehind("results of jobs", self._write, self._written)
        self._attempts = WriteBehind("attempts at items of jobs", store.queue.begin)
        self._news = asyncio.Event()
        self._loops: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin, with what an earlier server left half done. Raises `StoreError`."""
        await self._recover()
        loops = (self._run(), self._prune(), *([self._keep_watch()] if self._store.is_shared else []))
        self._loops = [asyncio.create_task(loop) for loop in loops]

    def wake(self) -> None:
        """There is a new job."""
        self._news.set()

    async def stop(self, seconds: float) -> None:
        """Claim no more, let what runs finish for so long, and put the rest back."""
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        tasks = set(self._tasks)
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._outcomes.flush()
        await self._attempts.flush()  # before they are put back, or they would count
        try:
            await self._release(list(self._held.values()))
            if self._store.is_shared:
                await asyncio.to_thread(self._store.servers.remove, self._name)
        except StoreError as error:
            log.error("what was not finished waits until this server is missed: %s", error)
        self._thread.shutdown()

    async def _recover(self) -> None:
        """Put back the items of servers that are gone: of all others, where this one is alone on its store."""
        if self._store.is_shared:
            found = await asyncio.get_running_loop().run_in_executor(
                self._thread, self._watch.poll, MOST_ATTEMPTS, LOST
            )
        else:
            found = await asyncio.to_thread(self._store.queue.requeue_all, MOST_ATTEMPTS, LOST)
        if found.queued or found.failed:
            log.warning("%d architectures of jobs wait again, %d were given up", found.queued, found.failed)
            self.wake()

    async def _keep_watch(self) -> None:
        while True:
            await asyncio.sleep(self._watch.interval)
            try:
                await self._recover()
            except StoreError as error:
                log.error("other servers cannot be watched: %s", error)

    async def _run(self) -> None:
        while True:
            self._news.clear()
            claims = await self._claimed() if len(self._held) <= AHEAD // 2 else []
            for _, group in groupby(sorted(claims, key=_number), _number):
                own = list(group)
                self._begin(self._see_to(own), own[0].job.number)
            if not claims:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(PAUSE):  # `wait_for` may lose a cancellation that comes with the news
                        await self._news.wait()

    def _begin(self, work: Coroutine[Any, Any, None], job: int | None = None) -> None:
        task = asyncio.create_task(work)
        self._tasks[task] = job
        task.add_done_callback(self._tasks.pop)

    async def _claimed(self) -> Sequence[Claim]:
        try:
            claims = await asyncio.to_thread(self._store.queue.claim, AHEAD - len(self._held), self._name)
        except StoreError as error:
            log.error("no work can be had from the store: %s", error)
            return []
        self._held |= {_key(claim): claim for claim in claims}
        return claims

    async def _prune(self) -> None:
        """Forget what was kept for long enough."""
        while True:
            await asyncio.sleep(PRUNE_SECONDS)
            try:
                await asyncio.to_thread(self._store.jobs.prune, self._keep)
                await asyncio.to_thread(self._store.scores.prune, MOST_SCORED, timedelta(days=UNUSED_DAYS))
            except StoreError as error:
                log.error("nothing could be pruned: %s", error)

    async def _see_to(self, claims: Sequence[Claim]) -> None:
        """Items of one job, whatever happens: none of them is left running by nobody."""
        try:
            await self._answer(claims)
        except Exception as error:
            log.exception("items of a job could not be answered")
            self._outcomes.add([self._outcome(claim, error) for claim in claims])

    async def _answer(self, claims: Sequence[Claim]) -> None:
        """Items of one job: at once those that are known, the others as they come."""
        job = claims[0].job
        logs.bind(job=job.id)
        with self._desk.tracing.span("job", job=job.id, items=len(claims)):
            await self._answered(claims, job)

    async def _answered(self, claims: Sequence[Claim], job: Job) -> None:
        try:
            plan = await self._plan(job)
        except StoreError as error:
            log.error("a job cannot be bound yet: %s", error)
            await asyncio.sleep(PAUSE)
            await self._put_back(claims)
            return
        asker = Requester(job.owner, request_id=job.id, is_batch=True)
        read = [plan.context.space.parse(one.architecture) for one in claims]
        known = await self._desk.scorer.recall(list(dict.fromkeys(read)), plan.context, plan.proxies)
        # An item that a server ended with before is begun by itself, so that nothing else is blamed for it.
        together = [
            i for i, arch in enumerate(read) if len(known[arch]) == len(plan.proxies) and not claims[i].attempts
        ]
        await self._settle([claims[i] for i in together], [read[i] for i in together], plan, asker)
        async with asyncio.TaskGroup() as group:
            for i in sorted(set(range(len(read))) - set(together)):
                group.create_task(self._settle([claims[i]], [read[i]], plan, asker))

    async def _plan(self, job: Job) -> Plan:
        """Resolve a job's query. Raises what `Plan.from_query` and `Plan.from_basis` raise, and `StoreError`."""
        query = (PredictionQuery if job.kind == "predictions" else ScoreQuery)(**job.options)
        if job.proxies is None:  # created by an earlier version
            basis = Plan.from_query(query, self._desk.ensembles).basis
            job = await asyncio.to_thread(self._store.jobs.bind, job.id, basis)
        return Plan.from_basis(query, job.basis, self._desk.ensembles)

    async def _begin_items(self, claims: Sequence[Claim]) -> None:
        """Count an attempt at each, once; whoever waits for a store that is away begins all the same."""
        new = [claim for claim in claims if _key(claim) not in self._begun]
        if new:
            self._begun.update(map(_key, new))
            await self._attempts.add_and_wait(new, ATTEMPT_SECONDS)

    async def _settle(
        self, claims: Sequence[Claim], read: Sequence[Architecture], plan: Plan, asker: Requester
    ) -> None:
        if not claims:
            return
        asker = replace(asker, on_start=partial(self._begin_items, claims))
        try:
            results = await run_plan(plan, read, self._desk, asker)
        except Exception as error:
            log.exception("items of a job failed")
            self._outcomes.add([self._outcome(claim, error) for claim in claims])
            return
        interrupted = [_is_interrupted(result) for result in results]
        self._outcomes.add(
            [
                self._outcome(claim, result)
                for claim, result, lost in zip(claims, results, interrupted, strict=True)
                if not lost
            ]
        )
        if any(interrupted):
            await asyncio.sleep(PAUSE)
            await self._put_back([claim for claim, lost in zip(claims, interrupted, strict=True) if lost])

    def _write(self, outcomes: Sequence[ItemOutcome]) -> None:
        try:
            counted = self._store.queue.settle(outcomes)
            self._over |= {one.claim.job.number for one, held in zip(outcomes, counted, strict=True) if not held}
        except StoreError:
            raise
        except Exception as error:  # one of them cannot be stored at all
            if len(outcomes) == 1:
                self._store.queue.settle([self._outcome(outcomes[0].claim, error)])
            else:
                for outcome in outcomes:
                    self._write([outcome])

    def _written(self, outcomes: Sequence[ItemOutcome]) -> None:
        self._let_go(outcome.claim for outcome in outcomes)
        over, self._over = self._over, set()
        if over:
            self._begin(self._leave(over))

    async def _leave(self, jobs: set[int]) -> None:
        """Do no more of jobs that were cancelled, or whose items another server took over."""
        tasks = [task for task, job in self._tasks.items() if job in jobs]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._put_back([claim for claim in self._held.values() if claim.job.number in jobs])

    async def _put_back(self, claims: Sequence[Claim]) -> None:
        """For this server or another to try again."""
        while True:
            try:
                await self._release(claims)
            except StoreError as error:
                log.error("items cannot be put back yet: %s", error)
                await asyncio.sleep(PAUSE)
            else:
                return

    async def _release(self, claims: Sequence[Claim]) -> None:
        if claims:
            await asyncio.to_thread(self._store.queue.release, claims)
            self._let_go(claims)

    def _outcome(self, claim: Claim, result: ItemResult) -> ItemOutcome:
        document = self._to_document(result, claim.position)
        if set(document) == {"error"}:
            return ItemOutcome(claim, error=document["error"])
        return ItemOutcome(claim, result=document, cached=document["cached"])

    def _let_go(self, claims: Iterable[Claim]) -> None:
        for claim in claims:
            self._held.pop(_key(claim), None)
            self._begun.discard(_key(claim))
        self._news.set()


def _number(claim: Claim) -> int:
    return claim.job.number


def _key(claim: Claim) -> tuple[int, int, int]:
    return claim.job.number, claim.position, claim.lease


def _is_interrupted(result: ItemResult) -> bool:
    """Return True if the backend abandoned the architecture through no fault of its own."""
    return isinstance(result, ScoringError) and result.failure.kind == "interrupted"
