"""Several processes on one store, and processes that are killed."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from service.storage import ItemOutcome, Store, StoreBusyError, database
from tests.service.storage.conftest import Create, assert_consistent, finish, new_items
from tests.service.storage.processes import (
    Child,
    child,
    claim_all,
    create_and_hang,
    finish_and_hang,
    hold_the_lock,
    open_once,
    work_forever,
)


def test_no_item_is_claimed_twice(url: str, store: Store, create: Create) -> None:
    jobs = [create(40, owner) for owner in "aab"]
    with child(claim_all, url, "one") as one, child(claim_all, url, "two") as two:
        for process in (one, two):
            assert process.receive() == "ready"
        for process in (one, two):
            process.send("go")
        first, second = one.receive(), two.receive()
    assert sorted(first + second) == sorted((job.number, i) for job in jobs for i in range(40))
    assert {store.jobs.get(job.id).state for job in jobs} == {"done"}
    assert_consistent(store)


def test_first_opened_by_several_at_once(empty_url: str) -> None:
    children = [Child(open_once, empty_url) for _ in range(4)]
    try:
        for process in children:
            assert process.receive() == "ready"
        for process in children:
            process.send("go")
        assert [process.receive() for process in children] == ["opened"] * 4
    finally:
        for process in children:
            process.kill()
    with Store.open(empty_url) as store:
        store.check_health()


def test_killed_while_creating(url: str, store: Store) -> None:
    with child(create_and_hang, url) as other:
        assert other.receive() == "written, not committed"
    assert store.jobs.list() == []
    assert store.queue.claim(1, "w") == []
    job, new = store.jobs.create("predictions", {}, new_items(2000), "killed", "key")
    assert new
    assert_consistent(store)
    assert job.total == 2000


def test_killed_while_finishing(url: str, store: Store, create: Create) -> None:
    job = create(3)
    with child(finish_and_hang, url) as other:
        assert other.receive() == "written, not committed"
    assert store.jobs.get(job.id).running == 2
    assert_consistent(store)
    assert store.queue.requeue_all(3, {}).queued == 2
    for claim in store.queue.claim(3, "w"):
        assert finish(store, claim, {"by": "w"})
    assert store.jobs.get(job.id).state == "done"
    assert [item.result for item in store.jobs.results(job.id).items] == [{"by": "w"}] * 3
    assert_consistent(store)


def test_killed_anywhere(url: str, store: Store) -> None:
    """Confirmed effects are kept, and none is partial."""
    for number in (1, 14, 33):
        messages = []
        with child(work_forever, url) as other:
            messages += [other.receive() for _ in range(number)]
        for kind, job, position in messages:
            if kind == "item":
                assert position in {item.position for item in store.jobs.results(job).items}
            else:
                assert store.jobs.get(job).total == 20
        store.queue.requeue_all(9, {})
        assert_consistent(store)


def test_file_locked_by_another_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.1)
    with Store.open(Store.directory_url(tmp_path)) as store:
        job, _ = store.jobs.create("predictions", {}, new_items(1), "me")
        with child(hold_the_lock, os.fspath(tmp_path / "archrank.db")) as other:
            assert other.receive() == "locked"
            with pytest.raises(StoreBusyError, match=r"busy: try again.*database is locked"):
                store.queue.claim(1, "w")
            with pytest.raises(StoreBusyError):
                store.check_health()
            assert store.jobs.get(job.id) == job  # readers do not wait
        assert len(store.queue.claim(1, "w")) == 1
        store.check_health()


def test_many_threads_do_everything_at_once(store: Store) -> None:
    """No thread is locked out, no item is settled twice, and all counts are right."""

    def work(number: int) -> list[tuple[int, int]]:
        settled = []
        for i in range(8):
            job, _ = store.jobs.create("predictions", {}, new_items(12), f"owner{number % 3}")
            claims = store.queue.claim(10, f"w{number}")
            store.queue.release(claims[7:])
            if i % 3 == 0:
                store.queue.requeue_all(9, {})
            counts = store.queue.settle([ItemOutcome(claim, {}) for claim in reversed(claims[:5])])
            settled += [
                (claim.job.number, claim.position)
                for claim, is_settled in zip(claims[4::-1], counts, strict=True)
                if is_settled
            ]
            if i % 4 == 3:
                store.jobs.cancel(job.id)
            store.jobs.results(job.id)
            store.jobs.counts()
        return settled

    with ThreadPoolExecutor(8) as pool:
        done = [item for settled in pool.map(work, range(8)) for item in settled]
    assert len(set(done)) == len(done) == sum(job.done for job in store.jobs.list())
    assert_consistent(store)
