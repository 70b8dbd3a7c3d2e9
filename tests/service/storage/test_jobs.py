"""Jobs from the point of view of their owners, on either database."""

from datetime import timedelta

import pytest

from common.errors import InputError
from service.storage import Basis, IdempotencyError, ItemOutcome, NewItem, NotFoundError, Store
from tests.service.storage.conftest import Clock, Create, finish, get_items, new_items, queued_by_owner

ERROR = {"detail": "no"}


def work(store: Store, n: int, *, fails: tuple[int, ...] = ()) -> None:
    """Claim and settle `n` items; those at positions `fails` get an error."""
    claims = store.queue.claim(n, "w")
    assert len(claims) == n
    store.queue.settle(
        [
            ItemOutcome(claim, error=ERROR)
            if claim.position in fails
            else ItemOutcome(claim, result={"of": claim.position})
            for claim in claims
        ]
    )


def event_kinds(store: Store, job_id: str) -> list[str]:
    return [event.kind for event in store.jobs.events(job_id)]


def test_new_job_is_as_it_was_given(store: Store, clock: Clock) -> None:
    job, is_new = store.jobs.create("scores", {"proxies": ["nwot"], "seed": None}, new_items(2), "key-1")
    assert is_new
    assert (job.kind, job.options, job.owner, job.state) == (
        "scores",
        {"proxies": ["nwot"], "seed": None},
        "key-1",
        "queued",
    )
    assert (job.total, job.queued, job.running, job.done, job.failed, job.cached) == (2, 2, 0, 0, 0, 0)
    assert (job.created_at, job.started_at, job.finished_at) == (clock.time, None, None)
    assert store.jobs.get(job.id) == job
    items = get_items(store, job.id)
    assert [(item.position, item.state, item.architecture, item.fingerprint) for item in items] == [
        (i, "queued", new.architecture, new.fingerprint) for i, new in enumerate(new_items(2))
    ]
    (event,) = store.jobs.events(job.id)
    assert (event.id, event.kind, event.data["total"], event.created_at) == (1, "created", 2, clock.time)


def test_finished_job_has_everything(store: Store, create: Create, clock: Clock) -> None:
    job = create(3)
    clock.jump(seconds=1)
    work(store, 1)
    assert not store.jobs.results(job.id).complete
    clock.jump(seconds=1)
    work(store, 2, fails=(2,))
    job = store.jobs.get(job.id)
    assert (job.state, job.done, job.failed, job.queued, job.running) == ("done", 2, 1, 0, 0)
    assert [job.created_at, job.started_at, job.finished_at] == [clock.time - timedelta(seconds=s) for s in (2, 1, 0)]
    page = store.jobs.results(job.id)
    assert page.complete
    assert [(item.result, item.error) for item in page.items] == [({"of": 0}, None), ({"of": 1}, None), (None, ERROR)]
    assert event_kinds(store, job.id) == ["created", "started", "item", "item", "item", "done"]


def test_job_without_any_result_failed(store: Store, create: Create) -> None:
    job = create(2)
    work(store, 2, fails=(0, 1))
    assert store.jobs.get(job.id).state == "failed"
    assert event_kinds(store, job.id)[-1] == "failed"


def test_results_come_once_while_it_runs(store: Store, create: Create) -> None:
    job = create(10)
    claims = store.queue.claim(10, "w")
    positions: list[int] = []
    after = 0
    for i in (7, 2, 9, 0, 1, 3, 8, 6, 5, 4):
        finish(store, claims[i], {"of": i})
        if i % 2:
            page = store.jobs.results(job.id, after, limit=2)
            assert [item.result for item in page.items] == [{"of": item.position} for item in page.items]
            positions += [item.position for item in page.items]
            after = page.after
    while not page.complete:
        page = store.jobs.results(job.id, after, limit=2)
        positions += [item.position for item in page.items]
        after = page.after
    assert positions == [7, 2, 9, 0, 1, 3, 8, 6, 5, 4]
    again = store.jobs.results(job.id, after)
    assert (again.items, again.after, again.complete) == ([], after, True)


def test_stream_resumes_by_event_id(store: Store, create: Create) -> None:
    job = create(3)
    work(store, 3)
    events = store.jobs.events(job.id)
    assert [event.id for event in events] == [1, 2, 3, 4, 5, 6]
    assert [event for after in range(6) for event in store.jobs.events(job.id, after, limit=1)] == events
    assert store.jobs.events(job.id, 6) == []
    assert store.jobs.events(job.id, 2**63 - 1) == []
    assert [store.jobs.last_event(job.id, after) for after in (0, 5, 6)] == [events[-1:], events[-1:], []]
    assert [event.data["completion"] for event in events if event.kind == "item"] == [1, 2, 3]


def test_items_known_beforehand(store: Store) -> None:
    """Invalid architectures and cached results are finished from the start."""
    new = [NewItem({}, None, error=ERROR), *new_items(1), NewItem({}, "f", result={"of": 2})]
    job, _ = store.jobs.create("predictions", {}, new, "me")
    assert (job.state, job.queued, job.done, job.failed, job.cached) == ("queued", 1, 1, 1, 1)
    assert [item.position for item in store.jobs.results(job.id).items] == [0, 2]
    assert [claim.position for claim in store.queue.claim(9, "w")] == [1]
    job, _ = store.jobs.create("predictions", {}, new[2:], "me")
    assert (job.state, event_kinds(store, job.id)) == ("done", ["created", "item", "done"])


def test_same_idempotency_key(store: Store) -> None:
    def create(owner: str = "me", seed: int = 1, n: int = 2) -> tuple[str, bool]:
        job, is_new = store.jobs.create("predictions", {"seed": seed}, new_items(n), owner, "key")
        return job.id, is_new

    first, is_new = create()
    assert is_new
    assert create() == (first, False)
    assert create("another") != (first, False)
    for seed, n in ((2, 2), (1, 3)):
        with pytest.raises(IdempotencyError, match=first):
            create("me", seed, n)
    assert len(store.jobs.list("me")) == 1
    assert len(get_items(store, first)) == 2


def test_key_is_free_again_once_its_job_is_pruned(store: Store, create: Create, clock: Clock) -> None:
    job = create(idempotency_key="key")
    store.jobs.cancel(job.id)
    clock.jump(seconds=1)
    store.jobs.prune(timedelta())
    assert create(idempotency_key="key").id != job.id


def test_cancelled_job(store: Store, create: Create) -> None:
    job = create(4)
    work(store, 1)
    (running,) = store.queue.claim(1, "w")
    cancelled = store.jobs.cancel(job.id)
    assert (cancelled.state, cancelled.done, cancelled.running, cancelled.queued) == ("cancelled", 1, 0, 3)
    assert store.jobs.cancel(job.id) == cancelled == store.jobs.get(job.id)
    assert not finish(store, running, {})
    assert store.queue.claim(9, "w") == []
    assert queued_by_owner(store) == {}
    assert event_kinds(store, job.id) == ["created", "started", "item", "cancelled"]
    page = store.jobs.results(job.id)
    assert ([item.position for item in page.items], page.complete) == ([0], True)
    assert {item.state for item in get_items(store, job.id)} == {"done", "queued"}


def test_list_is_newest_first_and_limited(store: Store, create: Create) -> None:
    mine = [create(1, "me") for _ in range(5)]
    other = create(1, "other")
    assert [job.id for job in store.jobs.list("me", limit=2)] == [mine[4].id, mine[3].id]
    assert store.jobs.list()[0] == other
    assert store.jobs.list("nobody") == []


def test_job_of_another_is_not_found(store: Store, create: Create) -> None:
    job = create(1, "me")
    assert store.jobs.get(job.id, "me") == job
    with pytest.raises(NotFoundError):
        store.jobs.get(job.id, "you")


def test_unknown_job(store: Store) -> None:
    for call in (store.jobs.get, store.jobs.cancel, store.jobs.results, store.jobs.events):
        with pytest.raises(NotFoundError, match="job: got 'x'"):
            call("x")


def test_prune_by_age(store: Store, create: Create, clock: Clock) -> None:
    old, active = create(1), create(2)
    work(store, 1)
    clock.jump(days=2)
    latest = create(1)
    store.jobs.cancel(latest.id)
    assert store.jobs.prune(timedelta(days=1)) == 1
    assert [job.id for job in store.jobs.list()] == [latest.id, active.id]
    assert store.jobs.prune(timedelta(days=1)) == 0
    with pytest.raises(NotFoundError):
        store.jobs.events(old.id)


def test_numbers_are_not_reused(store: Store, create: Create, clock: Clock) -> None:
    job = create(1)
    store.jobs.cancel(job.id)
    clock.jump(seconds=1)
    assert store.jobs.prune(timedelta()) == 1
    assert create().number > job.number


def test_clock_that_jumps_back_changes_no_order(store: Store, create: Create, clock: Clock) -> None:
    first = create(2)
    clock.jump(days=-400)
    second = create(2)
    assert [job.id for job in store.jobs.list()] == [second.id, first.id]
    claims = store.queue.claim(4, "w")
    assert [claim.job.id for claim in claims] == [first.id, first.id, second.id, second.id]
    clock.jump(days=-400)
    for claim in reversed(claims):
        assert finish(store, claim, {})
    assert [item.position for item in store.jobs.results(first.id).items] == [1, 0]
    assert event_kinds(store, first.id) == ["created", "started", "item", "item", "done"]
    job = store.jobs.get(first.id)
    assert job.finished_at is not None
    assert job.finished_at < job.created_at
    clock.jump(days=800)
    assert store.jobs.prune(timedelta(days=1)) == 2


TEXTS = ["", "x" * 201, "a\0b", "\ud800", "line\nbreak"]


@pytest.mark.parametrize("value", TEXTS)
def test_text_that_no_database_stores(store: Store, value: str) -> None:
    with pytest.raises(InputError, match="owner: got"):
        store.jobs.create("predictions", {}, new_items(1), value)
    with pytest.raises(InputError, match="Idempotency-Key: got"):
        store.jobs.create("predictions", {}, new_items(1), "me", value)
    with pytest.raises(InputError, match="server: got"):
        store.queue.claim(1, value)


def test_other_bad_input(store: Store, create: Create) -> None:
    job = create(1)
    with pytest.raises(InputError, match="items"):
        store.jobs.create("predictions", {}, [], "me")
    with pytest.raises(InputError, match=r"items\[1\]: got .* at most one"):
        store.jobs.create("predictions", {}, [*new_items(1), NewItem({}, "f", {}, {})], "me")
    with pytest.raises(InputError, match="kind: got 'x'"):
        store.jobs.create("x", {}, new_items(1), "me")  # type: ignore[arg-type]
    for bad in (float("nan"), {1, 2}, float("inf")):
        with pytest.raises(InputError, match="JSON"):
            store.jobs.create("predictions", {"x": bad}, new_items(1), "me")
        with pytest.raises(InputError, match="JSON"):
            finish(store, store.queue.claim(1, "w")[0], {"x": bad})
        store.queue.requeue_all(9, {})
    for limit in (0, -1, 10_001, True):
        with pytest.raises(InputError, match="limit"):
            store.jobs.results(job.id, 0, limit)
        with pytest.raises(InputError, match="limit"):
            store.jobs.events(job.id, 0, limit)
        with pytest.raises(InputError, match="limit"):
            store.jobs.list(limit=limit)
    for after in (-2, 2**63):
        with pytest.raises(InputError, match="after"):
            store.jobs.results(job.id, after)
    assert store.jobs.get(job.id).queued == 1


@pytest.mark.parametrize("text", ["\0", "\ud800", "é☃𝄞", "a" * 100_000])
def test_any_json_comes_back(store: Store, text: str) -> None:
    value = {text: [text, 1e308, 5e-324, -0.0, 0.1, 2**70, None, True, {"": {}}]}
    job, _ = store.jobs.create("predictions", value, [NewItem(value, "f")], "me")
    (claim,) = store.queue.claim(1, "w")
    assert finish(store, claim, value)
    (item,) = store.jobs.results(job.id).items
    assert claim.architecture == item.result == store.jobs.get(job.id).options == value


def test_job_keeps_its_basis(store: Store) -> None:
    first, second = Basis("mine", "0" * 64, {"zen": "1"}), Basis("mine", "1" * 64, {"zen": "1"})
    job, _ = store.jobs.create("predictions", {}, new_items(1), "me", "key", basis=first)
    assert store.jobs.get(job.id).basis == first
    again, is_new = store.jobs.create("predictions", {}, new_items(1), "me", "key", basis=second)
    assert not is_new
    assert again.basis == first
    assert store.jobs.bind(job.id, second).basis == first
    (claim,) = store.queue.claim(1, "w")
    assert claim.job.basis == first


def test_unbound_job_is_bound_once(store: Store, create: Create) -> None:
    job = create(1)
    first, second = Basis(None, None, {"nwot": "1"}), Basis("other", "1" * 64, {})
    assert store.jobs.bind(job.id, first).basis == first
    assert store.jobs.bind(job.id, second).basis == first
    with pytest.raises(NotFoundError, match="nothing"):
        store.jobs.bind("nothing", first)
