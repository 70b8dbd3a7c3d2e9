"""Cached results are not computed again, and equal computed ones."""

import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from threading import Event
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from models import get_space
from models.gcn_nas import GcnNas
from proxies import Score
from proxies.runner import score_batch
from service.api.documents import prediction_response
from service.app import create_app
from service.inference import pipeline
from service.inference.cache import Cache, ResultCache
from service.inference.queries import PredictionQuery
from service.inference.registry import EnsembleRegistry
from service.settings import Settings
from service.storage.scores import ScoreRepository
from service.workers import task_scorer
from tests.service.conftest import CHEAP, FOUR_LAYERS, SIX, SMALL, run_inline, shipped_ensembles, without_costs
from tests.waiting import PATIENCE_S

Scored = list[list[str]]


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> Scored:
    """Proxies of each scored network, filled during the test."""
    return count(monkeypatch, lambda scores: scores)


def count(monkeypatch: pytest.MonkeyPatch, change: Callable[[dict[str, Score]], dict[str, Score]]) -> Scored:
    calls: Scored = []

    def counted(network: Any, batch: Any, proxies: Sequence[str], *more: int) -> dict[str, Score]:
        calls.append(list(proxies))
        return change(score_batch(network, batch, proxies, *more))

    monkeypatch.setattr(task_scorer, "score_batch", counted)
    return calls


@contextmanager
def serving(ensembles: EnsembleRegistry, **settings: Any) -> Iterator[tuple[FastAPI, Callable[..., Any]]]:
    """Serve the application in a thread; yield it and a function that posts predictions."""
    data = tempfile.TemporaryDirectory()
    app = create_app(Settings(device="cpu", backend="inline", data_dir=data.name, **settings), ensembles)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        while not server.started:
            time.sleep(0.01)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1/predictions"

        def post(*architectures: Any, **more: Any) -> Any:
            response = httpx.post(url, json={"architectures": architectures, **more}, timeout=PATIENCE_S)
            assert response.status_code == 200, response.text
            return response.json()["predictions"]

        try:
            yield app, post
        finally:
            server.should_exit = True
            thread.join()
            data.cleanup()


def test_architecture_asked_twice_is_scored_once(ensembles: EnsembleRegistry, scored: Scored) -> None:
    with serving(ensembles) as (_, post):
        (first,) = post(SMALL, proxies=CHEAP)
        (second,) = post(SMALL, proxies=CHEAP)
        _, third = post(SIX, SMALL, proxies=CHEAP)
    assert scored == [CHEAP, CHEAP]  # SMALL and SIX
    assert (first["cached"], second["cached"], third["cached"]) == (False, True, True)
    assert second == {**first, "cached": True}
    assert third["scores"] == first["scores"]


def test_only_the_missing_proxies_are_computed(ensembles: EnsembleRegistry, scored: Scored) -> None:
    with serving(ensembles) as (_, post):
        post(SMALL, proxies=["nwot"])
        (more,) = post(SMALL, proxies=["params", "nwot", "snip"])
        (fewer,) = post(SMALL, proxies=["snip"])
    with serving(ensembles, cache_size=0) as (_, post):
        (anew,) = post(SMALL, proxies=["params", "nwot", "snip"])
    assert scored == [["nwot"], ["params", "snip"], ["params", "nwot", "snip"]]
    assert list(more["scores"]) == ["params", "nwot", "snip"]
    assert without_costs(more) == without_costs(anew)
    assert fewer["scores"]["snip"] == more["scores"]["snip"]
    assert not more["cached"]


def test_another_seed_is_another_question(ensembles: EnsembleRegistry, scored: Scored) -> None:
    with serving(ensembles) as (_, post):
        (usual,), (other,) = post(SMALL, proxies=["nwot"]), post(SMALL, proxies=["nwot"], seed=5)
    assert len(scored) == 2
    assert usual["scores"]["nwot"]["value"] != other["scores"]["nwot"]["value"]


def test_structure_alone_is_predicted_once(ensembles: EnsembleRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(ensembles) as (_, post):
        (first,) = post(SMALL, proxies=[])
        monkeypatch.delattr("ensemble.Ensemble.predict")
        (second,) = post(SMALL, proxies=[])
    assert not first["cached"]
    assert second == {**first, "cached": True}


def test_simultaneous_requests_score_once(ensembles: EnsembleRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, gate = threading.Event(), threading.Event()

    def wait(scores: dict[str, Score]) -> dict[str, Score]:
        begun.set()
        assert gate.wait(PATIENCE_S)
        return scores

    scored = count(monkeypatch, wait)
    with serving(ensembles) as (_, post), ThreadPoolExecutor(2) as pool:
        first = pool.submit(post, SMALL, proxies=CHEAP)
        assert begun.wait(PATIENCE_S)
        second = pool.submit(post, SMALL, proxies=CHEAP)
        time.sleep(0.5)  # time for the second request to arrive, which leaves no observable trace
        assert not second.done()
        gate.set()
        assert without_costs(first.result()) == without_costs(second.result())
    assert scored == [CHEAP]


def test_known_answer_overtakes_long_work(ensembles: EnsembleRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, gate = threading.Event(), threading.Event()
    gate.set()

    def wait(scores: dict[str, Score]) -> dict[str, Score]:
        begun.set()
        assert gate.wait(PATIENCE_S)
        return scores

    count(monkeypatch, wait)
    with serving(ensembles, queue_size=1) as (_, post), ThreadPoolExecutor(1) as pool:
        known = post(SMALL, SIX, proxies=CHEAP)
        gate.clear()
        begun.clear()
        long = pool.submit(post, FOUR_LAYERS, proxies=CHEAP)
        assert begun.wait(PATIENCE_S)
        assert without_costs(post(SMALL, SIX, proxies=CHEAP)) == without_costs(known)  # though the queue is full
        assert not long.done()
        gate.set()
        assert long.result()


def test_failed_scores_are_computed_again(ensembles: EnsembleRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = [True]

    def fail(scores: dict[str, Score]) -> dict[str, Score]:
        if broken:
            broken.clear()
            scores["nwot"] = replace(scores["nwot"], value=None, status="failed", error="out of memory")
        return scores

    scored = count(monkeypatch, fail)
    with serving(ensembles) as (_, post):
        (first,), (second,) = post(SMALL, proxies=CHEAP), post(SMALL, proxies=CHEAP)
    assert scored == [CHEAP, ["nwot"]]
    assert (first["scores"]["nwot"]["status"], second["scores"]["nwot"]["status"]) == ("failed", "ok")
    assert not second["cached"]
    assert first["warnings"] != second["warnings"]


def test_failed_networks_are_built_again(ensembles: EnsembleRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    build, broken = GcnNas.build, [get_space("gcn-nas").parse(SMALL)]

    def build_or_fail(space: GcnNas, arch: Any, seed: int = 0) -> Any:
        if arch in broken:
            broken.clear()
            raise MemoryError
        return build(space, arch, seed)

    monkeypatch.setattr(GcnNas, "build", build_or_fail)
    with serving(ensembles) as (_, post):
        assert list(post(SMALL, proxies=CHEAP)[0]) == ["error"]
        assert post(SMALL, proxies=CHEAP)[0]["accuracy"]


def test_what_memory_forgets_the_store_knows(ensembles: EnsembleRegistry, scored: Scored) -> None:
    with serving(ensembles, cache_size=2) as (_, post):
        first, *_, last = (post(architecture, proxies=CHEAP)[0] for architecture in (SMALL, SIX, SIX, SMALL))
    assert len(scored) == 2
    assert last["scores"] == first["scores"]


def test_without_memory_predictions_are_computed_anew_and_scores_are_not(
    ensembles: EnsembleRegistry, scored: Scored, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored, put = Event(), ScoreRepository.put

    def put_and_tell(repository: ScoreRepository, scores: Any) -> None:
        put(repository, scores)
        stored.set()

    monkeypatch.setattr(ScoreRepository, "put", put_and_tell)
    with serving(ensembles, cache_size=0) as (_, post):
        assert not post(SMALL, proxies=CHEAP)[0]["cached"]
        assert stored.wait(PATIENCE_S)  # scores are written after the response
        assert not post(SMALL, proxies=CHEAP)[0]["cached"]
    assert len(scored) == 1


def test_least_recently_used_goes_first() -> None:
    cache: Cache[str, int] = Cache(2)
    cache.put({"a": 1, "b": 2})
    assert cache.get(["a", "x"]) == {"a": 1}
    cache.put({"c": 3})
    assert cache.get(["a", "b", "c"]) == {"a": 1, "c": 3}
    cache.put({"a": 4})
    assert cache.get("abc") == {"a": 4, "c": 3}


@pytest.fixture(scope="module")
def cache() -> ResultCache:
    """The cache after a request."""
    cache = ResultCache(1000)
    run([SMALL, SIX], shipped_ensembles(), cache)
    return cache


def run(architectures: Sequence[Any], ensembles: EnsembleRegistry, cache: ResultCache, **options: Any) -> Any:
    query = PredictionQuery(**options)
    result = run_inline(pipeline.predict, architectures, query, ensembles, cache=cache, compare=True)
    return without_costs(prediction_response(result).model_dump())


COMBINERS = [None, "stacked", "structure", "vote", "mean", "ranknet", "forest", "xgboost", "ridge"]


@pytest.mark.parametrize("combiner", COMBINERS)
@pytest.mark.parametrize("proxies", [None, []])
def test_cached_is_as_computed(
    combiner: str | None, proxies: list[str] | None, ensembles: EnsembleRegistry, cache: ResultCache
) -> None:
    without_predictions = ResultCache(0)
    without_predictions.scores = cache.scores
    for architectures in ([SMALL], [SMALL, SIX], [SIX, FOUR_LAYERS, SMALL], [FOUR_LAYERS, SMALL]):
        options = {"combiner": combiner, "proxies": proxies}
        computed = run(architectures, ensembles, without_predictions, **options)
        cached = [run(architectures, ensembles, cache, **options) for _ in range(2)]
        assert cached == [computed, computed]


def test_every_combiner_is_tried(ensembles: EnsembleRegistry) -> None:
    assert set(COMBINERS) - {None} == set(ensembles.get().combiners)
