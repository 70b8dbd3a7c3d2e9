"""Works off the jobs of the store. A job's state is there, not here: whoever is killed leaves nothing but a requeue."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from datetime import timedelta
from itertools import groupby
from typing import Any
from uuid import uuid4

from models import Architecture
from service import logs
from service.answers import Results
from service.desk import Desk
from service.errors import problem
from service.pipeline import Plan
from service.schemas import PredictionRequest, ScoreRequest
from service.store import Claim, Job, Outcome, Store
from service.store.errors import StoreError
from service.turns import Asker

log = logging.getLogger(__name__)
AHEAD = 64
"""Items that are held at most: enough to keep every process busy, and to answer what is known many at a time."""
PAUSE = 1.0
"""Seconds after which the store is asked again whether there is work, or whether it is there again."""
MOST_ATTEMPTS = 10
"""Servers that may end while they hold an item: that is seldom its own fault, which the backend would notice."""
PRUNE_SECONDS = 3600.0
UNUSED_DAYS = 90
MOST_SCORED = 1_000_000
"""Architectures whose scores are kept, and for how long after their last use."""
LOST = {"title": "Interrupted", "status": 500, "detail": "the server ended while it worked on this, more than once"}


class JobRunner:
    """Claims items, has them answered as requests are, and writes down what came of them. For one event loop.

    Args:
        desk: what requests are answered with.
        store: where the jobs are.
        keep: how long results are kept after a job has finished.
    """

    def __init__(self, desk: Desk, store: Store, keep: timedelta) -> None:
        self._desk, self._store, self._keep = desk, store, keep
        self._name = uuid4().hex
        self._groups: dict[asyncio.Task[None], Sequence[Claim]] = {}
        self._news = asyncio.Event()
        self._loops: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin, with what an earlier server left half done."""
        found = await asyncio.to_thread(self._store.queue.requeue, None, MOST_ATTEMPTS, LOST)
        if found.waiting or found.failed:
            log.warning("%d architectures of jobs wait again, %d were given up", found.waiting, found.failed)
        self._loops = [asyncio.create_task(self._run()), asyncio.create_task(self._prune())]

    def wake(self) -> None:
        """There is a new job."""
        self._news.set()

    async def stop(self, seconds: float) -> None:
        """Claim no more, let what runs finish for so long, and put the rest back."""
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        groups = dict(self._groups)
        if groups:
            await asyncio.wait(groups, timeout=seconds)
        left = [claim for task, claims in groups.items() if not task.done() for claim in claims]
        for task in groups:
            task.cancel()
        if left:
            await asyncio.to_thread(self._store.queue.release, left)

    async def _run(self) -> None:
        while True:
            self._news.clear()
            try:
                claims = await asyncio.to_thread(self._store.queue.claim, AHEAD - self._held, self._name)
            except StoreError as error:
                log.error("no work can be had from the store: %s", error)
                claims = []
            for _, group in groupby(claims, lambda claim: claim.job.number):
                own = list(group)
                task = asyncio.create_task(self._answer(own))
                self._groups[task] = own
                task.add_done_callback(self._done)
            if not claims or self._held >= AHEAD:
                await self._wait()

    async def _prune(self) -> None:
        """Forget what was kept for long enough."""
        while True:
            await asyncio.sleep(PRUNE_SECONDS)
            try:
                await asyncio.to_thread(self._store.jobs.prune, self._keep)
                await asyncio.to_thread(self._store.scores.prune, MOST_SCORED, timedelta(days=UNUSED_DAYS))
            except StoreError as error:
                log.error("nothing could be pruned: %s", error)

    @property
    def _held(self) -> int:
        return sum(map(len, self._groups.values()))

    async def _wait(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), PAUSE)

    def _done(self, task: "asyncio.Task[None]") -> None:
        del self._groups[task]
        self._news.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a job's items could not be answered", exc_info=error)

    async def _answer(self, claims: Sequence[Claim]) -> None:
        """Items of one job: at once those that are known, the others as they come."""
        job = claims[0].job
        logs.bind(job=job.id)
        with self._desk.tracing.span("job", job=job.id, items=len(claims)):
            await self._answered(claims, job)

    async def _answered(self, claims: Sequence[Claim], job: Job) -> None:
        plan, asker = self._plan(job), Asker(job.owner, request=job.id, patient=True)
        read = [plan.probe.space.parse(one.architecture) for one in claims]
        known = await self._desk.scorer.recall(list(dict.fromkeys(read)), plan.probe, plan.proxies)
        there = [i for i, arch in enumerate(read) if len(known[arch]) == len(plan.proxies)]
        await self._settle([claims[i] for i in there], [read[i] for i in there], plan, asker)
        async with asyncio.TaskGroup() as group:
            for i in sorted(set(range(len(read))) - set(there)):
                group.create_task(self._settle([claims[i]], [read[i]], plan, asker))

    def _plan(self, job: Job) -> Plan:
        kind = PredictionRequest if job.kind == "predict" else ScoreRequest
        return Plan.of(kind.model_validate({**job.options, "architectures": [{}]}), self._desk.library)

    async def _settle(self, claims: Sequence[Claim], read: Sequence[Architecture], plan: Plan, asker: Asker) -> None:
        if not claims:
            return
        results = Results(list(read))
        try:
            items = await plan.each(results, self._desk, asker)
        except Exception as error:
            log.exception("items of a job failed")
            outcomes = [Outcome(claim, error=problem(error).model_dump(mode="json")) for claim in claims]
        else:
            outcomes = [
                _outcome(claim, item.model_dump(mode="json")) for claim, item in zip(claims, items, strict=True)
            ]
        await self._write(outcomes)

    async def _write(self, outcomes: Sequence[Outcome]) -> None:
        """Until it is written: what was computed is not thrown away because the store is busy or full."""
        while True:
            try:
                await asyncio.to_thread(self._store.queue.settle, outcomes)
            except StoreError as error:
                log.error("results of a job cannot be stored yet: %s", error)
                await asyncio.sleep(PAUSE)
            else:
                return


def _outcome(claim: Claim, item: dict[str, Any]) -> Outcome:
    if set(item) == {"error"}:
        return Outcome(claim, error=item["error"])
    return Outcome(claim, result=item, cached=item["cached"])
