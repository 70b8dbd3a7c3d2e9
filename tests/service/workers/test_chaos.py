"""Workers that crash, hang and send invalid replies: every task is resolved, and other tasks lose nothing."""

import logging
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from models import InputError, ProbeBatch
from proxies import score
from service.workers.backend import TaskOutcome
from service.workers.errors import TaskRejectedError
from service.workers.process_backend import ProcessBackend, WorkerOptions, visible_gpus
from tests.service.conftest import SMALL
from tests.service.workers import faults
from tests.service.workers.conftest import faulty_task, submit_all, task, wait_until
from tests.waiting import PATIENCE_S

Start = Callable[..., ProcessBackend]
FAULTS = "tests.service.workers.faults"


@pytest.fixture
def start() -> Iterator[Start]:
    """Factory of started backends with faulty workers. They are stopped at the end and leave no process."""
    started: list[ProcessBackend] = []

    def call(entry_point: str = "run", ready: bool = True, **options: Any) -> ProcessBackend:
        backend = ProcessBackend({}, WorkerOptions(entry_point=f"{FAULTS}:{entry_point}", **options))
        started.append(backend)
        backend.start()
        if ready:
            wait_until_idle(backend)
        return backend

    yield call
    for backend in started:
        remaining = pids(backend)
        backend.stop()
        assert not any(is_alive(pid) for pid in remaining)


def pids(backend: ProcessBackend) -> list[int]:
    return [worker.pid for worker in backend.health().workers if worker.pid is not None]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def scored_by(outcome: TaskOutcome) -> int:
    """Process id of the worker that scored the task."""
    assert outcome.failure is None, outcome.failure
    assert outcome.scores is not None
    return int(outcome.scores["pid"]["value"])


def kind_of(outcome: TaskOutcome) -> str:
    assert outcome.failure is not None
    return outcome.failure.kind


def wait_until_idle(backend: ProcessBackend) -> None:
    wait_until(lambda: all(worker.state == "idle" for worker in backend.health().workers))


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("exit", "crash"),
        ("segfault", "crash"),
        ("garbage", "crash"),
        ("flood", "crash"),
        ("stranger", "crash"),
        ("not a number", "crash"),
        ("hang up", "crash"),
        ("memory", "out_of_memory"),
        ("device", "device_error"),
        ("hang", "timeout"),
        ("half a reply", "timeout"),
    ],
)
def test_poison_fails_alone_after_two_attempts(start: Start, fault: str, kind: str, tmp_path: Path) -> None:
    timeout = 1.0 if kind == "timeout" else PATIENCE_S
    backend = start(num_workers=2, task_timeout=timeout)
    before = pids(backend)
    poison, cured = faulty_task(fault), faulty_task(fault, once=str(tmp_path / "once"))
    good = [faulty_task() for _ in range(8)]
    outcomes = submit_all(backend, [*good[:4], poison, *good[4:], cured])

    assert kind_of(outcomes[poison.id]) == kind
    assert outcomes[poison.id].attempts == 2
    assert scored_by(outcomes[cured.id]) not in before
    assert outcomes[cured.id].attempts == 2
    assert all(scored_by(outcomes[task.id]) and outcomes[task.id].attempts == 1 for task in good)
    health = backend.health()
    assert (health.state, health.restarts) == ("ready", 3)
    assert health.timeouts == (3 if kind == "timeout" else 0)
    assert health.out_of_memory == (3 if kind == "out_of_memory" else 0)
    assert any(worker.last_error for worker in health.workers)
    wait_until_idle(backend)


def test_proxies_that_have_scores_keep_them_where_another_runs_out_of_memory(start: Start) -> None:
    backend = start()
    last = faulty_task("some memory")
    outcome = submit_all(backend, [last])[last.id]
    assert outcome.failure is None
    assert outcome.scores is not None
    assert outcome.scores["b"]["error"] == "out of memory: too large"
    assert outcome.attempts == 2
    assert backend.health().restarts == 2


def test_idle_process_that_is_killed_is_replaced(start: Start) -> None:
    backend = start(num_workers=1)
    (pid,) = pids(backend)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: pids(backend) not in ([], [pid]))
    last = faulty_task()
    assert scored_by(submit_all(backend, [last])[last.id]) != pid
    assert "SIGKILL" in str(backend.health().workers[0].last_error)


def test_storm_of_kills_loses_nothing(start: Start, tmp_path: Path) -> None:
    """Each task loses its worker at most once, as the second loss would be attributed to it."""
    backend = start(num_workers=2)
    tasks = [faulty_task("kill", once=str(tmp_path / f"{i}")) if i % 3 == 0 else faulty_task() for i in range(24)]
    outcomes = submit_all(backend, tasks)
    assert len(outcomes) == 24
    assert all(scored_by(outcome) for outcome in outcomes.values())
    assert Counter(outcome.attempts for outcome in outcomes.values()) == {1: 16, 2: 8}
    assert backend.health().restarts == 8


def test_cancel_kills_running_and_drops_queued_tasks(start: Start, tmp_path: Path) -> None:
    backend = start(num_workers=1)
    (pid,) = pids(backend)
    running = faulty_task("hang")
    future = backend.submit(running)
    wait_until(lambda: backend.health().workers[0].task == running.id)
    assert backend.cancel(running.id)
    assert kind_of(future.result(PATIENCE_S)) == "cancelled"
    queued = faulty_task("hang")
    future = backend.submit(queued)  # no process is ready yet
    assert backend.cancel(queued.id)
    assert (kind_of(future.result(PATIENCE_S)), future.result().attempts) == ("cancelled", 0)
    last = faulty_task()
    assert scored_by(submit_all(backend, [last])[last.id]) != pid
    health = backend.health()
    assert (health.restarts, health.workers[0].last_error) == (1, None)


def test_process_is_recycled_after_its_tasks(start: Start) -> None:
    backend = start(max_tasks_per_worker=3)
    tasks = [faulty_task() for _ in range(7)]
    outcomes = submit_all(backend, tasks)
    by_process = Counter(scored_by(outcome) for outcome in outcomes.values())
    assert sorted(by_process.values()) == [1, 3, 3]
    health = backend.health()
    assert (health.restarts, health.workers[0].recycled, health.workers[0].done) == (0, 2, 7)


def test_process_with_too_much_memory_is_recycled(start: Start) -> None:
    backend = start(max_memory_bytes=100 << 20)
    tasks = [faulty_task(), faulty_task("allocate"), faulty_task()]
    first, large, after = (scored_by(outcome) for outcome in submit_all(backend, tasks).values())
    assert first == large != after
    assert (backend.health().restarts, backend.health().workers[0].recycled) == (0, 1)


@pytest.mark.parametrize("entry_point", ["exit_at_start", "hang_at_start"])
def test_failing_starts_make_it_unhealthy_and_are_retried(
    start: Start, entry_point: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(faults.START_DIR, str(tmp_path))
    backend = start(entry_point, ready=False, start_timeout=1 if entry_point == "hang_at_start" else PATIENCE_S)
    assert (backend.health().state, backend.capacity) == ("starting", 1)
    future = backend.submit(faulty_task())
    assert kind_of(future.result(PATIENCE_S)) == "interrupted"  # another backend may score it
    health = backend.health()
    assert health.state == "unhealthy"
    assert ("exited with code 7" if entry_point == "exit_at_start" else "not ready within 1 s") in str(
        health.last_error
    )
    with pytest.raises(TaskRejectedError, match="unhealthy"):
        backend.submit(faulty_task())
    for worker in backend._workers:
        worker._start_timeout = PATIENCE_S  # a start takes longer on a busy machine
    (tmp_path / "well").touch()
    last = faulty_task()
    assert scored_by(submit_all(backend, [last])[last.id])
    assert backend.ready


def test_error_of_the_start_is_reported(start: Start) -> None:
    backend = start("nothing", ready=False)
    wait_until(lambda: backend.health().state == "unhealthy")
    assert "AttributeError: module 'tests.service.workers.faults' has no attribute 'nothing'" in str(
        backend.health().last_error
    )


def test_task_of_a_lost_worker_is_retried_by_another(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a lost GPU: another worker is recycled as soon as it has finished its task, and retries."""
    monkeypatch.setenv(faults.START_DIR, str(tmp_path))
    (tmp_path / "well").touch()
    backend = start("exit_at_start_of_the_second_worker", num_workers=2)
    gate, lost = faulty_task("gate", gate=str(tmp_path / "gate")), faulty_task("kill", once=str(tmp_path / "once"))
    kept = backend.submit(gate)
    wait_until(lambda: backend.health().workers[0].task == gate.id)
    (tmp_path / "well").unlink()
    future = backend.submit(lost)
    wait_until(lambda: backend.health().workers[1].restarts >= 4)
    assert not future.done()
    assert (backend.health().state, backend.capacity) == ("ready", 0)
    (tmp_path / "gate").touch()
    assert scored_by(kept.result(PATIENCE_S)) != scored_by(future.result(PATIENCE_S))
    assert future.result().attempts == 2
    assert [worker.recycled for worker in backend.health().workers] == [1, 0]


def test_drain_interrupts_tasks_after_its_timeout(start: Start, tmp_path: Path) -> None:
    backend = start(num_workers=2)
    slow, hung = faulty_task("gate", gate=str(tmp_path / "gate")), faulty_task("hang")
    futures = [backend.submit(slow), backend.submit(hung)]
    wait_until(lambda: {slow.id, hung.id} == {worker.task for worker in backend.health().workers})
    (tmp_path / "gate").touch()
    backend.drain(1)
    assert [future.done() for future in futures] == [True, True]
    assert scored_by(futures[0].result())
    assert kind_of(futures[1].result()) == "interrupted"


def test_logs_name_the_event_and_the_task(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "service.workers.worker")
    backend = start(task_timeout=1, max_tasks_per_worker=1)
    died, late, short, fine = faulty_task("exit"), faulty_task("hang"), faulty_task("memory"), faulty_task()
    submit_all(backend, [died, late, short, fine])
    wait_until_idle(backend)
    seen = Counter((vars(record)["event"], vars(record)["task"]) for record in caplog.records)
    assert (seen["exit", died.id], seen["crash", died.id]) == (2, 0)
    assert seen["timeout", late.id] == seen["out_of_memory", short.id] == 2
    assert seen["recycle", None] == 1
    assert seen["spawn", None] == seen["ready", None] == 8
    (first, *_) = [record for record in caplog.records if vars(record)["event"] == "exit"]
    assert vars(first)["exit_code"] == 3
    assert vars(first)["pid"] is not None


def test_killed_while_it_scores_a_real_network(small: ProbeBatch, space: Any) -> None:
    """The scores are those of `proxies.score` in this process."""
    backend = ProcessBackend({"small": small}, WorkerOptions(num_threads=1))
    backend.start()
    last = task(SMALL, proxies=None)
    future = backend.submit(last)
    wait_until(lambda: backend.health().workers[0].task == last.id)
    (victim,) = pids(backend)
    time.sleep(0.1)
    os.kill(victim, signal.SIGKILL)
    outcome = future.result(PATIENCE_S)
    backend.stop()
    assert outcome.attempts == 2
    assert outcome.scores is not None
    expected = score(space.build(space.parse(SMALL), 0), small.x, small.y)
    for name, fields in outcome.scores.items():
        assert {**fields, "seconds": 0} == {**asdict(expected[name]), "seconds": 0}
    assert outcome.scores.keys() == expected.keys()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("num_workers", 0),
        ("workers_per_gpu", 0),
        ("num_threads", 0),
        ("task_timeout", 0.0),
        ("score_timeout", 0.0),
        ("max_tasks_per_worker", -1),
        ("gpus", ("0", "0")),
    ],
)
def test_invalid_options(option: str, value: Any) -> None:
    with pytest.raises(InputError, match=option):
        WorkerOptions(**{option: value})


def test_gpus_are_found_without_touching_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert visible_gpus() == ("0", "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-7,-1,0")
    assert visible_gpus() == ("3", "GPU-7")
    assert not torch.cuda.is_initialized()  # type: ignore[no-untyped-call]


def test_each_gpu_has_a_worker() -> None:
    assert WorkerOptions(gpus=("0", "GPU-7"), num_workers=9).visible_devices == ("0", "GPU-7")
    assert WorkerOptions(gpus=("0", "GPU-7"), workers_per_gpu=2).visible_devices == ("0", "GPU-7", "0", "GPU-7")
    assert WorkerOptions(num_workers=3).visible_devices == ("", "", "")
