"""Processes that die, hang and lie: every task gets its outcome, and others lose nothing. Recovery is reported."""

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

from models import InputError
from models.batches import ProbeBatch
from proxies import score
from service.workers.base import Outcome
from service.workers.errors import RefusedError
from service.workers.processes import ProcessBackend, ProcessOptions, visible_gpus
from tests.service.conftest import SMALL
from tests.service.workers import faults
from tests.service.workers.conftest import WAIT, deed, report, submit_all, task, wait_until

Start = Callable[..., ProcessBackend]
FAULTS = "tests.service.workers.faults"


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a backend whose processes misbehave; it is stopped at the end, and leaves no process."""
    started: list[ProcessBackend] = []

    def call(entry: str = "main", ready: bool = True, **options: Any) -> ProcessBackend:
        one = ProcessBackend({}, ProcessOptions(entry=f"{FAULTS}:{entry}", **options))
        started.append(one)
        one.start()
        if ready:
            wait_until(lambda: all(process.state == "idle" for process in one.health().processes))
        return one

    yield call
    for one in started:
        left = pids(one)
        one.stop()
        assert not any(alive(pid) for pid in left)


def pids(backend: ProcessBackend) -> list[int]:
    return [process.pid for process in backend.health().processes if process.pid is not None]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def scored_by(outcome: Outcome) -> int:
    """The process that answered."""
    assert outcome.failure is None, outcome.failure
    assert outcome.scores is not None
    return int(outcome.scores["pid"]["value"])


def kind_of(outcome: Outcome) -> str:
    assert outcome.failure is not None
    return outcome.failure.kind


def recovered(backend: ProcessBackend, what: str) -> None:
    """Waits until every process is idle again, and prints how long that took."""
    started = time.monotonic()
    wait_until(lambda: all(process.state == "idle" for process in backend.health().processes))
    report(f"{what}: every process is back after {time.monotonic() - started:.2f} s")


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
        ("hang", "deadline"),
        ("half a reply", "deadline"),
    ],
)
def test_poison_fails_alone_after_two_tries(start: Start, fault: str, kind: str, tmp_path: Path) -> None:
    deadline = 1.0 if kind == "deadline" else WAIT
    backend = start(processes=2, deadline_seconds=deadline)
    before = pids(backend)
    poison, cured = deed(fault), deed(fault, once=str(tmp_path / "once"))
    good = [deed() for _ in range(8)]
    began = time.monotonic()
    outcomes = submit_all(backend, [*good[:4], poison, *good[4:], cured])
    report(f"{fault}: ten tasks, three deaths, {time.monotonic() - began:.2f} s")

    assert kind_of(outcomes[poison.id]) == kind
    assert outcomes[poison.id].tries == 2
    assert scored_by(outcomes[cured.id]) not in before
    assert outcomes[cured.id].tries == 2
    assert all(scored_by(outcomes[one.id]) and outcomes[one.id].tries == 1 for one in good)
    health = backend.health()
    assert (health.state, health.restarts) == ("ready", 3)
    assert health.deadlines == (3 if kind == "deadline" else 0)
    assert health.out_of_memory == (3 if kind == "out_of_memory" else 0)
    assert any(process.last_error for process in health.processes)
    recovered(backend, fault)


def test_proxies_that_have_scores_keep_them_where_another_runs_out_of_memory(start: Start) -> None:
    backend = start()
    one = deed("some memory")
    outcome = submit_all(backend, [one])[one.id]
    assert outcome.failure is None
    assert outcome.scores is not None
    assert outcome.scores["b"]["error"] == "out of memory: too large"
    assert outcome.tries == 2
    assert backend.health().restarts == 2


def test_idle_process_that_dies_is_replaced(start: Start) -> None:
    backend = start(processes=1)
    (pid,) = pids(backend)
    os.kill(pid, signal.SIGKILL)
    began = time.monotonic()
    wait_until(lambda: pids(backend) not in ([], [pid]))
    one = deed()
    assert scored_by(submit_all(backend, [one])[one.id]) != pid
    report(f"kill -9 of an idle process: the next task was answered after {time.monotonic() - began:.2f} s")
    assert "SIGKILL" in str(backend.health().processes[0].last_error)


def test_storm_of_kills_loses_nothing(start: Start, tmp_path: Path) -> None:
    """Each task is killed once at most, as two deaths of one task are its own fault."""
    backend = start(processes=2)
    tasks = [deed("kill", once=str(tmp_path / f"{i}")) if i % 3 == 0 else deed() for i in range(24)]
    began = time.monotonic()
    outcomes = submit_all(backend, tasks)
    report(f"24 tasks, 8 kills: {time.monotonic() - began:.2f} s")
    assert len(outcomes) == 24
    assert all(scored_by(outcome) for outcome in outcomes.values())
    assert Counter(outcome.tries for outcome in outcomes.values()) == {1: 16, 2: 8}
    assert backend.health().restarts == 8


def test_cancel_kills_what_runs_and_drops_what_waits(start: Start, tmp_path: Path) -> None:
    backend = start(processes=1)
    (pid,) = pids(backend)
    running = deed("hang")
    future = backend.submit(running)
    wait_until(lambda: backend.health().processes[0].task == running.id)
    assert backend.cancel(running.id)
    assert kind_of(future.result(WAIT)) == "cancelled"
    waiting = deed("hang")
    late = backend.submit(waiting)  # no process is ready yet
    assert backend.cancel(waiting.id)
    assert (kind_of(late.result(WAIT)), late.result().tries) == ("cancelled", 0)
    one = deed()
    assert scored_by(submit_all(backend, [one])[one.id]) != pid
    health = backend.health()
    assert (health.restarts, health.processes[0].last_error) == (1, None)


def test_process_is_recycled_after_its_tasks(start: Start) -> None:
    backend = start(tasks_per_process=3)
    tasks = [deed() for _ in range(7)]
    outcomes = submit_all(backend, tasks)
    by_process = Counter(scored_by(outcome) for outcome in outcomes.values())
    assert sorted(by_process.values()) == [1, 3, 3]
    health = backend.health()
    assert (health.restarts, health.processes[0].recycled, health.processes[0].done) == (0, 2, 7)


def test_process_that_holds_too_much_memory_is_recycled(start: Start) -> None:
    backend = start(memory_bytes=100 << 20)
    tasks = [deed(), deed("allocate"), deed()]
    first, large, after = (scored_by(outcome) for outcome in submit_all(backend, tasks).values())
    assert first == large != after
    assert (backend.health().restarts, backend.health().processes[0].recycled) == (0, 1)


@pytest.mark.parametrize("entry", ["die_at_start", "hang_at_start"])
def test_starts_that_fail_make_it_unhealthy_and_it_goes_on_trying(
    start: Start, entry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(faults.START, str(tmp_path))
    backend = start(entry, ready=False, start_seconds=1 if entry == "hang_at_start" else WAIT)
    assert (backend.health().state, backend.capacity) == ("starting", 1)
    future = backend.submit(deed())
    assert kind_of(future.result(WAIT)) == "interrupted"  # not lost: another backend may have it
    health = backend.health()
    assert health.state == "unhealthy"
    assert ("exit code 7" if entry == "die_at_start" else "not ready within 1 s") in str(health.last_error)
    with pytest.raises(RefusedError, match="unhealthy"):
        backend.submit(deed())
    began = time.monotonic()
    (tmp_path / "well").touch()
    one = deed()
    assert scored_by(submit_all(backend, [one])[one.id])
    report(f"{entry}: at work {time.monotonic() - began:.2f} s after the cause was gone")
    assert backend.ready


def test_why_no_process_starts_is_told(start: Start) -> None:
    backend = start("nothing", ready=False)
    wait_until(lambda: backend.health().state == "unhealthy")
    assert "AttributeError: module 'tests.service.workers.faults' has no attribute 'nothing'" in str(
        backend.health().last_error
    )


def test_where_one_place_is_lost_its_task_is_tried_again_in_another(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a GPU is gone: elsewhere a process that is not fresh makes way, as soon as it has done what it is at."""
    monkeypatch.setenv(faults.START, str(tmp_path))
    (tmp_path / "well").touch()
    backend = start("die_at_start_in_the_second_place", processes=2)
    gate, lost = deed("gate", gate=str(tmp_path / "gate")), deed("kill", once=str(tmp_path / "once"))
    kept = backend.submit(gate)
    wait_until(lambda: backend.health().processes[0].task == gate.id)
    (tmp_path / "well").unlink()
    future = backend.submit(lost)
    wait_until(lambda: backend.health().processes[1].restarts >= 4)
    assert not future.done()
    assert (backend.health().state, backend.capacity) == ("ready", 0)
    (tmp_path / "gate").touch()
    assert scored_by(kept.result(WAIT)) != scored_by(future.result(WAIT))
    assert future.result().tries == 2
    assert [process.recycled for process in backend.health().processes] == [1, 0]


def test_drain_gives_up_what_does_not_finish(start: Start, tmp_path: Path) -> None:
    backend = start(processes=2)
    slow, hung = deed("gate", gate=str(tmp_path / "gate")), deed("hang")
    futures = [backend.submit(slow), backend.submit(hung)]
    wait_until(lambda: {slow.id, hung.id} == {process.task for process in backend.health().processes})
    (tmp_path / "gate").touch()
    backend.drain(1)
    assert [future.done() for future in futures] == [True, True]
    assert scored_by(futures[0].result())
    assert kind_of(futures[1].result()) == "interrupted"


def test_logs_tell_what_happened_to_which_task(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "service.workers.worker_process")
    backend = start(deadline_seconds=1, tasks_per_process=1)
    died, late, short, fine = deed("exit"), deed("hang"), deed("memory"), deed()
    submit_all(backend, [died, late, short, fine])
    recovered(backend, "after all")
    seen = Counter((vars(record)["event"], vars(record)["task"]) for record in caplog.records)
    assert (seen["death", died.id], seen["crash", died.id]) == (2, 0)
    assert seen["deadline", late.id] == seen["out_of_memory", short.id] == 2
    assert seen["recycle", None] == 1
    assert seen["spawn", None] == seen["ready", None] == 8
    (first, *_) = [record for record in caplog.records if vars(record)["event"] == "death"]
    assert vars(first)["exit_code"] == 3
    assert vars(first)["pid"] is not None


def test_killed_while_it_scores_a_real_network(small: ProbeBatch, space: Any) -> None:
    """The very case that all this is for; the scores are those of `proxies.score` in this process."""
    backend = ProcessBackend({"small": small}, ProcessOptions(threads=1))
    backend.start()
    one = task(SMALL, proxies=None)
    future = backend.submit(one)
    wait_until(lambda: backend.health().processes[0].task == one.id)
    (victim,) = pids(backend)
    time.sleep(0.1)
    os.kill(victim, signal.SIGKILL)
    began = time.monotonic()
    outcome = future.result(WAIT)
    report(f"kill -9 while scoring: answered {time.monotonic() - began:.2f} s later, {outcome.seconds:.2f} s to score")
    backend.stop()
    assert outcome.tries == 2
    assert outcome.scores is not None
    expected = score(space.build(space.parse(SMALL), 0), small.x, small.y)
    for name, found in outcome.scores.items():
        assert {**found, "seconds": 0} == {**asdict(expected[name]), "seconds": 0}
    assert outcome.scores.keys() == expected.keys()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("processes", 0),
        ("processes_per_gpu", 0),
        ("threads", 0),
        ("deadline_seconds", 0.0),
        ("proxy_seconds", 0.0),
        ("tasks_per_process", -1),
        ("gpus", ("0", "0")),
    ],
)
def test_options_say_what_is_allowed(option: str, value: Any) -> None:
    with pytest.raises(InputError, match=option):
        ProcessOptions(**{option: value})


def test_gpus_are_found_without_touching_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert visible_gpus() == ("0", "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-7,-1,0")
    assert visible_gpus() == ("3", "GPU-7")
    assert not torch.cuda.is_initialized()


def test_each_gpu_has_a_process() -> None:
    assert ProcessOptions(gpus=("0", "GPU-7"), processes=9).visible == ("0", "GPU-7")
    assert ProcessOptions(gpus=("0", "GPU-7"), processes_per_gpu=2).visible == ("0", "GPU-7", "0", "GPU-7")
    assert ProcessOptions(processes=3).visible == ("", "", "")
