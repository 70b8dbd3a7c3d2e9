"""Servers on one database: who is gone is noticed without any clock of the others, and noticed once."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from common.errors import InputError
from service.jobs.heartbeat import HeartbeatMonitor
from service.storage import Requeued, Store, StoreError
from tests.service.storage.conftest import Create, assert_consistent

ERROR = {"detail": "gave up"}
NOTHING = Requeued(0, 0)


class Seconds:
    """A monotonic clock that stands still between `wait`s."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


def watch(store: Store, name: str, seconds: Seconds) -> HeartbeatMonitor:
    one = HeartbeatMonitor(store, name, 20, seconds)
    one.look(9, ERROR)
    return one


def test_who_is_gone_loses_its_items_once(store: Store, create: Create, seconds: Seconds) -> None:
    job = create(5)
    gone, two, three = (watch(store, name, seconds) for name in ("gone", "two", "three"))
    lost, kept = store.queue.claim(2, "gone"), store.queue.claim(1, "two")
    for _ in range(4):
        seconds.wait(5)
        for one in (two, three):
            assert one.look(9, ERROR) == NOTHING
    seconds.wait(5)
    assert two.look(9, ERROR) == Requeued(2, 0)
    assert three.look(9, ERROR) == NOTHING
    assert not store.queue.finish(lost[0], {})
    assert store.queue.finish(kept[0], {})
    again = store.queue.claim(2, "three")
    assert gone.look(9, ERROR) == NOTHING  # it was only paused, and is there again
    assert two.look(9, ERROR) == NOTHING
    assert all(store.queue.finish(one, {}) for one in (*again, *store.queue.claim(9, "gone")))
    assert store.jobs.get(job.id).state == "done"
    assert_consistent(store)


def test_two_notice_at_the_same_time(store: Store, create: Create, seconds: Seconds) -> None:
    create(40)
    watch(store, "gone", seconds)
    others = [watch(store, f"other {i}", seconds) for i in range(6)]
    assert len(store.queue.claim(40, "gone")) == 40
    for one in others:
        one.look(9, ERROR)
    seconds.wait(21)
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda one: one.look(9, ERROR), others))
    assert sum(one.queued for one in found) == 40
    assert len(store.queue.claim(99, "other 1")) == 40
    assert_consistent(store)


def test_who_comes_back_in_that_moment_stays(store: Store, create: Create, seconds: Seconds) -> None:
    create(1)
    back, other = watch(store, "back", seconds), watch(store, "other", seconds)
    (claim,) = store.queue.claim(1, "back")
    beats = store.servers.beat("other")
    back.look(9, ERROR)
    assert store.servers.forget({"back": beats["back"]}) == 0
    assert other.look(9, ERROR) == NOTHING
    assert store.queue.finish(claim, {})


def test_time_without_the_store_counts_against_nobody(
    store: Store, create: Create, seconds: Seconds, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(1)
    watch(store, "other", seconds)
    one = watch(store, "one", seconds)
    store.queue.claim(1, "other")
    with monkeypatch.context() as away:
        away.setattr(store.servers, "beat", _fail)
        seconds.wait(30)
        with pytest.raises(StoreError):
            one.look(9, ERROR)
    assert one.look(9, ERROR) == NOTHING
    seconds.wait(21)
    assert one.look(9, ERROR).queued == 1


def _fail(worker: str) -> None:
    raise StoreError("away")


def test_items_of_nobody_come_back(store: Store, create: Create) -> None:
    create(3)
    store.queue.claim(2, "left")
    store.servers.beat("left")
    store.servers.beat("here")
    store.queue.claim(1, "here")
    assert store.queue.requeue_lost(9, ERROR) == NOTHING
    store.servers.leave("left")
    assert store.queue.requeue_lost(9, ERROR) == Requeued(2, 0)


def test_what_ends_every_server_is_given_up(store: Store, create: Create) -> None:
    job = create(1)
    for _ in range(3):
        store.queue.begin(store.queue.claim(1, "nobody"))
        found = store.queue.requeue_lost(3, ERROR)
    assert found == Requeued(0, 1)
    assert store.jobs.get(job.id).state == "failed"


def test_bad_input(store: Store) -> None:
    with pytest.raises(InputError, match="server"):
        store.servers.beat("")
    assert store.servers.forget({}) == 0
