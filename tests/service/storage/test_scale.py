"""Jobs and scores of thousands of architectures, on either database."""

from datetime import timedelta

from proxies import Score, proxy_versions
from service.storage import ItemOutcome, ScoreKey, Store
from tests.service.storage.conftest import Clock, new_items

NUM_ITEMS = 10_000
NUM_SCORED = 2000


def test_job(store: Store, clock: Clock) -> None:
    items = new_items(NUM_ITEMS)
    job, _ = store.jobs.create("predictions", {}, items, "me", "key")
    assert store.jobs.create("predictions", {}, items, "me", "key")[1] is False
    while claims := store.queue.claim(100, "w"):
        assert all(store.queue.settle([ItemOutcome(claim, {"accuracy": 0.9, "more": "x" * 500}) for claim in claims]))
    positions, after, complete = [], 0, False
    while not complete:
        page = store.jobs.results(job.id, after)
        positions += [item.position for item in page.items]
        after, complete = page.after, page.complete
    assert positions == list(range(NUM_ITEMS))
    last = 0
    while events := store.jobs.events(job.id, last):
        last = events[-1].id
    assert last == NUM_ITEMS + 3
    clock.jump(seconds=1)
    assert store.jobs.prune(timedelta()) == 1


def test_scores(store: Store) -> None:
    versions = proxy_versions(None)
    scores = {
        ScoreKey("space", f"{i:032x}", "batch", 0, 1, name, version, "cpu", "float32"): Score(i / 7, None, "ok", 0.01)
        for i in range(NUM_SCORED)
        for name, version in versions.items()
    }
    store.scores.put(scores)
    assert store.scores.get(scores) == scores
    store.scores.put(scores)
    architecture = list(scores)[: len(versions)]
    assert len(store.scores.get(architecture)) == len(versions)
