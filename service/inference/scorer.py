"""Scores, from memory, from the store, or computed: each of them once, whoever asks and how often."""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from time import perf_counter
from uuid import uuid4
from weakref import WeakValueDictionary

from models import Architecture
from proxies import Score
from service.inference.cache import Memory
from service.inference.registry import Probe
from service.inference.scheduler import FairScheduler, Requester
from service.observability.metrics import Metrics
from service.observability.tracing import Tracing, set_attributes
from service.storage import Store, StoreError
from service.storage.score_key import ScoreKey
from service.storage.write_behind import WriteBehind
from service.workers.backend import Backend, Task, TaskOutcome
from service.workers.errors import ScoringError, TaskRejectedError

log = logging.getLogger(__name__)
Scores = dict[str, Score]
ScoringKey = tuple[Architecture, str, int, int]
"""Architecture, fingerprint of the batch, seed and repeats: what is computed one at a time."""
PAUSE = 0.1
"""Seconds between two attempts to hand a task over."""
MOST_UNWRITTEN = 2**16
"""Scores that wait for a store that is away, above which more are kept in memory alone."""


class Scorer:
    """What knows the scores of architectures, or has them computed. For one event loop.

    Args:
        backend: where networks run.
        turns: who may hand it work.
        memory: what was known lately.
        store: what was known ever; none for a process that lives for one request.
        metrics: what counts all this.
        tracing: what traces it.
    """

    def __init__(
        self,
        backend: Backend,
        turns: FairScheduler,
        memory: Memory,
        store: Store | None,
        metrics: Metrics,
        tracing: Tracing,
    ) -> None:
        self.backend, self.turns, self.memory, self.store = backend, turns, memory, store
        self._metrics, self._tracing = metrics, tracing
        self._locks: WeakValueDictionary[ScoringKey, asyncio.Lock] = WeakValueDictionary()
        self._running: dict[ScoringKey, asyncio.Task[Scores]] = {}
        self._unwritten: WriteBehind[tuple[ScoreKey, Score]] = WriteBehind("scores", self._put)

    async def recall(
        self, architectures: Sequence[Architecture], probe: Probe, proxies: Mapping[str, str]
    ) -> dict[Architecture, Scores]:
        """By architecture, the scores that are known. `proxies`: their versions by name."""
        keys = {arch: probe.keys(arch, proxies) for arch in architectures}
        asked = _all(keys.values())
        found = self.memory.scores.get(asked)
        stored: dict[ScoreKey, Score] = {}
        missing = [key for key in asked if key not in found]
        if missing and self.store is not None:
            stored = await self._stored(self.store, missing)
        self._metrics.record_cache_requests(
            "score", memory=len(asked) - len(missing), store=len(stored), miss=len(missing) - len(stored)
        )
        found |= stored
        return {arch: {name: found[key] for name, key in own.items() if key in found} for arch, own in keys.items()}

    async def score(self, arch: Architecture, probe: Probe, proxies: Mapping[str, str], asker: Requester) -> Scores:
        """The architecture's scores by these proxies, computed where they are not known.

        Failed scores are among them, and are not kept. Raises `ScoringError` where there are none at all.
        """
        keys = probe.keys(arch, proxies)
        which = (arch, probe.batch.fingerprint, probe.seed, probe.repeats)
        async with self._locks.setdefault(which, asyncio.Lock()):  # the second of two finds what the first computed
            if which in self._running:  # for one who gave up
                await asyncio.wait((self._running[which],))
            found = self.memory.scores.get(keys.values())
            known = {name: found[key] for name, key in keys.items() if key in found}
            missing = {name: key for name, key in keys.items() if name not in known}
            if missing:
                await self.turns.take(asker)
                # What has begun is finished and kept, even if nobody waits for it any more.
                running = self._running[which] = asyncio.create_task(self._compute(arch, probe, missing, asker))
                running.add_done_callback(lambda _: self._running.pop(which))
                known |= await asyncio.shield(running)
        return {name: known[name] for name in proxies}

    async def _compute(
        self, arch: Architecture, probe: Probe, keys: Mapping[str, ScoreKey], asker: Requester
    ) -> Scores:
        """With a place, which is given back at the end."""
        started = perf_counter()
        try:
            await asker.begun()
            with self._tracing.span("score", architecture=arch.fingerprint, proxies=list(keys)) as span:
                outcome = await asyncio.wrap_future(await self._submitted(_task(arch, probe, list(keys))))
                failure = outcome.failure and outcome.failure.kind
                set_attributes(
                    span, seconds=outcome.seconds, attempts=outcome.attempts, worker=outcome.worker, failure=failure
                )
        finally:
            self.turns.give_back(asker, perf_counter() - started)
        computed = {name: Score(**one) for name, one in (outcome.scores or {}).items()}
        if outcome.failure is not None:
            self._metrics.record_scoring_failure(outcome.failure.kind)
            raise ScoringError(outcome)
        succeeded = {name: score for name, score in computed.items() if score.status == "ok"}
        self._metrics.record_scoring(outcome.seconds, {name: score.seconds for name, score in succeeded.items()})
        kept = {keys[name]: score for name, score in succeeded.items()}
        self.memory.scores.put(kept)
        if self.store is not None and len(self._unwritten) < MOST_UNWRITTEN:
            self._unwritten.add(list(kept.items()))
        return computed

    async def flush(self) -> None:
        """Wait a little for the store to take the scores that it has not yet."""
        await self._unwritten.flush()

    def _put(self, scores: Sequence[tuple[ScoreKey, Score]]) -> None:
        if self.store is not None:
            self.store.scores.put(dict(scores))

    async def _stored(self, store: Store, keys: Sequence[ScoreKey]) -> dict[ScoreKey, Score]:
        """What the store knows; nothing while it cannot be read, as everything can be computed."""
        try:
            found = await asyncio.to_thread(store.scores.get, keys)
        except StoreError as error:
            log.error("what the store knows is computed anew: %s", error)
            return {}
        self.memory.scores.put(found)
        return found

    async def _submitted(self, task: Task) -> "Future[TaskOutcome]":
        while True:
            try:
                return self.backend.submit(task)
            except TaskRejectedError:
                if self.backend.health().state in ("draining", "stopped"):
                    raise
                await asyncio.sleep(PAUSE)  # a process is being replaced


def _task(arch: Architecture, probe: Probe, proxies: list[str]) -> Task:
    return Task(
        id=f"{arch.fingerprint}.{uuid4().hex}",  # so that a line of the log that names the task names both
        space=probe.space.name,
        settings=probe.space.settings,
        architecture=probe.space.to_json(arch),
        probe_batch=probe.batch.fingerprint,
        seed=probe.seed,
        repeats=probe.repeats,
        proxies=proxies,
    )


def _all(keys: Iterable[Mapping[str, ScoreKey]]) -> list[ScoreKey]:
    return [key for own in keys for key in own.values()]
