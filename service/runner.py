"""Works off the jobs of the store. A job's state is there, not here: whoever is killed leaves nothing but a requeue."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from itertools import groupby
from typing import Any
from uuid import uuid4

from models import Architecture
from service.answers import Results
from service.desk import Desk
from service.errors import problem
from service.pipeline import Plan
from service.schemas import PredictionRequest, ScoreRequest
from service.store import Claim, Job, Outcome, Store
from service.store.errors import StoreError

log = logging.getLogger(__name__)
AHEAD = 64
"""Items that are held at most: enough to keep every process busy, and to answer what is known many at a time."""
PAUSE = 1.0
"""Seconds after which the store is asked again whether there is work, or whether it is there again."""
MOST_ATTEMPTS = 2
LOST = {"title": "Interrupted", "status": 500, "detail": "the server ended while it worked on this, more than once"}


class JobRunner:
    """Claims items, has them answered as requests are, and writes down what came of them. For one event loop.

    Args:
        desk: what requests are answered with.
        store: where the jobs are.
    """

    def __init__(self, desk: Desk, store: Store) -> None:
        self._desk, self._store = desk, store
        self._name = uuid4().hex
        self._groups: dict[asyncio.Task[None], Sequence[Claim]] = {}
        self._news = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin, with what an earlier server left half done."""
        found = await asyncio.to_thread(self._store.queue.requeue, None, MOST_ATTEMPTS, LOST)
        if found.waiting or found.failed:
            log.warning("%d architectures of jobs wait again, %d were given up", found.waiting, found.failed)
        self._loop = asyncio.create_task(self._run())

    def wake(self) -> None:
        """There is a new job."""
        self._news.set()

    async def stop(self, seconds: float) -> None:
        """Claim no more, let what runs finish for so long, and put the rest back."""
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.wait((self._loop,))
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
        plan = self._plan(job)
        read = [plan.probe.space.parse(one.architecture) for one in claims]
        known = await self._desk.scorer.recall(list(dict.fromkeys(read)), plan.probe, plan.proxies)
        there = [i for i, arch in enumerate(read) if len(known[arch]) == len(plan.proxies)]
        await self._settle([claims[i] for i in there], [read[i] for i in there], plan, job.owner)
        async with asyncio.TaskGroup() as group:
            for i in sorted(set(range(len(read))) - set(there)):
                group.create_task(self._settle([claims[i]], [read[i]], plan, job.owner))

    def _plan(self, job: Job) -> Plan:
        kind = PredictionRequest if job.kind == "predict" else ScoreRequest
        return Plan.of(kind.model_validate({**job.options, "architectures": [{}]}), self._desk.library)

    async def _settle(self, claims: Sequence[Claim], read: Sequence[Architecture], plan: Plan, owner: str) -> None:
        if not claims:
            return
        results = Results(list(read))
        try:
            items = await plan.each(results, self._desk, owner)
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
