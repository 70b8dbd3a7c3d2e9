"""Backend that scores in a thread of the present process.

Running tasks cannot be stopped, and a crash ends the process.
"""

import os
from collections.abc import Mapping
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from queue import SimpleQueue
from threading import Lock, Thread
from time import monotonic
from typing import NamedTuple

import torch

from common.errors import InputError
from models import ProbeBatch
from service.failures import FailureKind
from service.workers.backend import (
    Backend,
    BackendHealth,
    BackendState,
    Failure,
    Task,
    TaskOutcome,
    WorkerHealth,
    WorkerState,
)
from service.workers.errors import TaskRejectedError
from service.workers.task_scorer import TaskScorer


class _RunningTask(NamedTuple):
    task: Task
    future: "Future[TaskOutcome]"
    started_at: float


class InlineBackend(Backend):
    """Backend for tests, and for commands that score a handful of architectures.

    It has no timeouts, tries every task once, and holds one at a time. A task that is cancelled or interrupted resolves
    at once, but the thread is busy until its scores are computed; `stop` waits for that.

    Args:
        batches: probe batches by fingerprint; tasks specify all others.
        device: torch device.
    """

    def __init__(self, batches: Mapping[str, ProbeBatch], device: str = "cpu") -> None:
        self._scorer = TaskScorer(batches, torch.device(device))
        self._lock = Lock()
        self._state: BackendState = "starting"
        self._tasks: SimpleQueue[Task | None] = SimpleQueue()
        self._running: _RunningTask | None = None
        self._is_busy = False
        self._done = self._out_of_memory = 0
        self._thread = Thread(target=self._run, name="inline backend", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        with self._lock:
            if self._state != "starting":
                raise RuntimeError("a backend starts once")
            self._state = "ready"
        self._thread.start()

    def submit(self, task: Task) -> "Future[TaskOutcome]":
        """See `Backend.submit`."""
        task = Task.from_json(task.to_json())  # as another process would receive it
        with self._lock:
            if self._running is not None and self._running.task.id == task.id:
                raise InputError("id", task.id, "an id that no other task of the backend has")
            if self._state != "ready" or self._is_busy:
                reason = "the backend is busy" if self._state == "ready" else f"the backend is {self._state}"
                raise TaskRejectedError(reason)
            future: Future[TaskOutcome] = Future()
            future.set_running_or_notify_cancel()
            self._running, self._is_busy = _RunningTask(task, future, monotonic()), True
        self._tasks.put(task)
        return future

    def cancel(self, task_id: str) -> bool:
        """See `Backend.cancel`."""
        return self._abandon(task_id, "cancelled", "cancelled by the caller")

    @property
    def capacity(self) -> int:
        """1 or 0."""
        with self._lock:
            return int(self._state == "ready" and not self._is_busy)

    @property
    def state(self) -> BackendState:
        """See `Backend.state`."""
        with self._lock:
            return self._state

    def health(self) -> BackendHealth:
        """See `Backend.health`; the present process is the only worker."""
        with self._lock:
            running, device = self._running, self._scorer.device.type
            state: WorkerState = "stopped" if self._state == "stopped" else "busy" if self._is_busy else "idle"
            seconds = monotonic() - running.started_at if running else None
            task = running.task.id if running else None
            worker = WorkerHealth(0, device, state, os.getpid(), task, seconds, 0, 0, self._done, None)
            return BackendHealth(self._state, [worker], out_of_memory=self._out_of_memory)

    def drain(self, timeout: float) -> None:
        """See `Backend.drain`."""
        with self._lock:
            self._state = "stopped" if self._state == "stopped" else "draining"
            running = self._running
        if running is not None:
            wait_for([running.future], timeout)
            self._abandon(running.task.id, "interrupted", "the backend was drained")

    def stop(self) -> None:
        """See `Backend.stop`."""
        self.drain(0)
        with self._lock:
            self._state = "stopped"
        self._tasks.put(None)
        if self._thread.ident is not None:
            self._thread.join()  # PyTorch aborts a process that exits while a thread computes

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            outcome = self._scorer(task)
            with self._lock:
                running, self._running, self._is_busy = self._running, None, False
                self._done += 1
                self._out_of_memory += outcome.damage == "out_of_memory"
            if running is not None:
                running.future.set_result(outcome)

    def _abandon(self, task_id: str, kind: FailureKind, reason: str) -> bool:
        with self._lock:
            if (running := self._running) is None or running.task.id != task_id:
                return False
            self._running = None
        seconds = monotonic() - running.started_at
        running.future.set_result(TaskOutcome(task_id, None, seconds, Failure(kind, reason)))
        return True
