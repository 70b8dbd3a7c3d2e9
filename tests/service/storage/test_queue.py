"""What workers do with items, on either database."""

from collections import Counter

import pytest

from common.errors import InputError
from service.storage import Outcome, Store
from tests.service.storage.conftest import Create, items

ERROR = {"detail": "gave up"}


def owners(store: Store, n: int) -> list[str]:
    return [one.job.owner for one in store.queue.claim(n, "w")]


def test_owners_take_turns(store: Store, create: Create) -> None:
    create(10, "a")
    create(2, "b")
    create(10, "c")
    assert owners(store, 8) == ["a", "b", "c", "a", "b", "c", "a", "c"]
    assert store.jobs.queued() == {"a": 7, "c": 7}
    assert owners(store, 3) == ["a", "c", "a"]
    assert owners(store, 1) == ["c"]


def test_turns_are_kept_between_claims(store: Store, create: Create) -> None:
    """Somebody who always has one new job does not come first every time."""
    create(10, "long")
    served = []
    for _ in range(6):
        create(1, "short")
        served += owners(store, 1)
    assert Counter(served) == {"long": 3, "short": 3}


def test_oldest_job_of_an_owner_first(store: Store, create: Create) -> None:
    first, second = create(2), create(2)
    claims = store.queue.claim(3, "w")
    assert [(one.job.id, one.position) for one in claims] == [(first.id, 0), (first.id, 1), (second.id, 0)]
    assert claims[0].architecture == items(1)[0].architecture
    assert claims[0].job.options == {"seed": 1}
    assert claims[0].job.state == "running"
    assert store.jobs.get(first.id) == claims[0].job
    assert len(store.queue.claim(99, "w")) == 1
    assert store.queue.claim(99, "w") == []


def test_second_finish_changes_nothing(store: Store, create: Create) -> None:
    job = create(2)
    one, two = store.queue.claim(2, "w")
    assert store.queue.finish(one, {"x": 1}, cached=True)
    before = store.jobs.get(job.id), store.jobs.items(job.id), store.jobs.events(job.id)
    assert not store.queue.finish(one, {"x": 2})
    assert not store.queue.fail(one, ERROR)
    assert (store.jobs.get(job.id), store.jobs.items(job.id), store.jobs.events(job.id)) == before
    assert (before[0].done, before[0].cached) == (1, 1)
    assert store.queue.settle([Outcome(two, {"x": 2}), Outcome(two, {"x": 3}), Outcome(one, {})]) == [
        True,
        False,
        False,
    ]
    assert [one.result for one in store.jobs.items(job.id).items] == [{"x": 1}, {"x": 2}]
    assert not store.queue.finish(two, {"x": 4})
    assert store.jobs.get(job.id).state == "done"


def test_items_of_several_jobs_are_settled_at_once(store: Store, create: Create) -> None:
    jobs = [create(2, owner) for owner in "abc"]
    claims = store.queue.claim(6, "w")
    assert store.queue.settle([Outcome(one, error=ERROR) for one in claims]) == [True] * 6
    assert [store.jobs.get(job.id).state for job in jobs] == ["failed"] * 3
    assert store.queue.settle([]) == []


def test_worker_that_is_gone(store: Store, create: Create) -> None:
    job = create(4)
    lost, kept = store.queue.claim(2, "gone"), store.queue.claim(1, "alive")
    found = store.queue.requeue("gone", 3, ERROR)
    assert (found.queued, found.failed) == (2, 0)
    assert not store.queue.finish(lost[0], {})  # it was not gone after all, but is too late
    again = store.queue.claim(2, "new")
    assert [(one.position, one.attempts) for one in again] == [(0, 0), (1, 0)]
    assert not store.queue.fail(lost[0], ERROR)
    assert store.queue.finish(again[0], {})
    assert store.queue.finish(kept[0], {})
    job = store.jobs.get(job.id)
    assert (job.queued, job.running, job.done) == (1, 1, 2)


def test_restart_puts_back_all_that_ran(store: Store, create: Create) -> None:
    jobs = [create(2, owner) for owner in "ab"]
    store.queue.claim(2, "one"), store.queue.claim(1, "two")
    assert store.queue.requeue(None, 3, ERROR).queued == 3
    assert [store.jobs.get(job.id).queued for job in jobs] == [2, 2]
    assert store.jobs.queued() == {"a": 2, "b": 2}
    assert store.queue.requeue(None, 3, ERROR).queued == 0


def test_attempts_at_what_was_begun_are_limited(store: Store, create: Create) -> None:
    job = create(2)
    for _ in range(3):
        begun, _ = store.queue.claim(2, "w")
        store.queue.begin([begun])
        found = store.queue.requeue("w", 3, ERROR)
    assert (found.queued, found.failed) == (1, 1)
    first, second = store.jobs.items(job.id).items
    assert (first.state, first.error, first.attempts, first.completion) == ("failed", ERROR, 3, 1)
    assert (second.state, second.attempts) == ("queued", 0)
    for _ in range(10):
        store.queue.claim(2, "w")
        assert store.queue.requeue(None, 3, ERROR).failed == 0
    (last,) = store.queue.claim(9, "w")
    store.queue.finish(last, {})
    assert store.jobs.get(job.id).state == "done"


def test_last_item_that_is_given_up_ends_the_job(store: Store, create: Create) -> None:
    job = create(1)
    store.queue.begin(store.queue.claim(1, "w"))
    store.queue.requeue(None, 1, ERROR)
    assert store.jobs.get(job.id).state == "failed"
    assert [event.kind for event in store.jobs.events(job.id)] == ["created", "started", "item", "failed"]


def test_items_that_are_put_back_were_not_tried(store: Store, create: Create) -> None:
    job = create(3)
    claims = store.queue.claim(3, "w")
    store.queue.begin(claims[:2])
    assert store.queue.finish(claims[0], {})
    assert store.queue.release(claims) == 2
    assert store.queue.release(claims) == 0
    store.queue.begin(claims)  # too late: nothing is held any more
    assert store.jobs.get(job.id).queued == 2
    again = store.queue.claim(3, "w")
    assert [(one.position, one.attempts) for one in again] == [(1, 0), (2, 0)]
    store.queue.begin(claims)  # nor by this claim
    assert not store.queue.finish(claims[1], {})  # as many attempts, but another claim
    assert [one.attempts for one in store.jobs.items(job.id).items] == [1, 0, 0]
    assert store.queue.finish(again[0], {})


def test_deleted_job_takes_no_results(store: Store, create: Create) -> None:
    job = create(1)
    (claim,) = store.queue.claim(1, "w")
    store.jobs.cancel(job.id)
    store.jobs.delete(job.id)
    assert not store.queue.finish(claim, {})
    assert store.queue.release([claim]) == 0


def test_bad_input(store: Store, create: Create) -> None:
    create(1)
    (claim,) = store.queue.claim(1, "w")
    for outcome in (Outcome(claim), Outcome(claim, {}, {})):
        with pytest.raises(InputError, match="outcome"):
            store.queue.settle([outcome])
    for n in (0, -1, 10_001):
        with pytest.raises(InputError, match="n: got"):
            store.queue.claim(n, "w")
    with pytest.raises(InputError, match="most_attempts"):
        store.queue.requeue(None, 0, {})
