"""Predictions of items of jobs, merged into calls of many: a call of one costs as much as a call of twenty."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from threading import Lock
from typing import NamedTuple

from ensemble import Ensemble, Prediction
from models import Architecture
from proxies import Score
from service.inference.registry import LoadedEnsemble
from service.inference.scheduler import Requester
from service.inference.scoring_context import ScoringContext

Scores = Mapping[Architecture, Mapping[str, Score]]
Predictions = dict[Architecture, Prediction]
Run = Callable[[Requester, Callable[[], "list[_Done]"]], Awaitable["list[_Done]"]]


class _Key(NamedTuple):
    """Calls with the same key can be merged."""

    ensemble: Ensemble
    combiner: str | None
    seed: int
    proxies: tuple[str, ...]


class _Waiting(NamedTuple):
    scores: Scores
    future: "asyncio.Future[Predictions]"


class _Done(NamedTuple):
    future: "asyncio.Future[Predictions]"
    result: Predictions | Exception


class MergedPredictions:
    """Merges the predictions that wait for their turn in the thread of the ensembles. For one event loop.

    A prediction does not depend on the others of a call, unless `Ensemble.depends_on_set` says so.

    Args:
        run: runs work in the thread, in fair order.
        max_size: maximum number of architectures of a merged call.
    """

    def __init__(self, run: Run, max_size: int) -> None:
        self._run, self._max_size = run, max_size
        self._lock = Lock()
        self._waiting: dict[_Key, list[_Waiting]] = {}

    async def predict(
        self,
        requester: Requester,
        ensemble: LoadedEnsemble,
        scores: Scores,
        combiner: str | None,
        context: ScoringContext,
    ) -> Predictions:
        """Predict architectures, together with others that wait.

        Args:
            requester: whose turn it has to be.
            ensemble: the ensemble.
            scores: scores by architecture and proxy.
            combiner: name of the combiner; None for the ensemble's default.
            context: conditions of the scores.

        Returns:
            The predictions by architecture.
        """
        await requester.on_start()  # others may compute it before its turn
        names = dict.fromkeys(name for by_proxy in scores.values() for name in by_proxy)
        key = _Key(ensemble.ensemble, combiner, context.seed, tuple(names))
        future: asyncio.Future[Predictions] = asyncio.get_running_loop().create_future()
        with self._lock:
            self._waiting.setdefault(key, []).append(_Waiting(scores, future))
        while not future.done():  # each caller asks for a turn, and most find their prediction made
            for done, result in await self._run(requester, lambda: self._predict(key, ensemble, context)):
                if done.done():  # its caller was cancelled
                    continue
                if isinstance(result, Exception):
                    done.set_exception(result)
                else:
                    done.set_result(result)
        return future.result()

    def _predict(self, key: _Key, ensemble: LoadedEnsemble, context: ScoringContext) -> "list[_Done]":
        """Predict all that wait, in the thread."""
        taken, merged = self._take(key)
        if not taken:
            return []
        try:
            predictions = ensemble.predict(merged, key.combiner, context)
        except Exception as error:
            if len(taken) == 1:
                return [_Done(taken[0].future, error)]
            return [self._predict_alone(waiting, key, ensemble, context) for waiting in taken]
        return [_Done(future, {each: predictions[each] for each in scores}) for scores, future in taken]

    def _predict_alone(self, waiting: _Waiting, key: _Key, ensemble: LoadedEnsemble, context: ScoringContext) -> _Done:
        try:
            return _Done(waiting.future, ensemble.predict(waiting.scores, key.combiner, context))
        except Exception as error:
            return _Done(waiting.future, error)

    def _take(self, key: _Key) -> tuple[list[_Waiting], dict[Architecture, Mapping[str, Score]]]:
        """Return the calls to merge and their scores; of one architecture with different scores, the first."""
        taken: list[_Waiting] = []
        merged: dict[Architecture, Mapping[str, Score]] = {}
        with self._lock:
            left = []
            for waiting in self._waiting.pop(key, []):
                fits = not taken or len(merged) + len(waiting.scores) <= self._max_size
                if fits and all(merged.get(each, scores) == scores for each, scores in waiting.scores.items()):
                    taken.append(waiting)
                    merged |= waiting.scores
                else:
                    left.append(waiting)
            if left:
                self._waiting[key] = left
        return taken, merged
