"""Contract of the backends."""

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from typing import Any

import pytest

from models import InputError, ProbeBatch, get_space
from proxies import score
from service.workers.backend import Backend, Task, TaskOutcome
from service.workers.errors import TaskRejectedError
from service.workers.inline_backend import InlineBackend
from service.workers.process_backend import ProcessBackend, WorkerOptions
from service.workers.ray_backend import RayBackend, RayOptions
from service.workers.task_scorer import decode_batches, encode_batches
from tests.service.conftest import ARCHITECTURES, SMALL
from tests.service.workers.conftest import task, wait_until
from tests.waiting import PATIENCE_S

LONG = ["zen", "snip", "grasp", "synflow", "nwot", "jacov"]


KINDS = ["inline", "processes", pytest.param("ray", marks=pytest.mark.slow)]
Make = Callable[[str], Backend]


@pytest.fixture(scope="module")
def make(request: pytest.FixtureRequest, small: ProbeBatch) -> Make:
    """Factory of backends with one worker."""

    def call(kind: str) -> Backend:
        batches = {"small": small}
        if kind == "inline":
            return InlineBackend(batches)
        if kind == "processes":
            return ProcessBackend(batches, WorkerOptions(num_threads=1))
        return RayBackend(batches, RayOptions(address=request.getfixturevalue("ray_cluster").address))

    return call


@pytest.fixture(scope="module", params=KINDS)
def backend(request: pytest.FixtureRequest, make: Make) -> Iterator[Backend]:
    """A backend for all tests that leave it unchanged."""
    backend = make(request.param)
    backend.start()
    wait_until(lambda: backend.ready)
    yield backend
    backend.stop()


def result(backend: Backend, task: Task) -> TaskOutcome:
    wait_until(lambda: backend.capacity > 0)
    return backend.submit(task).result(PATIENCE_S)


def direct(architecture: Any, batch: ProbeBatch, proxies: list[str], seed: int = 0) -> dict[str, Any]:
    """Scores by `proxies.score` in this process, without their durations."""
    space = get_space("gcn-nas")
    scores = score(space.build(space.parse(architecture), seed), batch.x, batch.y, proxies, seed)
    return without_seconds({name: asdict(proxy_score) for name, proxy_score in scores.items()})


def without_seconds(scores: Any) -> dict[str, Any]:
    return {name: {**fields, "seconds": None} for name, fields in scores.items()}


def test_slow_proxy_fails_alone(small: ProbeBatch) -> None:
    backend = ProcessBackend({"small": small}, WorkerOptions(num_threads=1, score_timeout=1e-3))
    backend.start()
    try:
        outcome = result(backend, task(proxies=["grad_sign", "sed"]))
        again = result(backend, task(proxies=["grad_sign"]))
    finally:
        backend.stop()
    for slow in (outcome, again):
        assert slow.failure is None
        assert slow.scores is not None
        assert "TimeLimitError: GradientSignPass" in slow.scores["grad_sign"]["error"]
    assert outcome.scores is not None
    assert outcome.scores.keys() == {"grad_sign", "sed"}


@pytest.mark.parametrize("architecture", ARCHITECTURES[::3])
def test_scores_are_those_of_the_proxies(backend: Backend, small: ProbeBatch, architecture: Any) -> None:
    outcome = result(backend, task(architecture, proxies=LONG, seed=3))
    assert outcome.failure is None
    assert outcome.scores is not None
    assert list(outcome.scores) == LONG
    assert without_seconds(outcome.scores) == direct(architecture, small, LONG, 3)
    assert outcome.attempts == 1
    assert outcome.seconds > 0


def test_no_proxies_no_scores(backend: Backend) -> None:
    outcome = result(backend, task(proxies=[]))
    assert (outcome.scores, outcome.failure) == ({}, None)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"probe_batch": "large"}, "probe_batch: got 'large'; allowed: one of small"),
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
def test_invalid_task(backend: Backend, fields: Any, named: str) -> None:
    before = [worker.pid for worker in backend.health().workers]
    outcome = result(backend, task(**fields))
    assert outcome.scores is None
    assert outcome.failure is not None
    assert outcome.failure.kind == "error"
    assert named in outcome.failure.detail
    assert outcome.attempts == 1
    assert [worker.pid for worker in backend.health().workers] == before


@pytest.mark.parametrize("value", [object(), float("nan"), b"bytes"])
def test_task_must_be_json_data(backend: Backend, value: object) -> None:
    with pytest.raises(InputError, match="plain JSON data"):
        backend.submit(task({"layers": value}))
    assert backend.capacity == 1


def test_capacity_is_limited(backend: Backend) -> None:
    wait_until(lambda: backend.capacity == 1)
    held = task(proxies=LONG)
    future = backend.submit(held)
    assert backend.capacity == 0
    with pytest.raises(TaskRejectedError):
        backend.submit(task())
    with pytest.raises(InputError, match="id"):
        backend.submit(held)
    assert not future.cancel()
    assert future.result(PATIENCE_S).failure is None
    assert result(backend, held).failure is None  # the id is free again


def test_health_reports_the_running_task(backend: Backend) -> None:
    wait_until(lambda: backend.capacity == 1)
    done = backend.health().workers[0].done
    running = task(proxies=LONG)
    future = backend.submit(running)
    wait_until(lambda: future.done() or backend.health().workers[0].task == running.id)
    assert future.result(PATIENCE_S).failure is None
    health = backend.health()
    (worker,) = health.workers
    assert (health.state, worker.done, worker.task) == ("ready", done + 1, None)
    assert worker.pid is not None
    assert (worker.pid == os.getpid()) == isinstance(backend, InlineBackend)


def test_callback_may_submit(backend: Backend) -> None:
    """A callback submits the next task."""
    second: list[TaskOutcome] = []
    there = threading.Event()

    def next_one(_: object) -> None:
        def keep(future: Any) -> None:
            second.append(future.result())
            there.set()

        backend.submit(task()).add_done_callback(keep)

    wait_until(lambda: backend.capacity == 1)
    backend.submit(task()).add_done_callback(next_one)
    assert there.wait(PATIENCE_S)
    assert second[0].failure is None


def test_cancelled_task_gets_that_outcome_and_the_next_its_scores(backend: Backend, small: ProbeBatch) -> None:
    wait_until(lambda: backend.capacity == 1)
    running = task(proxies=None)
    future = backend.submit(running)
    wait_until(lambda: backend.health().workers[0].task == running.id)
    assert backend.cancel(running.id)
    outcome = future.result(PATIENCE_S)
    assert outcome.failure is not None
    assert outcome.failure.kind == "cancelled"
    assert not backend.cancel(running.id)
    assert not backend.cancel("unheard of")
    after = result(backend, task())
    assert after.scores is not None
    assert without_seconds(after.scores) == direct(SMALL, small, ["params", "nwot"])


@pytest.mark.parametrize("kind", KINDS)
def test_drain_finishes_running_tasks_and_stop_is_idempotent(kind: str, make: Make) -> None:
    backend = make(kind)
    with pytest.raises(TaskRejectedError):
        backend.submit(task())  # not started
    backend.start()
    with pytest.raises(RuntimeError):
        backend.start()
    wait_until(lambda: backend.ready)
    running = task(proxies=["params", "snip"])
    future = backend.submit(running)
    wait_until(lambda: future.done() or backend.health().workers[0].task == running.id)
    backend.drain(PATIENCE_S)
    assert future.done()
    assert future.result().failure is None
    assert (backend.capacity, backend.health().state) == (0, "draining")
    with pytest.raises(TaskRejectedError, match="draining"):
        backend.submit(task())
    backend.stop()
    backend.stop()
    assert (backend.capacity, backend.health().state, backend.ready) == (0, "stopped", False)
    with pytest.raises(TaskRejectedError, match="stopped"):
        backend.submit(task())
    with pytest.raises(RuntimeError):
        backend.start()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("end", ["drain", "stop"])
def test_remaining_tasks_are_interrupted(kind: str, end: str, make: Make) -> None:
    backend = make(kind)
    backend.start()
    future = backend.submit(task(proxies=None))  # with processes, it waits for one to be ready
    if end == "drain":
        backend.drain(0)
        assert future.done()
    backend.stop()
    outcome = future.result(0)
    assert outcome.failure is not None
    assert outcome.failure.kind == "interrupted"
    assert [worker.state for worker in backend.health().workers] == ["stopped"]


def test_batches_survive_serialisation(small: ProbeBatch) -> None:
    (name, batch), *others = decode_batches(encode_batches({"small": small})).items()
    assert (name, others) == ("small", [])
    assert (batch.fingerprint, batch.source) == (small.fingerprint, small.source)


def test_outcome_is_json_without_nan() -> None:
    import json

    outcome = TaskOutcome("t", {"a": {"value": 1.5}}, 0.5, None, 2)
    assert TaskOutcome.from_fields(json.loads(outcome.to_json())) == outcome
    with pytest.raises(ValueError, match="JSON"):
        replace(outcome, scores={"a": {"value": float("inf")}}).to_json()
    invalid: list[Any] = [{}, None, [], {"task": "t", "scores": None, "seconds": 0, "failure": None}, {"failure": 3}]
    for fields in invalid:
        with pytest.raises(ValueError, match="outcome"):
            TaskOutcome.from_fields(fields)
