"""Predictions of items of jobs that wait are made in one call, and each is what it is alone."""

import asyncio
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from models import Architecture, get_space
from proxies import Score
from service.inference.merged_predictions import MergedPredictions, Predictions
from service.inference.registry import LoadedEnsemble
from service.inference.scheduler import Requester
from service.inference.scoring_context import ScoringContext

SPACE = get_space("gcn-nas")
RNG = np.random.default_rng(0)
ARCHITECTURES = [SPACE.sample(RNG) for _ in range(4)]
CONTEXT = cast(ScoringContext, SimpleNamespace(seed=0))


class Recorder:
    """Ensemble whose predictions are the scores."""

    def __init__(self, broken: Architecture | None = None) -> None:
        self.ensemble, self.broken = object(), broken
        self.calls: list[list[Architecture]] = []

    def predict(self, scores: Mapping[Architecture, Any], combiner: str | None, context: Any) -> dict[Any, Any]:
        self.calls.append(list(scores))
        if self.broken in scores:
            raise ValueError("broken")
        return {architecture: by_proxy["nwot"].value for architecture, by_proxy in scores.items()}


def predict(recorder: Recorder, values: list[tuple[Architecture, float]], max_size: int = 64) -> list[Any]:
    """Predict each architecture in a call of its own; all wait before the first gets its turn."""

    async def run_all() -> list[Any]:
        turn, gate = asyncio.Lock(), asyncio.Event()

        async def run(requester: Requester, work: Callable[[], Any]) -> Any:
            await gate.wait()
            async with turn:
                return await asyncio.to_thread(work)

        merged = MergedPredictions(run, max_size)

        async def one(architecture: Architecture, value: float) -> Predictions:
            scores = {architecture: {"nwot": Score(value, None, "ok", 0.0)}}
            return await merged.predict(Requester(), cast(LoadedEnsemble, recorder), scores, None, CONTEXT)

        tasks = [asyncio.create_task(one(*value)) for value in values]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        gate.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        return [result if isinstance(result, BaseException) else list(result.values()) for result in results]

    return asyncio.run(run_all())


def test_those_that_wait_are_predicted_in_one_call() -> None:
    recorder = Recorder()
    assert predict(recorder, [(each, i) for i, each in enumerate(ARCHITECTURES)]) == [[0], [1], [2], [3]]
    assert recorder.calls == [ARCHITECTURES]


def test_a_call_has_a_maximum_size() -> None:
    recorder = Recorder()
    assert predict(recorder, [(each, i) for i, each in enumerate(ARCHITECTURES)], max_size=3) == [[0], [1], [2], [3]]
    assert list(map(len, recorder.calls)) == [3, 1]


def test_one_architecture_with_different_scores_is_not_mixed_up() -> None:
    recorder = Recorder()
    first = ARCHITECTURES[0]
    assert predict(recorder, [(first, 1), (first, 2), (first, 1)]) == [[1], [2], [1]]
    assert recorder.calls == [[first], [first]]


@pytest.mark.parametrize("position", range(4))
def test_failure_stays_with_its_call(position: int) -> None:
    recorder = Recorder(broken=ARCHITECTURES[position])
    results = predict(recorder, [(each, i) for i, each in enumerate(ARCHITECTURES)])
    assert isinstance(results.pop(position), ValueError)
    assert results == [[i] for i in range(4) if i != position]
