"""The queue of items from the point of view of servers, on either database."""

from collections import Counter
from datetime import timedelta

import pytest

from common.errors import InputError
from service.storage import Basis, ItemOutcome, RequeueResult, Store
from tests.service.storage.conftest import (
    Clock,
    Create,
    assert_consistent,
    fail,
    finish,
    get_items,
    new_items,
    queued_by_owner,
)

ERROR = {"detail": "gave up"}


def claim_owners(store: Store, n: int) -> list[str]:
    return [claim.job.owner for claim in store.queue.claim(n, "w")]


def test_owners_take_turns(store: Store, create: Create) -> None:
    create(10, "a")
    create(2, "b")
    create(10, "c")
    assert claim_owners(store, 8) == ["a", "b", "c", "a", "b", "c", "a", "c"]
    assert queued_by_owner(store) == {"a": 7, "c": 7}
    assert claim_owners(store, 3) == ["a", "c", "a"]
    assert claim_owners(store, 1) == ["c"]


def test_turns_are_kept_between_claims(store: Store, create: Create) -> None:
    """An owner who always has one new job does not come first every time."""
    create(10, "long")
    owners = []
    for _ in range(6):
        create(1, "short")
        owners += claim_owners(store, 1)
    assert Counter(owners) == {"long": 3, "short": 3}


def test_oldest_job_of_an_owner_first(store: Store, create: Create) -> None:
    first, second = create(2), create(2)
    claims = store.queue.claim(3, "w")
    assert [(claim.job.id, claim.position) for claim in claims] == [(first.id, 0), (first.id, 1), (second.id, 0)]
    assert claims[0].architecture == new_items(1)[0].architecture
    assert claims[0].job.options == {"seed": 1}
    assert claims[0].job.state == "running"
    assert store.jobs.get(first.id) == claims[0].job
    assert len(store.queue.claim(99, "w")) == 1
    assert store.queue.claim(99, "w") == []


def test_second_finish_changes_nothing(store: Store, create: Create) -> None:
    job = create(2)
    first, second = store.queue.claim(2, "w")
    assert finish(store, first, {"x": 1}, cached=True)
    before = store.jobs.get(job.id), get_items(store, job.id), store.jobs.events(job.id)
    assert not finish(store, first, {"x": 2})
    assert not fail(store, first, ERROR)
    assert (store.jobs.get(job.id), get_items(store, job.id), store.jobs.events(job.id)) == before
    assert (before[0].done, before[0].cached) == (1, 1)
    assert store.queue.settle(
        [ItemOutcome(second, {"x": 2}), ItemOutcome(second, {"x": 3}), ItemOutcome(first, {})]
    ) == [
        True,
        False,
        False,
    ]
    assert [item.result for item in get_items(store, job.id)] == [{"x": 1}, {"x": 2}]
    assert not finish(store, second, {"x": 4})
    assert store.jobs.get(job.id).state == "done"


def test_items_of_several_jobs_are_settled_at_once(store: Store, create: Create) -> None:
    jobs = [create(2, owner) for owner in "abc"]
    claims = store.queue.claim(6, "w")
    assert store.queue.settle([ItemOutcome(claim, error=ERROR) for claim in claims]) == [True] * 6
    assert [store.jobs.get(job.id).state for job in jobs] == ["failed"] * 3
    assert store.queue.settle([]) == []


def test_lost_server(store: Store, create: Create) -> None:
    job = create(4)
    store.servers.beat("alive")
    lost, kept = store.queue.claim(2, "lost"), store.queue.claim(1, "alive")
    assert store.queue.requeue_lost(3, ERROR) == RequeueResult(2, 0)
    assert not finish(store, lost[0], {})  # it was only slow, but its claim has expired
    again = store.queue.claim(2, "new")
    assert [(claim.position, claim.attempts) for claim in again] == [(0, 0), (1, 0)]
    assert not fail(store, lost[0], ERROR)
    assert finish(store, again[0], {})
    assert finish(store, kept[0], {})
    job = store.jobs.get(job.id)
    assert (job.queued, job.running, job.done) == (1, 1, 2)


def test_restart_requeues_all_that_ran(store: Store, create: Create) -> None:
    jobs = [create(2, owner) for owner in "ab"]
    store.queue.claim(2, "one"), store.queue.claim(1, "two")
    assert store.queue.requeue_all(3, ERROR) == RequeueResult(3, 0)
    assert [store.jobs.get(job.id).queued for job in jobs] == [2, 2]
    assert queued_by_owner(store) == {"a": 2, "b": 2}
    assert store.queue.requeue_all(3, ERROR) == RequeueResult(0, 0)


def test_attempts_are_limited(store: Store, create: Create) -> None:
    job = create(2)
    for _ in range(3):
        begun, _ = store.queue.claim(2, "w")
        store.queue.begin([begun])
        requeued = store.queue.requeue_all(3, ERROR)
    assert requeued == RequeueResult(1, 1)
    first, second = get_items(store, job.id)
    assert (first.state, first.error, first.attempts, first.completion) == ("failed", ERROR, 3, 1)
    assert (second.state, second.attempts) == ("queued", 0)
    for _ in range(10):
        store.queue.claim(2, "w")
        assert store.queue.requeue_all(3, ERROR).failed == 0
    (last,) = store.queue.claim(9, "w")
    finish(store, last, {})
    assert store.jobs.get(job.id).state == "done"


def test_last_item_that_is_given_up_ends_the_job(store: Store, create: Create) -> None:
    job = create(1)
    store.queue.begin(store.queue.claim(1, "w"))
    store.queue.requeue_all(1, ERROR)
    assert store.jobs.get(job.id).state == "failed"
    assert [event.kind for event in store.jobs.events(job.id)] == ["created", "started", "item", "failed"]


def test_released_items_were_not_attempted(store: Store, create: Create) -> None:
    job = create(3)
    claims = store.queue.claim(3, "w")
    store.queue.begin(claims[:2])
    assert finish(store, claims[0], {})
    assert store.queue.release(claims) == 2
    assert store.queue.release(claims) == 0
    store.queue.begin(claims)  # no effect: the claims have expired
    assert store.jobs.get(job.id).queued == 2
    again = store.queue.claim(3, "w")
    assert [(claim.position, claim.attempts) for claim in again] == [(1, 0), (2, 0)]
    store.queue.begin(claims)  # no effect on the new claims either
    assert not finish(store, claims[1], {})  # as many attempts, but another claim
    assert [item.attempts for item in get_items(store, job.id)] == [1, 0, 0]
    assert finish(store, again[0], {})


def test_pruned_job_takes_no_results(store: Store, create: Create, clock: Clock) -> None:
    job = create(1)
    (claim,) = store.queue.claim(1, "w")
    store.jobs.cancel(job.id)
    clock.jump(seconds=1)
    assert store.jobs.prune(timedelta()) == 1
    assert not finish(store, claim, {})
    assert store.queue.release([claim]) == 0


def test_bad_input(store: Store, create: Create) -> None:
    create(1)
    (claim,) = store.queue.claim(1, "w")
    for outcome in (ItemOutcome(claim), ItemOutcome(claim, {}, {})):
        with pytest.raises(InputError, match="outcome"):
            store.queue.settle([outcome])
    for n in (0, -1, 10_001):
        with pytest.raises(InputError, match="n: got"):
            store.queue.claim(n, "w")
    with pytest.raises(InputError, match="max_attempts"):
        store.queue.requeue_all(0, {})


def test_a_turn_has_several_items_without_networks(store: Store, create: Create) -> None:
    structure = Basis("e", "h", {})
    small, explained = create(20, "a", basis=structure), create(2, "b", basis=Basis("e", "h", {"nwot": "1"}))
    assert (small.items_per_turn, explained.items_per_turn) == (16, 1)
    assert claim_owners(store, 2) == ["a"] * 16 + ["b"]
    assert claim_owners(store, 4) == ["a"] * 4 + ["b"]
    options = {"explain": True}
    job, _ = store.jobs.create("predictions", options, new_items(2), "c", basis=structure)
    assert job.items_per_turn == 1
    assert_consistent(store)
