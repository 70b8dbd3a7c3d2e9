"""Tasks that wait for room in the backend cost it nothing, however many they are. Late failures are not logged."""

import asyncio
import gc
from concurrent.futures import Future
from types import SimpleNamespace
from typing import cast

import pytest
import torch

from models import get_space
from models.gcn_nas.batches import synthetic_batch
from service.inference import scorer
from service.inference.cache import ResultCache
from service.inference.scheduler import FairScheduler, Requester
from service.inference.scoring_context import ScoringContext
from service.observability.metrics import Metrics
from service.observability.tracing import Tracing
from service.workers.backend import Backend, BackendState, Failure, Task, TaskOutcome
from service.workers.errors import TaskRejectedError
from tests.service.conftest import SMALL

NUM_TASKS = 50


class FullBackend:
    """Backend that rejects tasks until it has room."""

    def __init__(self) -> None:
        self.has_room, self.rejected = False, 0
        self.accepted: list[str] = []

    def submit(self, task: Task) -> "Future[TaskOutcome]":
        if not self.has_room:
            self.rejected += 1
            raise TaskRejectedError("every worker has a task")
        self.accepted.append(task.id)
        return Future()

    @property
    def state(self) -> BackendState:
        return "ready"


def test_only_the_first_of_those_that_wait_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scorer, "SUBMIT_INTERVAL_S", 0.001)
    backend = FullBackend()
    names = [str(i) for i in range(NUM_TASKS)]

    async def submit_all() -> None:
        scheduler = FairScheduler(NUM_TASKS, NUM_TASKS)
        scores = scorer.CachedScorer(cast(Backend, backend), scheduler, ResultCache(0), None, Metrics(), Tracing(None))
        tasks = [asyncio.create_task(scores._submit(Task(name, "gcn-nas", {}, {}, "", 0, 1, []))) for name in names]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert backend.rejected == 1
        backend.has_room = True
        await asyncio.gather(*tasks)

    asyncio.run(submit_all())
    assert backend.accepted == names


def test_a_failure_after_the_request_was_cancelled_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    outcome: Future[TaskOutcome] = Future()
    backend = SimpleNamespace(submit=lambda task: outcome)
    space = get_space("gcn-nas")
    context = ScoringContext(space, synthetic_batch(space.task, 2, 4), torch.device("cpu"))

    async def cancel_and_fail() -> None:
        scheduler = FairScheduler(1, 1)
        scores = scorer.CachedScorer(cast(Backend, backend), scheduler, ResultCache(0), None, Metrics(), Tracing(None))
        request = asyncio.create_task(scores.score(space.parse(SMALL), context, {"params": "1"}, Requester()))
        while not scores._running:
            await asyncio.sleep(0)
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        outcome.set_result(TaskOutcome("", None, 0.0, Failure("interrupted", "the backend was drained")))
        while scores._running:
            await asyncio.sleep(0)

    asyncio.run(cancel_and_fail())
    gc.collect()
    assert not caplog.records
