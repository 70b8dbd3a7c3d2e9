"""The device's thread: turns, limits, errors, cancellation, end."""

import threading
from collections.abc import Generator, Iterator
from concurrent.futures import CancelledError

import pytest
from service.worker import BusyError, Work, Worker


@pytest.fixture
def worker() -> Iterator[Worker]:
    one = Worker(capacity=4, prepare=lambda: None)
    one.start()
    yield one
    one.stop()


def steps(name: str, number: int, seen: list[str], gate: threading.Event | None = None) -> Work[str]:
    def run() -> Generator[None, None, str]:
        for _ in range(number):
            if gate is not None:
                assert gate.wait(10)
            seen.append(name)
            yield
        return name

    return Work(number, run())


def test_answer_is_what_the_steps_return(worker: Worker) -> None:
    assert worker.submit(steps("a", 3, [])).result(10) == "a"
    assert worker.submit(steps("b", 0, [])).result(10) == "b"
    assert steps("c", 2, []).run() == "c"


def test_requests_take_turns(worker: Worker) -> None:
    seen: list[str] = []
    gate = threading.Event()
    long = worker.submit(steps("long", 3, seen, gate))
    short = worker.submit(steps("short", 1, seen))
    gate.set()
    assert (long.result(10), short.result(10)) == ("long", "short")
    assert seen == ["long", "short", "long", "long"]


def test_error_is_one_requests_alone(worker: Worker) -> None:
    def broken() -> Generator[None, None, None]:
        yield
        raise ZeroDivisionError

    wrong, right = worker.submit(Work(1, broken())), worker.submit(steps("right", 2, []))
    with pytest.raises(ZeroDivisionError):
        wrong.result(10)
    assert right.result(10) == "right"
    assert worker.ready


def test_full_queue_refuses_until_there_is_room(worker: Worker) -> None:
    gate = threading.Event()
    waiting = worker.submit(steps("waiting", 4, [], gate))
    assert worker.waiting == 4
    with pytest.raises(BusyError, match="4 architectures wait") as caught:
        worker.submit(steps("refused", 1, []))
    assert 1 <= caught.value.retry_after <= 60
    gate.set()
    assert waiting.result(10) == "waiting"
    assert worker.submit(steps("taken", 1, [])).result(10) == "taken"


def test_abandoned_work_is_skipped(worker: Worker) -> None:
    seen: list[str] = []
    gate = threading.Event()
    first = worker.submit(steps("first", 1, seen, gate))
    abandoned = worker.submit(steps("abandoned", 2, seen))
    assert abandoned.cancel()
    gate.set()
    assert first.result(10) == "first"
    assert worker.submit(steps("last", 1, seen)).result(10) == "last"
    assert seen == ["first", "last"]


def test_stop_cancels_what_waits(worker: Worker) -> None:
    gate = threading.Event()
    waiting = worker.submit(steps("waiting", 4, [], gate))
    threading.Timer(0.05, gate.set).start()
    worker.stop()
    with pytest.raises(CancelledError):
        waiting.result(10)
    assert not worker.ready
    with pytest.raises(BusyError):
        worker.submit(steps("late", 1, []))


def test_warm_up_comes_before_work_and_may_fail() -> None:
    seen: list[str] = []

    def warm_up() -> None:
        seen.append("warm")
        raise RuntimeError("too cold")

    worker = Worker(4, prepare=lambda: seen.append("prepared"), warm_up=warm_up)
    worker.start()
    assert worker.submit(steps("work", 1, seen)).result(10) == "work"
    assert worker.ready
    worker.stop()
    assert seen == ["prepared", "warm", "work"]


def test_what_needs_no_computing_is_known_at_once() -> None:
    assert steps("known", 0, []).at_once() == "known"
    assert steps("unknown", 1, []).at_once() is None


def test_device_that_cannot_be_prepared_is_never_ready() -> None:
    def fail() -> None:
        raise RuntimeError("no device")

    worker = Worker(capacity=4, prepare=fail)
    worker.start()
    worker.stop()
    assert not worker.ready
    with pytest.raises(BusyError):
        worker.submit(steps("never", 1, []))
