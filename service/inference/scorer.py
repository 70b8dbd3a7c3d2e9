"""Proxy scores from memory, from the store, or computed: each of them once, for however many requests."""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from time import perf_counter
from typing import NamedTuple
from uuid import uuid4
from weakref import WeakValueDictionary

from common.tasks import retrieve_exception
from models import Architecture
from proxies import Score
from service.inference.cache import ResultCache
from service.inference.scheduler import FairScheduler, Requester
from service.inference.scoring_context import ScoringContext
from service.observability.metrics import Metrics
from service.observability.tracing import Tracing, set_attributes
from service.storage import Store, StoreError
from service.storage.score_key import ScoreKey
from service.storage.write_behind import WriteBehind
from service.workers.backend import Backend, Task, TaskOutcome
from service.workers.errors import ScoringError, TaskRejectedError

log = logging.getLogger(__name__)
ScoresByProxy = dict[str, Score]
SUBMIT_INTERVAL_S = 0.1
"""Time between two attempts to submit a task."""
MAX_UNWRITTEN_SCORES = 2**16
"""Maximum number of scores that wait for an unavailable store; further ones stay in memory only."""


class ScoringKey(NamedTuple):
    """Identity of a computation; two with the same key never run at the same time."""

    space: str
    architecture: Architecture
    batch: str
    seed: int
    repeats: int


class CachedScorer:
    """Scores architectures, reusing scores of earlier requests. For one event loop.

    Args:
        backend: computes scores.
        scheduler: assigns the backend's slots.
        cache: recent scores.
        store: all earlier scores; None for a process that serves one request.
        metrics: Prometheus metrics.
        tracing: OpenTelemetry traces.
    """

    def __init__(
        self,
        backend: Backend,
        scheduler: FairScheduler,
        cache: ResultCache,
        store: Store | None,
        metrics: Metrics,
        tracing: Tracing,
    ) -> None:
        self.backend, self.scheduler, self.cache, self.store = backend, scheduler, cache, store
        self._metrics, self._tracing = metrics, tracing
        self._locks: WeakValueDictionary[ScoringKey, asyncio.Lock] = WeakValueDictionary()
        self._submission = asyncio.Lock()
        self._running: dict[ScoringKey, asyncio.Task[ScoresByProxy]] = {}
        self._unwritten: WriteBehind[tuple[ScoreKey, Score]] = WriteBehind("scores", self._write)

    async def recall(
        self, architectures: Sequence[Architecture], context: ScoringContext, proxies: Mapping[str, str]
    ) -> dict[Architecture, ScoresByProxy]:
        """Look up known scores.

        Args:
            architectures: the architectures.
            context: conditions of the scores.
            proxies: versions by name.

        Returns:
            By architecture, its known scores; nothing is computed.
        """
        keys = {architecture: context.score_keys(architecture, proxies) for architecture in architectures}
        requested = _flatten(keys.values())
        known = self.cache.scores.get(requested)
        stored: dict[ScoreKey, Score] = {}
        missing = [key for key in requested if key not in known]
        if missing and self.store is not None:
            stored = await self._read(self.store, missing)
        self._metrics.record_cache_requests(
            "score", memory=len(requested) - len(missing), store=len(stored), miss=len(missing) - len(stored)
        )
        known |= stored
        return {
            architecture: {name: known[key] for name, key in by_proxy.items() if key in known}
            for architecture, by_proxy in keys.items()
        }

    async def score(
        self, architecture: Architecture, context: ScoringContext, proxies: Mapping[str, str], requester: Requester
    ) -> ScoresByProxy:
        """Score an architecture. Proxies with known scores are not computed again.

        Args:
            architecture: the architecture.
            context: conditions of the scores.
            proxies: versions by name.
            requester: whose turn it has to be.

        Returns:
            The scores by proxy. Failed scores are included, but not cached.

        Raises:
            ScoringError: the network could not be scored at all.
        """
        keys, batch = context.score_keys(architecture, proxies), context.probe_batch.fingerprint
        scoring_key = ScoringKey(context.space_json, architecture, batch, context.seed, context.repeats)
        async with self._locks.setdefault(scoring_key, asyncio.Lock()):  # concurrent requests share a computation
            if scoring_key in self._running:  # started by a request that was cancelled
                await asyncio.wait((self._running[scoring_key],))
            cached = self.cache.scores.get(keys.values())
            known = {name: cached[key] for name, key in keys.items() if key in cached}
            missing = {name: key for name, key in keys.items() if name not in known}
            if missing:
                await self.scheduler.acquire(requester)
                # A started computation is finished and kept, even if its request is cancelled.
                running = asyncio.create_task(self._compute(architecture, context, missing, requester))
                self._running[scoring_key] = running
                running.add_done_callback(lambda _: self._running.pop(scoring_key))
                running.add_done_callback(retrieve_exception)
                known |= await asyncio.shield(running)
        return {name: known[name] for name in proxies}

    async def _compute(
        self,
        architecture: Architecture,
        context: ScoringContext,
        keys: Mapping[str, ScoreKey],
        requester: Requester,
    ) -> ScoresByProxy:
        """Compute scores in a slot of the scheduler, which is released at the end."""
        started = perf_counter()
        try:
            await requester.on_start()
            with self._tracing.span("score", architecture=architecture.fingerprint, proxies=list(keys)) as span:
                task = make_task(architecture, context, list(keys))
                outcome = await asyncio.wrap_future(await self._submit(task))
                failure = outcome.failure and outcome.failure.kind
                set_attributes(
                    span, seconds=outcome.seconds, attempts=outcome.attempts, worker=outcome.worker, failure=failure
                )
        finally:
            self.scheduler.release(requester, perf_counter() - started)
        computed = {name: Score(**fields) for name, fields in (outcome.scores or {}).items()}
        if outcome.failure is not None:
            self._metrics.record_scoring_failure(outcome.failure.kind)
            raise ScoringError(outcome)
        seconds = {name: score.seconds for name, score in computed.items() if score.status == "ok"}
        self._metrics.record_scoring(outcome.seconds, seconds)
        kept = {keys[name]: score for name, score in computed.items() if score.status != "failed"}
        self.cache.scores.put(kept)
        if self.store is not None and len(self._unwritten) < MAX_UNWRITTEN_SCORES:
            self._unwritten.add(list(kept.items()))
        return computed

    async def flush(self) -> None:
        """Wait a short time for the store to take unwritten scores."""
        await self._unwritten.flush()

    def _write(self, scores: Sequence[tuple[ScoreKey, Score]]) -> None:
        if self.store is not None:
            self.store.scores.put(dict(scores))

    async def _read(self, store: Store, keys: Sequence[ScoreKey]) -> dict[ScoreKey, Score]:
        """Read scores from the store; none while it is unavailable, as everything can be computed."""
        try:
            scores = await asyncio.to_thread(store.scores.get, keys)
        except StoreError as error:
            log.error("stored scores are computed anew: %s", error)
            return {}
        self.cache.scores.put(scores)
        return scores

    async def _submit(self, task: Task) -> "Future[TaskOutcome]":
        async with self._submission:  # in order, and of hundreds of tasks that wait only the first asks the backend
            while True:
                try:
                    return self.backend.submit(task)
                except TaskRejectedError:
                    if self.backend.state in ("draining", "stopped"):
                        raise
                    await asyncio.sleep(SUBMIT_INTERVAL_S)  # a process is being replaced, or actors are being added


def make_task(architecture: Architecture, context: ScoringContext, proxies: list[str]) -> Task:
    """Make the task of scoring an architecture, with an id of its own."""
    return Task(
        id=f"{architecture.fingerprint}.{uuid4().hex}",  # links log lines of tasks to architectures
        space=context.space.name,
        settings=context.space.settings,
        architecture=context.space.to_json(architecture),
        probe_batch=context.probe_batch.fingerprint,
        batch_fields=context.batch_fields,
        seed=context.seed,
        repeats=context.repeats,
        proxies=proxies,
    )


def _flatten(keys: Iterable[Mapping[str, ScoreKey]]) -> list[ScoreKey]:
    return [key for by_proxy in keys for key in by_proxy.values()]
