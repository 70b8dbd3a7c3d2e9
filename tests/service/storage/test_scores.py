"""The table of scores, on either database."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from common.errors import InputError
from proxies import Score
from service.storage import Store
from service.storage.score_key import ScoreKey
from tests.service.storage.conftest import Clock

HOUR = timedelta(hours=1)


def key(architecture: int = 0, proxy: str = "nwot", version: str = "1", **changes: Any) -> ScoreKey:
    base = ScoreKey("space", f"{architecture:032x}", "batch", 0, 1, proxy, version, "cpu", "float32")
    return base._replace(**changes)


def score(value: float | None = 1.5, log: float | None = None) -> Score:
    return Score(value, log, "ok", 0.25, note="chunked")


@pytest.mark.parametrize("number", [0.1, 1 / 3, 1e22, 1.7976931348623157e308, 5e-324, -2.5e-300, 0.0, 3.0, 2.0**53 + 2])
def test_numbers_come_back_exactly(store: Store, number: float) -> None:
    scores = {
        key(): Score(number, -number, "ok", 0.1),
        key(1): Score(None, number, "ok", 0.0, note="é\n"),
    }
    store.scores.put(scores)
    stored = store.scores.get(scores)
    assert stored == scores
    assert all(type(number) is float for score in stored.values() for number in (score.log, score.seconds))


def test_every_part_of_the_key_counts(store: Store) -> None:
    changes: dict[str, Any] = {
        "space": "x",
        "probe_batch": "x",
        "seed": 2**32 - 1,
        "repeats": 2,
        "proxy": "x",
        "version": "2",
        "device": "cuda",
        "dtype": "x",
    }
    keys = [key(), key(1), *(key(**{name: value}) for name, value in changes.items())]
    scores = {key: score(i) for i, key in enumerate(keys)}
    store.scores.put(scores)
    assert store.scores.get(keys) == scores
    assert store.scores.get([key(2), key(proxy="y"), key(seed=1)]) == {}
    assert store.scores.get([]) == {}


def test_put_again_replaces_and_adds(store: Store) -> None:
    store.scores.put({key(): score(1), key(proxy="zen"): score(2)})
    store.scores.put({key(): score(3), key(proxy="snip"): score(4)})
    store.scores.put({key(): score(3)})
    keys = [key(), key(proxy="zen"), key(proxy="snip")]
    assert store.scores.get(keys) == dict(zip(keys, map(score, (3, 2, 4)), strict=True))


def test_only_ok_scores_are_kept(store: Store) -> None:
    store.scores.put({key(): replace(score(), status="failed"), key(1): score()})
    assert store.scores.get([key(), key(1)]) == {key(1): score()}
    with pytest.raises(InputError):
        store.scores.put({key(): score(float("nan"))})


def test_writers_of_the_same_architectures_lose_nothing(store: Store) -> None:
    proxies = [f"p{i}" for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        batches = [{key(i, name): score(i) for i in range(50)} for name in proxies]
        list(pool.map(store.scores.put, batches))
    scores = {key: score for batch in batches for key, score in batch.items()}
    assert store.scores.get(scores) == scores


def test_pruned_by_age(store: Store, clock: Clock) -> None:
    store.scores.put({key(0): score(), key(1): score()})
    clock.jump(hours=10)
    assert store.scores.get([key(1)])
    clock.jump(hours=10)
    assert store.scores.prune(10, 15 * HOUR) == 1
    assert store.scores.get([key(0), key(1)]) == {key(1): score()}


def test_pruned_by_number_independently_of_the_clock(store: Store, clock: Clock) -> None:
    for i in range(4):
        store.scores.put({key(i): score()})
        clock.jump(hours=-30)
    store.scores.get([key(0)])
    assert store.scores.prune(2, 1000 * HOUR) == 2
    assert set(store.scores.get(map(key, range(4)))) == {key(0), key(3)}
    assert store.scores.prune(0, 1000 * HOUR) == 2
