"""Backend without processes and networks, for measurements of everything around it."""

import heapq
import json
import random
from concurrent.futures import Future
from dataclasses import asdict
from threading import Condition, Thread
from time import monotonic

from common.errors import InputError
from proxies import Score
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


class SimulatedBackend(Backend):
    """Backend whose workers only wait. Its scores are random numbers.

    Tasks and outcomes are serialised as they are for workers in other processes. One thread waits for all workers.

    Args:
        workers: number of workers.
        task_seconds: duration of a task, in seconds.
    """

    def __init__(self, workers: int, task_seconds: float) -> None:
        self._workers, self._task_seconds = workers, task_seconds
        self._changed = Condition()
        self._state: BackendState = "starting"
        self._deadlines: list[tuple[float, str]] = []  # heap
        self._tasks: dict[str, tuple[str, Future[TaskOutcome]]] = {}
        self._random = random.Random(0)
        self._done = 0
        self._thread = Thread(target=self._run, name="simulated backend", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        with self._changed:
            if self._state != "starting":
                raise RuntimeError("a backend starts once")
            self._state = "ready"
        self._thread.start()

    def submit(self, task: Task) -> "Future[TaskOutcome]":
        """See `Backend.submit`."""
        message = task.to_json()
        future: Future[TaskOutcome] = Future()
        future.set_running_or_notify_cancel()
        with self._changed:
            if task.id in self._tasks:
                raise InputError("id", task.id, "an id that no other task of the backend has")
            if self._state != "ready" or len(self._tasks) >= self._workers:
                raise TaskRejectedError("every worker has a task" if self._state == "ready" else self._state)
            self._tasks[task.id] = message, future
            heapq.heappush(self._deadlines, (monotonic() + self._task_seconds, task.id))
            self._changed.notify()
        return future

    def cancel(self, task_id: str) -> bool:
        """See `Backend.cancel`."""
        return self._abandon([task_id], "cancelled", "cancelled by the caller") > 0

    @property
    def capacity(self) -> int:
        """See `Backend.capacity`."""
        with self._changed:
            return self._workers - len(self._tasks) if self._state == "ready" else 0

    @property
    def state(self) -> BackendState:
        """See `Backend.state`."""
        with self._changed:
            return self._state

    def health(self) -> BackendHealth:
        """See `Backend.health`; which worker has which task is not simulated."""
        with self._changed:
            running, state = list(self._tasks), self._state

        def worker(index: int) -> WorkerHealth:
            task = running[index] if index < len(running) else None
            activity: WorkerState = "stopped" if state == "stopped" else "idle" if task is None else "busy"
            return WorkerHealth(index, "simulated", activity, None, task, None, 0, 0, self._done, None)

        return BackendHealth(state, [worker(index) for index in range(self._workers)])

    def drain(self, timeout: float) -> None:
        """See `Backend.drain`."""
        with self._changed:
            self._state = "stopped" if self._state == "stopped" else "draining"
            self._changed.wait_for(lambda: not self._tasks, timeout)
        self._abandon(list(self._tasks), "interrupted", "the backend was drained")

    def stop(self) -> None:
        """See `Backend.stop`."""
        self.drain(0)
        with self._changed:
            self._state = "stopped"
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._due():
                    if self._state == "stopped":
                        return
                    self._changed.wait(max(0.0, self._deadlines[0][0] - monotonic()) if self._deadlines else None)
                finished = []
                while self._due():
                    entry = self._tasks.pop(heapq.heappop(self._deadlines)[1], None)
                    if entry is not None:  # otherwise it was cancelled
                        finished.append(entry)
                self._done += len(finished)
                self._changed.notify_all()
            for message, future in finished:
                reply = self._reply(Task.from_json(message))
                future.set_result(TaskOutcome.from_fields(json.loads(reply)))

    def _due(self) -> bool:
        return bool(self._deadlines) and self._deadlines[0][0] <= monotonic()

    def _reply(self, task: Task) -> str:
        scores = {
            name: asdict(Score(self._random.random(), None, "ok", self._task_seconds / len(task.proxies)))
            for name in task.proxies
        }
        return TaskOutcome(task.id, scores, self._task_seconds, worker=0).to_json()

    def _abandon(self, task_ids: list[str], kind: FailureKind, reason: str) -> int:
        with self._changed:
            held = [(task_id, self._tasks.pop(task_id, None)) for task_id in task_ids]
            self._changed.notify_all()
        known = [(task_id, entry[1]) for task_id, entry in held if entry is not None]
        for task_id, future in known:
            future.set_result(TaskOutcome(task_id, None, 0.0, Failure(kind, reason)))
        return len(known)
