"""What an owner sees of a job, on either database."""

from datetime import timedelta

import pytest

from common.errors import InputError
from service.storage import Basis, IdempotencyError, JobStateError, NewItem, NotFoundError, Outcome, Store
from tests.service.storage.conftest import Clock, Create, items

ERROR = {"detail": "no"}


def work(store: Store, n: int, *, fails: tuple[int, ...] = ()) -> None:
    """Claim and settle so many items; those at these positions fail."""
    claims = store.queue.claim(n, "w")
    assert len(claims) == n
    store.queue.settle(
        [
            Outcome(one, error=ERROR) if one.position in fails else Outcome(one, result={"of": one.position})
            for one in claims
        ]
    )


def kinds(store: Store, job: str) -> list[str]:
    return [event.kind for event in store.jobs.events(job)]


def test_new_job_is_as_it_was_given(store: Store, clock: Clock) -> None:
    job, new = store.jobs.create("scores", {"proxies": ["nwot"], "seed": None}, items(2), "key-1")
    assert new
    assert (job.kind, job.options, job.owner, job.state) == (
        "scores",
        {"proxies": ["nwot"], "seed": None},
        "key-1",
        "queued",
    )
    assert (job.total, job.queued, job.running, job.done, job.failed, job.cached) == (2, 2, 0, 0, 0, 0)
    assert (job.created_at, job.started_at, job.finished_at) == (clock.time, None, None)
    assert store.jobs.get(job.id) == job
    page = store.jobs.items(job.id)
    assert [(one.position, one.state, one.architecture, one.fingerprint) for one in page.items] == [
        (i, "queued", given.architecture, given.fingerprint) for i, given in enumerate(items(2))
    ]
    assert not page.complete
    (event,) = store.jobs.events(job.id)
    assert (event.id, event.kind, event.data["total"], event.created_at) == (1, "created", 2, clock.time)


def test_finished_job_has_everything(store: Store, create: Create, clock: Clock) -> None:
    job = create(3)
    clock.jump(seconds=1)
    work(store, 1)
    clock.jump(seconds=1)
    work(store, 2, fails=(2,))
    job = store.jobs.get(job.id)
    assert (job.state, job.done, job.failed, job.queued, job.running) == ("done", 2, 1, 0, 0)
    assert [job.created_at, job.started_at, job.finished_at] == [clock.time - timedelta(seconds=s) for s in (2, 1, 0)]
    page = store.jobs.items(job.id)
    assert page.complete
    assert [(one.result, one.error) for one in page.items] == [({"of": 0}, None), ({"of": 1}, None), (None, ERROR)]
    assert kinds(store, job.id) == ["created", "started", "item", "item", "item", "done"]


def test_job_without_any_result_failed(store: Store, create: Create) -> None:
    job = create(2)
    work(store, 2, fails=(0, 1))
    assert store.jobs.get(job.id).state == "failed"
    assert kinds(store, job.id)[-1] == "failed"


def test_results_come_once_while_it_runs(store: Store, create: Create) -> None:
    job = create(10)
    claims = store.queue.claim(10, "w")
    seen: list[int] = []
    after = 0
    for i in (7, 2, 9, 0, 1, 3, 8, 6, 5, 4):  # in any order
        store.queue.finish(claims[i], {"of": i})
        if i % 2:
            page = store.jobs.results(job.id, after, limit=2)
            assert [one.result for one in page.items] == [{"of": one.position} for one in page.items]
            seen += [one.position for one in page.items]
            after = page.after
    while not page.complete:
        page = store.jobs.results(job.id, after, limit=2)
        seen += [one.position for one in page.items]
        after = page.after
    assert seen == [7, 2, 9, 0, 1, 3, 8, 6, 5, 4]
    again = store.jobs.results(job.id, after)
    assert (again.items, again.after, again.complete) == ([], after, True)


def test_items_are_paged_by_position(store: Store, create: Create) -> None:
    job = create(5)
    work(store, 2)
    first = store.jobs.items(job.id, limit=1)
    assert ([one.position for one in first.items], first.after) == ([0], 0)
    rest = store.jobs.items(job.id, first.after, limit=10)
    assert [(one.position, one.state) for one in rest.items] == [
        (1, "done"),
        (2, "queued"),
        (3, "queued"),
        (4, "queued"),
    ]
    assert not rest.complete


def test_stream_resumes_by_event_id(store: Store, create: Create) -> None:
    job = create(3)
    work(store, 3)
    whole = store.jobs.events(job.id)
    assert [event.id for event in whole] == [1, 2, 3, 4, 5, 6]
    assert [event for after in range(6) for event in store.jobs.events(job.id, after, limit=1)] == whole
    assert store.jobs.events(job.id, 6) == []
    assert store.jobs.events(job.id, 2**63 - 1) == []
    assert [event.data["completion"] for event in whole if event.kind == "item"] == [1, 2, 3]


def test_items_known_beforehand(store: Store) -> None:
    """Unreadable architectures and cached results are there from the start."""
    new = [NewItem({}, None, error=ERROR), *items(1), NewItem({}, "f", result={"of": 2})]
    job, _ = store.jobs.create("predictions", {}, new, "me")
    assert (job.state, job.queued, job.done, job.failed, job.cached) == ("queued", 1, 1, 1, 1)
    assert [one.position for one in store.jobs.results(job.id).items] == [0, 2]
    assert [one.position for one in store.queue.claim(9, "w")] == [1]
    job, _ = store.jobs.create("predictions", {}, new[2:], "me")
    assert (job.state, kinds(store, job.id)) == ("done", ["created", "item", "done"])


def test_same_idempotency_key(store: Store) -> None:
    def create(owner: str = "me", seed: int = 1, n: int = 2) -> tuple[str, bool]:
        job, new = store.jobs.create("predictions", {"seed": seed}, items(n), owner, "key")
        return job.id, new

    first, new = create()
    assert new
    assert create() == (first, False)
    assert create("another") != (first, False)
    for more in ({"seed": 2}, {"n": 3}):
        with pytest.raises(IdempotencyError, match=first):
            create(**more)
    assert len(store.jobs.list("me")) == 1
    assert len(store.jobs.items(first).items) == 2


def test_key_is_free_again_once_its_job_is_deleted(store: Store, create: Create) -> None:
    job = create(idempotency_key="key")
    store.jobs.cancel(job.id)
    store.jobs.delete(job.id)
    assert create(idempotency_key="key").id != job.id


def test_cancelled_job(store: Store, create: Create) -> None:
    job = create(4)
    work(store, 1)
    (running,) = store.queue.claim(1, "w")
    cancelled = store.jobs.cancel(job.id)
    assert (cancelled.state, cancelled.done, cancelled.running, cancelled.queued) == ("cancelled", 1, 0, 3)
    assert store.jobs.cancel(job.id) == cancelled == store.jobs.get(job.id)
    assert not store.queue.finish(running, {})
    assert store.queue.claim(9, "w") == []
    assert store.jobs.queued() == {}
    assert kinds(store, job.id) == ["created", "started", "item", "cancelled"]
    page = store.jobs.results(job.id)
    assert ([one.position for one in page.items], page.complete) == ([0], True)
    assert {one.state for one in store.jobs.items(job.id).items} == {"done", "queued"}


def test_job_that_cannot_go_on(store: Store, create: Create) -> None:
    job = store.jobs.fail(create().id, ERROR)
    assert (job.state, job.error) == ("failed", ERROR)
    assert store.jobs.get(job.id) == job


def test_list_is_newest_first_and_paged(store: Store, create: Create) -> None:
    mine = [create(1, "me") for _ in range(5)]
    other = create(1, "other")
    assert [job.id for job in store.jobs.list("me", limit=2)] == [mine[4].id, mine[3].id]
    assert [job.id for job in store.jobs.list("me", 9, after=mine[3].number)] == [job.id for job in mine[2::-1]]
    assert store.jobs.list()[0] == other
    assert store.jobs.list("nobody") == []


def test_job_of_another_is_not_found(store: Store, create: Create) -> None:
    job = create(1, "me")
    assert store.jobs.get(job.id, "me") == job
    with pytest.raises(NotFoundError):
        store.jobs.get(job.id, "you")


def test_unknown_job(store: Store) -> None:
    for call in (store.jobs.get, store.jobs.cancel, store.jobs.delete, store.jobs.results, store.jobs.events):
        with pytest.raises(NotFoundError, match="job: got 'x'"):
            call("x")


def test_only_ended_jobs_are_deleted(store: Store, create: Create) -> None:
    job = create()
    with pytest.raises(JobStateError, match="queued"):
        store.jobs.delete(job.id)
    work(store, 3)
    store.jobs.delete(job.id)
    with pytest.raises(NotFoundError):
        store.jobs.events(job.id)
    assert create().number > job.number


def test_prune_by_age(store: Store, create: Create, clock: Clock) -> None:
    old, active = create(1), create(2)
    work(store, 1)
    clock.jump(days=2)
    new = create(1)
    store.jobs.cancel(new.id)
    assert store.jobs.prune(timedelta(days=1)) == 1
    assert [job.id for job in store.jobs.list()] == [new.id, active.id]
    assert store.jobs.prune(timedelta(days=1)) == 0
    assert old.id not in {job.id for job in store.jobs.list()}


def test_clock_that_jumps_back_changes_no_order(store: Store, create: Create, clock: Clock) -> None:
    first = create(2)
    clock.jump(days=-400)
    second = create(2)
    assert [job.id for job in store.jobs.list()] == [second.id, first.id]
    claims = store.queue.claim(4, "w")
    assert [one.job.id for one in claims] == [first.id, first.id, second.id, second.id]
    clock.jump(days=-400)
    for one in reversed(claims):
        assert store.queue.finish(one, {})
    assert [one.position for one in store.jobs.results(first.id).items] == [1, 0]
    assert kinds(store, first.id) == ["created", "started", "item", "item", "done"]
    job = store.jobs.get(first.id)
    assert job.finished_at is not None
    assert job.finished_at < job.created_at
    clock.jump(days=800)
    assert store.jobs.prune(timedelta(days=1)) == 2


TEXTS = ["", "x" * 201, "a\0b", "\ud800", "line\nbreak"]


@pytest.mark.parametrize("value", TEXTS)
def test_text_that_no_database_keeps(store: Store, value: str) -> None:
    with pytest.raises(InputError, match="owner: got"):
        store.jobs.create("predictions", {}, items(1), value)
    with pytest.raises(InputError, match="Idempotency-Key: got"):
        store.jobs.create("predictions", {}, items(1), "me", value)
    with pytest.raises(InputError, match="server: got"):
        store.queue.claim(1, value)


def test_other_bad_input(store: Store, create: Create) -> None:
    job = create(1)
    with pytest.raises(InputError, match="items"):
        store.jobs.create("predictions", {}, [], "me")
    with pytest.raises(InputError, match=r"items\[1\]: got .* at most one"):
        store.jobs.create("predictions", {}, [*items(1), NewItem({}, "f", {}, {})], "me")
    with pytest.raises(InputError, match="kind: got 'x'"):
        store.jobs.create("x", {}, items(1), "me")  # type: ignore[arg-type]
    for bad in (float("nan"), {1, 2}, float("inf")):
        with pytest.raises(InputError, match="JSON"):
            store.jobs.create("predictions", {"x": bad}, items(1), "me")
        with pytest.raises(InputError, match="JSON"):
            store.queue.finish(store.queue.claim(1, "w")[0], {"x": bad})
        store.queue.requeue("w", 9, {})
    for limit in (0, -1, 10_001, True):
        with pytest.raises(InputError, match="limit"):
            store.jobs.results(job.id, 0, limit)
        with pytest.raises(InputError, match="limit"):
            store.jobs.events(job.id, 0, limit)
        with pytest.raises(InputError, match="limit"):
            store.jobs.list(limit=limit)
    for after in (-2, 2**63):
        with pytest.raises(InputError, match="after"):
            store.jobs.items(job.id, after)
    assert store.jobs.get(job.id).queued == 1


@pytest.mark.parametrize("text", ["\0", "\ud800", "é☃𝄞", "a" * 100_000])
def test_any_json_comes_back(store: Store, text: str) -> None:
    value = {text: [text, 1e308, 5e-324, -0.0, 0.1, 2**70, None, True, {"": {}}]}
    job, _ = store.jobs.create("predictions", value, [NewItem(value, "f")], "me")
    (claim,) = store.queue.claim(1, "w")
    assert store.queue.finish(claim, value)
    (item,) = store.jobs.results(job.id).items
    assert claim.architecture == item.result == store.jobs.get(job.id).options == value


def test_job_keeps_what_it_is_bound_to(store: Store) -> None:
    first, second = Basis("mine", "0" * 64, {"zen": "1"}), Basis("mine", "1" * 64, {"zen": "1"})
    job, _ = store.jobs.create("predictions", {}, items(1), "me", "key", basis=first)
    assert store.jobs.get(job.id).basis == first
    again, new = store.jobs.create("predictions", {}, items(1), "me", "key", basis=second)
    assert not new
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
