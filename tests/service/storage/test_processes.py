"""Several processes on one store, and processes that are killed."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from service.storage import Outcome, Store, StoreBusyError, database
from tests.service.storage.conftest import Create, assert_consistent, items
from tests.service.storage.processes import (
    Child,
    child,
    claim_all,
    create_and_hang,
    finish_and_hang,
    hold_the_lock,
    open_once,
    work_for_ever,
)


def test_no_item_is_claimed_twice(url: str, store: Store, create: Create) -> None:
    jobs = [create(40, owner) for owner in "aab"]
    with child(claim_all, url, "one") as one, child(claim_all, url, "two") as two:
        for each in (one, two):
            assert each.hear() == "ready"
        for each in (one, two):
            each.tell("go")
        first, second = one.hear(), two.hear()
    assert sorted(first + second) == sorted((job.number, i) for job in jobs for i in range(40))
    assert {store.jobs.get(job.id).state for job in jobs} == {"done"}
    assert_consistent(store)


def test_first_opened_by_several_at_once(empty_url: str) -> None:
    children = [Child(open_once, empty_url) for _ in range(4)]
    try:
        for each in children:
            assert each.hear() == "ready"
        for each in children:
            each.tell("go")
        assert [each.hear() for each in children] == ["opened"] * 4
    finally:
        for each in children:
            each.kill()
    with Store.open(empty_url) as store:
        store.health()


def test_killed_while_creating(url: str, store: Store) -> None:
    with child(create_and_hang, url) as other:
        assert other.hear() == "written, not committed"
    assert store.jobs.list() == []
    assert store.queue.claim(1, "w") == []
    job, new = store.jobs.create("predictions", {}, items(2000), "killed", "key")
    assert new
    assert_consistent(store)
    assert job.total == 2000


def test_killed_while_finishing(url: str, store: Store, create: Create) -> None:
    job = create(3)
    with child(finish_and_hang, url) as other:
        assert other.hear() == "written, not committed"
    assert store.jobs.get(job.id).running == 2
    assert_consistent(store)
    assert store.queue.requeue("killed", 3, {}).queued == 2
    for claim in store.queue.claim(3, "w"):
        assert store.queue.finish(claim, {"by": "w"})
    assert store.jobs.get(job.id).state == "done"
    assert [one.result for one in store.jobs.results(job.id).items] == [{"by": "w"}] * 3
    assert_consistent(store)


def test_killed_anywhere(url: str, store: Store) -> None:
    """What a client was told before is there, and nothing is there by half."""
    for words in (1, 14, 33):
        said = []
        with child(work_for_ever, url) as other:
            said += [other.hear() for _ in range(words)]
        for what, job, position in said:
            if what == "item":
                assert position in {one.position for one in store.jobs.results(job).items}
            else:
                assert store.jobs.get(job).total == 20
        store.queue.requeue(None, 9, {})
        assert_consistent(store)


def test_file_locked_by_another_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.1)
    with Store.in_folder(tmp_path) as store:
        job, _ = store.jobs.create("predictions", {}, items(1), "me")
        with child(hold_the_lock, os.fspath(tmp_path / "archrank.db")) as other:
            assert other.hear() == "locked"
            with pytest.raises(StoreBusyError, match=r"busy: try again.*database is locked"):
                store.queue.claim(1, "w")
            with pytest.raises(StoreBusyError):
                store.health()
            assert store.jobs.get(job.id) == job  # readers do not wait
        assert len(store.queue.claim(1, "w")) == 1
        store.health()


def test_many_threads_do_everything_at_once(store: Store) -> None:
    """Nobody is locked out, nothing is done twice, and all counts are right."""

    def work(number: int) -> list[tuple[int, int]]:
        mine = []
        for i in range(8):
            job, _ = store.jobs.create("predictions", {}, items(12), f"owner{number % 3}")
            claims = store.queue.claim(10, f"w{number}")
            store.queue.release(claims[7:])
            if i % 3 == 0:
                store.queue.requeue(f"w{number}", 9, {})
            counted = store.queue.settle([Outcome(one, {}) for one in reversed(claims[:5])])
            mine += [
                (one.job.number, one.position) for one, counts in zip(claims[4::-1], counted, strict=True) if counts
            ]
            if i % 4 == 3:
                store.jobs.cancel(job.id)
            store.jobs.results(job.id)
            store.jobs.queued()
        return mine

    with ThreadPoolExecutor(8) as pool:
        done = [one for some in pool.map(work, range(8)) for one in some]
    assert len(set(done)) == len(done) == sum(job.done for job in store.jobs.list())
    assert_consistent(store)
