"""What holds for every backend."""

import os
import threading
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

import pytest

from models import InputError, get_space
from models.batches import ProbeBatch
from proxies import score
from service.workers.base import Backend, Outcome, Task
from service.workers.errors import RefusedError
from service.workers.inline import InlineBackend
from service.workers.processes import ProcessBackend, ProcessOptions
from service.workers.scoring import decode_batches, encode_batches
from tests.service.conftest import ARCHITECTURES, SMALL
from tests.service.workers.conftest import WAIT, task, wait_until

LONG = ["zen", "snip", "grasp", "synflow", "nwot", "jacov"]


def make(kind: str, batch: ProbeBatch) -> Backend:
    if kind == "inline":
        return InlineBackend({"small": batch})
    return ProcessBackend({"small": batch}, ProcessOptions(threads=1))


@pytest.fixture(scope="module", params=["inline", "processes"])
def backend(request: pytest.FixtureRequest, small: ProbeBatch) -> Iterator[Backend]:
    """One for all tests that leave it as it was."""
    one = make(request.param, small)
    one.start()
    wait_until(lambda: one.ready)
    yield one
    one.stop()


def result(backend: Backend, one: Task) -> Outcome:
    wait_until(lambda: backend.capacity > 0)
    return backend.submit(one).result(WAIT)


def direct(architecture: Any, batch: ProbeBatch, proxies: list[str], seed: int = 0) -> dict[str, Any]:
    """The scores by `proxies.score` in this process, less what they cost."""
    space = get_space("gcn-nas")
    found = score(space.build(space.parse(architecture), seed), batch.x, batch.y, proxies, seed)
    return without_seconds({name: asdict(one) for name, one in found.items()})


def without_seconds(scores: Any) -> dict[str, Any]:
    return {name: {**one, "seconds": None} for name, one in scores.items()}


def test_a_proxy_that_takes_too_long_fails_alone(small: ProbeBatch) -> None:
    backend = ProcessBackend({"small": small}, ProcessOptions(threads=1, proxy_seconds=1e-3))
    backend.start()
    try:
        outcome = result(backend, task(proxies=["grad_sign", "sed"]))
        again = result(backend, task(proxies=["grad_sign"]))
    finally:
        backend.stop()
    for one in (outcome, again):
        assert one.failure is None
        assert one.scores is not None
        assert "TimeLimitError: GradientSignPass" in one.scores["grad_sign"]["error"]
    assert outcome.scores is not None
    assert outcome.scores.keys() == {"grad_sign", "sed"}


@pytest.mark.parametrize("architecture", ARCHITECTURES[::3])
def test_scores_are_those_of_the_proxies(backend: Backend, small: ProbeBatch, architecture: Any) -> None:
    outcome = result(backend, task(architecture, proxies=LONG, seed=3))
    assert outcome.failure is None
    assert outcome.scores is not None
    assert list(outcome.scores) == LONG
    assert without_seconds(outcome.scores) == direct(architecture, small, LONG, 3)
    assert outcome.tries == 1
    assert outcome.seconds > 0


def test_no_proxies_no_scores(backend: Backend) -> None:
    outcome = result(backend, task(proxies=[]))
    assert (outcome.scores, outcome.failure) == ({}, None)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"probe": "large"}, "probe: got 'large'; allowed: one of small"),
        ({"proxies": ["params", "luck"]}, "proxies[1]: got 'luck'"),
        ({"proxies": "params"}, "proxies: got 'params'"),
        ({"space": "nowhere"}, "space: got 'nowhere'; allowed: one of gcn-nas"),
        ({"settings": {"colour": "red"}}, "settings: got"),
        ({"settings": {"num_persons": 1}}, "x (shape): got"),
        ({"architecture": {"layers": [["L4"], ["Q"]] * 2}}, "layers[1][0]"),
        ({"architecture": "out of memory"}, "out of memory"),
        ({"architecture": None}, "allowed"),
        ({"seed": -1}, "seed: got -1"),
        ({"repeats": 0}, "repeats: got 0"),
    ],
)
def test_bad_task_is_an_error_that_says_what_is_allowed(backend: Backend, fields: Any, named: str) -> None:
    before = [one.pid for one in backend.health().processes]
    outcome = result(backend, task(**fields))
    assert outcome.scores is None
    assert outcome.failure is not None
    assert outcome.failure.kind == "error"
    assert named in outcome.failure.detail
    assert outcome.tries == 1
    assert [one.pid for one in backend.health().processes] == before


@pytest.mark.parametrize("value", [object(), float("nan"), b"bytes"])
def test_task_has_to_be_json_data(backend: Backend, value: object) -> None:
    with pytest.raises(InputError, match="plain JSON data"):
        backend.submit(task({"layers": value}))
    assert backend.capacity == 1


def test_no_more_is_taken_than_keeps_it_busy(backend: Backend) -> None:
    wait_until(lambda: backend.capacity == 1)
    held = task(proxies=LONG)
    future = backend.submit(held)
    assert backend.capacity == 0
    with pytest.raises(RefusedError):
        backend.submit(task())
    with pytest.raises(InputError, match="id"):
        backend.submit(held)
    assert not future.cancel()
    assert future.result(WAIT).failure is None
    assert result(backend, held).failure is None  # the id is free again


def test_health_tells_what_runs(backend: Backend) -> None:
    wait_until(lambda: backend.capacity == 1)
    done = backend.health().processes[0].done
    one = task(proxies=LONG)
    future = backend.submit(one)
    wait_until(lambda: future.done() or backend.health().processes[0].task == one.id)
    assert future.result(WAIT).failure is None
    health = backend.health()
    (process,) = health.processes
    assert (health.state, process.done, process.task) == ("ready", done + 1, None)
    assert process.pid is not None
    assert (process.pid == os.getpid()) == isinstance(backend, InlineBackend)


def test_future_may_call_back(backend: Backend) -> None:
    """The next task is handed over by whoever hears that the last is done."""
    second: list[Outcome] = []
    there = threading.Event()

    def next_one(_: object) -> None:
        def keep(future: Any) -> None:
            second.append(future.result())
            there.set()

        backend.submit(task()).add_done_callback(keep)

    wait_until(lambda: backend.capacity == 1)
    backend.submit(task()).add_done_callback(next_one)
    assert there.wait(WAIT)
    assert second[0].failure is None


def test_cancelled_task_gets_that_outcome_and_the_next_its_scores(backend: Backend, small: ProbeBatch) -> None:
    wait_until(lambda: backend.capacity == 1)
    one = task(proxies=None)
    future = backend.submit(one)
    wait_until(lambda: backend.health().processes[0].task == one.id)
    assert backend.cancel(one.id)
    outcome = future.result(WAIT)
    assert outcome.failure is not None
    assert outcome.failure.kind == "cancelled"
    assert not backend.cancel(one.id)
    assert not backend.cancel("unheard of")
    after = result(backend, task())
    assert after.scores is not None
    assert without_seconds(after.scores) == direct(SMALL, small, ["params", "nwot"])


@pytest.mark.parametrize("kind", ["inline", "processes"])
def test_drain_finishes_what_runs_and_stop_may_be_called_twice(kind: str, small: ProbeBatch) -> None:
    one = make(kind, small)
    with pytest.raises(RefusedError):
        one.submit(task())  # not started
    one.start()
    with pytest.raises(RuntimeError):
        one.start()
    wait_until(lambda: one.ready)
    running = task(proxies=["params", "snip"])
    future = one.submit(running)
    wait_until(lambda: future.done() or one.health().processes[0].task == running.id)
    one.drain(WAIT)
    assert future.done()
    assert future.result().failure is None
    assert (one.capacity, one.health().state) == (0, "draining")
    with pytest.raises(RefusedError, match="draining"):
        one.submit(task())
    one.stop()
    one.stop()
    assert (one.capacity, one.health().state, one.ready) == (0, "stopped", False)
    with pytest.raises(RefusedError, match="stopped"):
        one.submit(task())
    with pytest.raises(RuntimeError):
        one.start()


@pytest.mark.parametrize("kind", ["inline", "processes"])
@pytest.mark.parametrize("end", ["drain", "stop"])
def test_what_is_not_done_in_time_may_be_tried_elsewhere(kind: str, end: str, small: ProbeBatch) -> None:
    one = make(kind, small)
    one.start()
    future = one.submit(task(proxies=None))  # with processes, it waits for one to be ready
    if end == "drain":
        one.drain(0)
        assert future.done()
    one.stop()
    outcome = future.result(0)
    assert outcome.failure is not None
    assert outcome.failure.kind == "interrupted"
    assert [process.state for process in one.health().processes] == ["stopped"]


def test_batches_survive_the_way_there(small: ProbeBatch) -> None:
    (name, there), *others = decode_batches(encode_batches({"small": small})).items()
    assert (name, others) == ("small", [])
    assert (there.fingerprint, there.source) == (small.fingerprint, small.source)


def test_outcome_is_plain_json_and_never_holds_what_is_no_number() -> None:
    import json

    outcome = Outcome("t", {"a": {"value": 1.5}}, 0.5, None, 2)
    assert Outcome.of(json.loads(outcome.to_json())) == outcome
    with pytest.raises(ValueError, match="JSON"):
        replace(outcome, scores={"a": {"value": float("inf")}}).to_json()
    for wrong in ({}, None, [], {"task": "t", "scores": None, "seconds": 0, "failure": None}, {"failure": 3}):
        with pytest.raises(ValueError, match="outcome"):
            Outcome.of(wrong)
