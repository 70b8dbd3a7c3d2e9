"""Servers on one database: lost ones are detected without their clocks, and their items are requeued once."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from common.errors import InputError
from service.jobs.heartbeat import HeartbeatMonitor
from service.storage import RequeueResult, Store, StoreError
from tests.service.storage.conftest import Create, assert_consistent, finish

ERROR = {"detail": "gave up"}
NOTHING = RequeueResult(0, 0)
TIMEOUT_S = 20


class MonotonicClock:
    """A monotonic clock that stands still between calls of `wait`."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def monotonic() -> MonotonicClock:
    return MonotonicClock()


def start_monitor(store: Store, server: str, clock: MonotonicClock) -> HeartbeatMonitor:
    monitor = HeartbeatMonitor(store, server, TIMEOUT_S, clock)
    monitor.poll(9, ERROR)
    return monitor


def test_items_of_a_lost_server_are_requeued_once(store: Store, create: Create, monotonic: MonotonicClock) -> None:
    job = create(5)
    lost, two, three = (start_monitor(store, name, monotonic) for name in ("lost", "two", "three"))
    expired, kept = store.queue.claim(2, "lost"), store.queue.claim(1, "two")
    for _ in range(4):
        monotonic.wait(5)
        for monitor in (two, three):
            assert monitor.poll(9, ERROR) == NOTHING
    monotonic.wait(5)
    assert two.poll(9, ERROR) == RequeueResult(2, 0)
    assert three.poll(9, ERROR) == NOTHING
    assert not finish(store, expired[0], {})
    assert finish(store, kept[0], {})
    again = store.queue.claim(2, "three")
    assert lost.poll(9, ERROR) == NOTHING  # it was only paused, and is registered again
    assert two.poll(9, ERROR) == NOTHING
    assert all(finish(store, claim, {}) for claim in (*again, *store.queue.claim(9, "lost")))
    assert store.jobs.get(job.id).state == "done"
    assert_consistent(store)


def test_several_detect_it_at_the_same_time(store: Store, create: Create, monotonic: MonotonicClock) -> None:
    create(40)
    start_monitor(store, "lost", monotonic)
    others = [start_monitor(store, f"other {i}", monotonic) for i in range(6)]
    assert len(store.queue.claim(40, "lost")) == 40
    for monitor in others:
        monitor.poll(9, ERROR)
    monotonic.wait(21)
    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(lambda monitor: monitor.poll(9, ERROR), others))
    assert sum(result.queued for result in results) == 40
    assert len(store.queue.claim(99, "other 1")) == 40
    assert_consistent(store)


def test_server_that_recovers_in_that_moment_stays(store: Store, create: Create, monotonic: MonotonicClock) -> None:
    create(1)
    back, other = start_monitor(store, "back", monotonic), start_monitor(store, "other", monotonic)
    (claim,) = store.queue.claim(1, "back")
    heartbeats = store.servers.beat("other")
    back.poll(9, ERROR)
    assert store.servers.remove_lost({"back": heartbeats["back"]}) == 0
    assert other.poll(9, ERROR) == NOTHING
    assert finish(store, claim, {})


def test_time_without_the_store_makes_no_server_lost(
    store: Store, create: Create, monotonic: MonotonicClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(1)
    start_monitor(store, "other", monotonic)
    monitor = start_monitor(store, "this", monotonic)
    store.queue.claim(1, "other")
    with monkeypatch.context() as unavailable:
        unavailable.setattr(store.servers, "beat", _fail)
        monotonic.wait(30)
        with pytest.raises(StoreError):
            monitor.poll(9, ERROR)
    assert monitor.poll(9, ERROR) == NOTHING
    monotonic.wait(21)
    assert monitor.poll(9, ERROR).queued == 1


def _fail(server: str) -> None:
    raise StoreError("away")


def test_items_of_removed_servers_are_requeued(store: Store, create: Create) -> None:
    create(3)
    store.queue.claim(2, "removed")
    store.servers.beat("removed")
    store.servers.beat("here")
    store.queue.claim(1, "here")
    assert store.queue.requeue_lost(9, ERROR) == NOTHING
    store.servers.remove("removed")
    assert store.queue.requeue_lost(9, ERROR) == RequeueResult(2, 0)


def test_item_that_ends_every_server_fails(store: Store, create: Create) -> None:
    job = create(1)
    for _ in range(3):
        store.queue.begin(store.queue.claim(1, "unregistered"))
        result = store.queue.requeue_lost(3, ERROR)
    assert result == RequeueResult(0, 1)
    assert store.jobs.get(job.id).state == "failed"


def test_bad_input(store: Store) -> None:
    with pytest.raises(InputError, match="server"):
        store.servers.beat("")
    assert store.servers.remove_lost({}) == 0
