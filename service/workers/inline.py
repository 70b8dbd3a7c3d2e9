"""Scores in this process, in one thread. What kills a process kills this one; nothing running can be stopped."""

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
from models.batches import ProbeBatch
from service.failures import FailureKind
from service.workers.base import (
    Backend,
    BackendState,
    Failure,
    Health,
    Outcome,
    ProcessHealth,
    ProcessState,
    Task,
)
from service.workers.errors import RefusedError
from service.workers.scoring import Scorer


class _Held(NamedTuple):
    task: Task
    future: "Future[Outcome]"
    since: float


class InlineBackend(Backend):
    """For tests and for commands that score a handful of architectures.

    It has no deadline and no limit for a proxy, tries everything once, and takes one task at a time. A task that is
    given up while it runs has its outcome at once, but the thread is busy until its scores are there, unseen; `stop`
    waits for that.

    Args:
        batches: the probe batches by the id that tasks name them by.
        device: torch device.
    """

    def __init__(self, batches: Mapping[str, ProbeBatch], device: str = "cpu") -> None:
        self._scorer = Scorer(batches, torch.device(device))
        self._lock = Lock()
        self._state: BackendState = "starting"
        self._tasks: SimpleQueue[Task | None] = SimpleQueue()
        self._held: _Held | None = None
        self._busy = False
        self._done = self._out_of_memory = 0
        self._thread = Thread(target=self._run, name="inline backend", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        with self._lock:
            if self._state != "starting":
                raise RuntimeError("a backend starts once")
            self._state = "ready"
        self._thread.start()

    def submit(self, task: Task) -> "Future[Outcome]":
        """As `Backend.submit`."""
        task = Task.from_json(task.to_json())  # as it would reach another process
        with self._lock:
            if self._held is not None and self._held.task.id == task.id:
                raise InputError("id", task.id, "an id that no task has which the backend holds")
            if self._state != "ready" or self._busy:
                raise RefusedError("the backend is busy" if self._state == "ready" else f"the backend is {self._state}")
            future: Future[Outcome] = Future()
            future.set_running_or_notify_cancel()
            self._held, self._busy = _Held(task, future, monotonic()), True
        self._tasks.put(task)
        return future

    def cancel(self, task_id: str) -> bool:
        """As `Backend.cancel`."""
        return self._give_up(task_id, "cancelled", "cancelled by the caller")

    @property
    def capacity(self) -> int:
        """1 or 0."""
        with self._lock:
            return int(self._state == "ready" and not self._busy)

    def health(self) -> Health:
        """As `Backend.health`; the one process is this one."""
        with self._lock:
            held, device = self._held, self._scorer.device.type
            state: ProcessState = "stopped" if self._state == "stopped" else "busy" if self._busy else "idle"
            seconds = monotonic() - held.since if held else None
            task = held.task.id if held else None
            process = ProcessHealth(0, device, state, os.getpid(), task, seconds, 0, 0, self._done, None)
            return Health(self._state, [process], out_of_memory=self._out_of_memory)

    def drain(self, timeout: float) -> None:
        """As `Backend.drain`."""
        with self._lock:
            self._state = "stopped" if self._state == "stopped" else "draining"
            held = self._held
        if held is not None:
            wait_for([held.future], timeout)
            self._give_up(held.task.id, "interrupted", "the backend was drained")

    def stop(self) -> None:
        """As `Backend.stop`."""
        self.drain(0)
        with self._lock:
            self._state = "stopped"
        self._tasks.put(None)
        if self._thread.ident is not None:
            self._thread.join()  # PyTorch aborts a process that ends while a thread computes

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            outcome = self._scorer(task)
            with self._lock:
                held, self._held, self._busy = self._held, None, False
                self._done += 1
                self._out_of_memory += outcome.damage == "out_of_memory"
            if held is not None:
                held.future.set_result(outcome)

    def _give_up(self, task_id: str, kind: FailureKind, why: str) -> bool:
        with self._lock:
            if (held := self._held) is None or held.task.id != task_id:
                return False
            self._held = None
        seconds = monotonic() - held.since
        held.future.set_result(Outcome(task_id, None, seconds, Failure(kind, why)))
        return True
