"""Many architectures at once; how long it took is printed, with `-s`."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from proxies import Score, proxy_versions
from service.storage import Outcome, Store
from service.storage.score_key import ScoreKey
from tests.service.storage.conftest import items

N = 10_000
SCORED = 2000


@contextmanager
def timed(store: Store, what: str) -> Iterator[None]:
    started = perf_counter()
    yield
    print(f"{'sqlite' if store._db.file else 'postgres':10}{what:35}{perf_counter() - started:6.2f} s")  # noqa: T201


def test_job(store: Store) -> None:
    new = items(N)
    with timed(store, f"create {N}"):
        job, _ = store.jobs.create("predictions", {}, new, "me", "key")
    with timed(store, "the same again"):
        assert store.jobs.create("predictions", {}, new, "me", "key")[1] is False
    with timed(store, "claim and finish 100, one by one"):
        for one in (store.queue.claim(1, "w")[0] for _ in range(100)):
            assert store.queue.finish(one, {"accuracy": 0.9})
    with timed(store, f"claim and finish {N - 100} by 100"):
        while claims := store.queue.claim(100, "w"):
            assert all(store.queue.settle([Outcome(one, {"accuracy": 0.9, "more": "x" * 500}) for one in claims]))
    with timed(store, f"page through {N} results"):
        seen, after, complete = [], 0, False
        while not complete:
            page = store.jobs.results(job.id, after)
            seen += [one.position for one in page.items]
            after, complete = page.after, page.complete
    assert seen == list(range(N))
    with timed(store, f"page through {N} events"):
        events = 0
        while more := store.jobs.events(job.id, events):
            events = more[-1].id
    assert events == N + 3
    with timed(store, "delete"):
        store.jobs.delete(job.id)


def test_scores(store: Store) -> None:
    versions = proxy_versions(None)
    put = {
        ScoreKey("space", f"{i:032x}", "batch", 0, 1, name, version, "cpu", "float32"): Score(i / 7, None, "ok", 0.01)
        for i in range(SCORED)
        for name, version in versions.items()
    }
    with timed(store, f"put {len(put)} scores"):
        store.scores.put(put)
    with timed(store, f"get {len(put)} scores"):
        assert store.scores.get(put) == put
    with timed(store, f"put {len(put)} scores again"):
        store.scores.put(put)
    some = list(put)[: len(versions)]
    with timed(store, "get the scores of one architecture"):
        assert len(store.scores.get(some)) == len(versions)
