"""Explanations share the ensembles' thread fairly among API keys, and count in the queue."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from models import get_space
from service.api.authentication import Caller
from service.api.event_streams import EventStreamLimiter
from service.api.problems import ProblemError
from service.app import make_backend, make_context
from service.inference import pipeline
from service.inference.context import AppContext
from service.inference.queries import PredictionQuery
from service.inference.registry import EnsembleRegistry
from service.inference.results import PredictionResult
from service.inference.scheduler import QueueFullError, QuotaExceededError, Requester
from service.settings import Settings
from tests.service.conftest import SIX, SMALL
from tests.waiting import PATIENCE_S

GREEDY, MODEST = Requester("greedy", 0.5), Requester("modest", 0.5)


@contextmanager
def make_test_context(ensembles: EnsembleRegistry, **settings: Any) -> Iterator[AppContext]:
    options = Settings(device="cpu", backend="inline", **settings)
    backend = make_backend(options, ensembles)
    context = make_context(options, ensembles, backend, None)
    yield context
    context.close()


async def predict(architectures: Any, context: AppContext, requester: Requester, **options: Any) -> PredictionResult:
    query = PredictionQuery(proxies=[])
    return await pipeline.predict(architectures, query, context, requester, **options)


async def explain(n: int, context: AppContext, requester: Requester, seed: int = 0) -> PredictionResult:
    space = get_space("gcn-nas")
    rng = np.random.default_rng(seed)
    architectures = [space.to_json(space.sample(rng, depth=10)) for _ in range(n)]
    query = PredictionQuery(proxies=[], explain=True)
    return await pipeline.predict(architectures, query, context, requester)


def is_explained(result: PredictionResult) -> bool:
    return all(not isinstance(item, Exception) and item.explanation for item in result.items)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, PATIENCE_S))


async def wait_until_queued(context: AppContext, number: int) -> None:
    while context.scheduler.queue_depth < number:
        await asyncio.sleep(0)


def test_keys_take_turns_at_explanations(ensembles: EnsembleRegistry) -> None:
    async def work(context: AppContext) -> None:
        flood = [asyncio.create_task(explain(8, context, GREEDY, seed)) for seed in range(4)]
        await wait_until_queued(context, 32)
        await predict([SMALL], context, MODEST)
        await predict([SIX, SMALL], context, MODEST, compare=True)
        await explain(1, context, MODEST, 9)
        assert context.scheduler.queue_depth >= 32 - 2 * 5  # five turns, with at most two of the other key before each
        assert all(map(is_explained, await asyncio.gather(*flood)))
        assert context.scheduler.queue_depth == context.queue_depth == 0

    with make_test_context(ensembles) as context:
        run(work(context))


def test_explanations_count_in_the_queue_and_in_shares(ensembles: EnsembleRegistry) -> None:
    async def work(context: AppContext) -> None:
        first = asyncio.create_task(explain(6, context, GREEDY))
        await wait_until_queued(context, 6)
        assert context.queue_depth == 6
        with pytest.raises(QuotaExceededError, match="6 of your architectures wait already"):
            await explain(1, context, GREEDY)
        second = asyncio.create_task(explain(6, context, MODEST, 1))
        await wait_until_queued(context, 8)
        with pytest.raises(QueueFullError, match="architectures wait already"):
            await explain(1, context, Requester("third", 0.5))
        await predict([SIX], context, GREEDY)  # not counted in the queue
        await asyncio.gather(first, second)
        await explain(1, context, GREEDY)

    with make_test_context(ensembles, queue_size=8) as context:
        run(work(context))


def test_a_cancelled_request_frees_the_thread(ensembles: EnsembleRegistry) -> None:
    async def work(context: AppContext) -> None:
        flood = asyncio.create_task(explain(32, context, GREEDY))
        await wait_until_queued(context, 32)
        flood.cancel()
        await asyncio.gather(flood, return_exceptions=True)
        assert context.scheduler.queue_depth <= 1
        assert is_explained(await explain(1, context, MODEST))
        assert context.scheduler.queue_depth == 0

    with make_test_context(ensembles) as context:
        run(work(context))


def test_failed_work_frees_its_slot(ensembles: EnsembleRegistry) -> None:
    async def work(context: AppContext) -> None:
        def fails() -> None:
            raise ZeroDivisionError

        async def fail_at_start() -> None:
            raise KeyError

        with pytest.raises(ZeroDivisionError):
            await context.run(GREEDY, fails)
        with pytest.raises(KeyError):
            await context.run(Requester("greedy", on_start=fail_at_start), fails)
        assert context.scheduler.queue_depth == 0
        assert await context.run_brief(MODEST, lambda: 1) == 1

    with make_test_context(ensembles) as context:
        run(work(context))


def make_caller(id_: str, queue_share: float) -> Caller:
    return Caller(id_, frozenset({"predict"}), None, 1, queue_share)


def test_event_streams_are_shared_among_keys() -> None:
    streams = EventStreamLimiter(4)
    first, second, third = (make_caller(name, 0.5) for name in ("one", "two", "three"))
    with streams.slot(first), streams.slot(first):
        with pytest.raises(ProblemError, match="2 of your event streams") as caught, streams.slot(first):
            pass
        assert caught.value.status == 429
        with streams.slot(second), streams.slot(second):
            with pytest.raises(ProblemError, match="4 event streams are open already") as caught:
                streams.slot(third).__enter__()
            assert caught.value.status == 503
        with streams.slot(third):
            pass
    with streams.slot(first), streams.slot(first):
        pass


@pytest.mark.parametrize("queue_share", [0.01, 1.0])
def test_every_key_may_have_one_stream(queue_share: float) -> None:
    with EventStreamLimiter(10).slot(make_caller("one", queue_share)):
        pass
