"""Base of the backends with several workers, any of which may fail.

One thread supervises them. It assigns tasks to idle workers, and if a process ends, exceeds a timeout, runs out of
memory or sends an invalid reply, it replaces the process and tries the task once more, as the first of a new process.
An attempt that ends through no fault of the task, as on a machine that was lost, is not counted.
"""

import atexit
import logging
import math
from abc import abstractmethod
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing import connection
from socket import socket, socketpair
from threading import Lock, Thread
from time import monotonic
from typing import Generic, TypeVar

from common.errors import InputError
from service.failures import FailureKind
from service.workers.backend import Backend, BackendHealth, BackendState, Failure, Task, TaskOutcome
from service.workers.child_process import InvalidReplyError
from service.workers.errors import TaskRejectedError
from service.workers.worker import PendingTask, Reply, Worker

log = logging.getLogger(__name__)
MAX_ATTEMPTS = 2
"""Number of attempts at a task that damages its worker."""
MAX_INTERRUPTIONS = 5
"""Number of attempts at a task that end through no fault of its own before it fails as interrupted."""
WAKEUP_BYTES = 1 << 12
WorkerT = TypeVar("WorkerT", bound=Worker)


class PoolBackend(Backend, Generic[WorkerT]):
    """Backend with one task per worker.

    A task that damages its worker is tried once more, in a new process, and then fails alone. Cancelling a running task
    kills its process, the only way to stop it.

    Args:
        workers: the workers.
        task_timeout: maximum time of one attempt at a task, in seconds.
        start_timeout: maximum time until a process is ready, in seconds.
        max_tasks_per_worker: number of tasks after which a process is replaced.
        max_memory_bytes: resident memory after a task above which a process is replaced; no limit if None.
    """

    def __init__(
        self,
        workers: Sequence[WorkerT],
        task_timeout: float,
        start_timeout: float,
        max_tasks_per_worker: int,
        max_memory_bytes: int | None = None,
    ) -> None:
        self._workers = workers
        self._task_timeout, self._start_timeout = task_timeout, start_timeout
        self._max_tasks_per_worker, self._max_memory_bytes = max_tasks_per_worker, max_memory_bytes or math.inf
        self._lock = Lock()
        self._closed: BackendState | None = None
        self._has_been_ready = False
        self._held: dict[str, PendingTask] = {}
        self._queue: deque[PendingTask] = deque()
        self._resolved: list[tuple[Future[TaskOutcome], TaskOutcome]] = []
        self._out_of_memory = self._timeouts = self._node_losses = 0
        self._wakeup_r, self._wakeup_w = socketpair()
        self._wakeup_w.setblocking(False)
        self._thread = Thread(target=self._supervise, name=type(self).__name__, daemon=True)

    def start(self) -> None:
        """Start the workers without waiting until they are ready. Raises `RuntimeError` the second time."""
        with self._lock:
            if self._closed or self._thread.ident is not None:
                raise RuntimeError("a backend starts once")
            self._start_workers()
            self._thread.start()
        atexit.register(self.stop)

    def submit(self, task: Task) -> "Future[TaskOutcome]":
        """See `Backend.submit`."""
        pending = PendingTask(task, task.to_json().encode())
        pending.future.set_running_or_notify_cancel()  # only `cancel` may cancel it
        with self._locked():
            if task.id in self._held:
                raise InputError("id", task.id, "an id that no other task of the backend has")
            if self._free_capacity() < 1:
                state = self._state()
                raise TaskRejectedError("every worker has a task" if state == "ready" else f"the backend is {state}")
            self._held[task.id] = pending
            self._queue.append(pending)
        self._wake()
        return pending.future

    def cancel(self, task_id: str) -> bool:
        """See `Backend.cancel`."""
        with self._locked():
            is_known = task_id in self._held
            self._abandon([task_id], "cancelled", "cancelled by the caller")
        self._wake()
        return is_known

    @property
    def capacity(self) -> int:
        """See `Backend.capacity`."""
        with self._lock:
            return self._free_capacity()

    @property
    def state(self) -> BackendState:
        """See `Backend.state`."""
        with self._lock:
            return self._state()

    def health(self) -> BackendHealth:
        """See `Backend.health`."""
        with self._lock:
            workers, state = [worker.health() for worker in self._workers], self._state()
            now = monotonic()
            return BackendHealth(
                state,
                workers,
                queued=len(self._queue),
                restarts=sum(worker.restarts for worker in self._workers),
                out_of_memory=self._out_of_memory,
                timeouts=self._timeouts,
                node_losses=self._node_losses,
                oldest_task_seconds=now - min((pending.since for pending in self._held.values()), default=now),
                last_error=self._outage() if state == "unhealthy" else None,
            )

    def drain(self, timeout: float) -> None:
        """See `Backend.drain`. Queued tasks are interrupted at once; `stop` ends the processes."""
        with self._locked():
            self._closed = self._closed or "draining"
            self._abandon([pending.task.id for pending in self._queue], "interrupted", "the backend was drained")
            running = [worker.pending.future for worker in self._workers if worker.pending]
        wait_for(running, timeout)
        with self._locked():
            self._abandon(list(self._held), "interrupted", f"the backend was drained, with a timeout of {timeout:g} s")
        self._wake()

    def stop(self) -> None:
        """See `Backend.stop`. Returns when the processes have ended."""
        with self._locked():
            self._closed = "stopped"
            self._abandon(list(self._held), "interrupted", "the backend was stopped")
        self._wake()
        if self._thread.ident is not None:
            self._thread.join()
        atexit.unregister(self.stop)
        self._wakeup_r.close()
        self._wakeup_w.close()

    # Methods of each kind of backend, called under the lock in the supervising thread.

    @abstractmethod
    def _start_workers(self) -> None:
        """Start the first workers. Called once, in the thread of `start`."""

    @abstractmethod
    def _handles(self) -> list["socket | int"]:
        """Return the sockets and sentinels to wait for."""

    @abstractmethod
    def _handle_events(self, ready: Collection[object]) -> None:
        """Handle the events of the handles that are ready."""

    def _deadlines(self) -> Iterator[float]:
        """Yield the times at which something has to be done."""
        yield from (worker.deadline for worker in self._workers if worker.deadline is not None)

    def _adjust(self) -> None:
        """Start and release workers as the load demands."""

    def _outage(self) -> str | None:
        """Return the reason why no task can be scored at present; None if tasks can be scored."""
        return None if any(worker.is_healthy for worker in self._workers) else self._last_error() or "no worker"

    def _max_tasks(self) -> int:
        """Return the number of tasks that the backend holds at most: one for each healthy worker."""
        return sum(worker.is_healthy for worker in self._workers)

    def _abandon_in_outage(self, reason: str) -> None:
        """Interrupt queued tasks that cannot be scored at present."""
        ids = [pending.task.id for pending in self._queue]
        self._abandon(ids, "interrupted", f"no process can be started: {reason}")

    def _close_workers(self) -> None:
        """End all processes."""
        for worker in self._workers:
            worker.stop()
        for worker in self._workers:
            worker.close()

    # Methods of the supervising thread: the only one to spawn and close, as it must not wait on a closed handle.

    def _supervise(self) -> None:
        try:
            while self._closed != "stopped":
                self._step()
        except Exception:
            log.exception("the workers are no longer supervised")
        with self._locked():
            self._closed = "stopped"
            self._abandon(list(self._held), "interrupted", "the backend has failed")
            self._close_workers()

    def _step(self) -> None:
        """Wait for an event or a deadline, and handle it."""
        with self._lock:
            handles, end = self._handles(), min(self._deadlines(), default=None)
        ready = connection.wait([self._wakeup_r, *handles], None if end is None else max(0.0, end - monotonic()))
        with self._locked():
            if self._wakeup_r in ready:
                self._wakeup_r.recv(WAKEUP_BYTES)
            if self._closed == "stopped":
                return
            self._handle_events(ready)
            now = monotonic()
            for worker in self._workers:
                if worker.deadline is not None and worker.deadline <= now:
                    self._handle_deadline(worker)
            self._dispatch()
            self._adjust()

    def _handle_reply(self, worker: WorkerT, reply: Reply) -> None:
        """Handle a message of a worker's process. Raises `InvalidReplyError` if it was not expected."""
        pending = worker.pending
        if reply.error is not None:
            self._fail(worker, "crash", reply.error)
        elif worker.state == "starting" and reply.outcome is None:
            self._has_been_ready = True
            worker.mark_ready()
        elif pending is not None and reply.outcome is not None and reply.outcome.task == pending.task.id:
            outcome = replace(reply.outcome, attempts=pending.attempts, worker=worker.index)
            self._handle_outcome(worker, pending, outcome, reply.memory_bytes)
        else:
            raise InvalidReplyError("the process sent an unexpected reply")

    def _handle_outcome(self, worker: WorkerT, pending: PendingTask, outcome: TaskOutcome, memory_bytes: int) -> None:
        if damage := outcome.damage:
            self._out_of_memory += damage == "out_of_memory"
            detail = outcome.failure.detail if outcome.failure else "a proxy ran out of memory"
            self._fail(worker, damage, detail, outcome)
            return
        worker.complete_task()
        self._resolve(pending, outcome)
        if worker.process_tasks >= self._max_tasks_per_worker or memory_bytes > self._max_memory_bytes:
            worker.recycle(memory_bytes)

    def _handle_deadline(self, worker: WorkerT) -> None:
        if worker.state == "backoff":
            worker.spawn()
        elif worker.state == "stopping":
            worker.mark_stuck()
        elif worker.state == "starting":
            self._fail(worker, "crash", f"the process was not ready within {self._start_timeout:g} s")
        else:
            self._timeouts += 1
            self._fail(worker, "timeout", f"it took longer than {self._task_timeout:g} s")

    def _fail(self, worker: WorkerT, kind: FailureKind, detail: str, last: TaskOutcome | None = None) -> None:
        """Replace an unusable process, and retry its task.

        Args:
            worker: worker of the process.
            kind: kind of failure; `interrupted` if the task is not at fault.
            detail: description of the failure.
            last: outcome after the last attempt; the failure if None.
        """
        seconds, pending = monotonic() - worker.since, worker.pending
        worker.fail(kind, detail)
        if pending is None:
            return
        if kind == "interrupted":
            pending.attempts -= 1
            pending.interruptions += 1
        if pending.attempts >= MAX_ATTEMPTS or pending.interruptions > MAX_INTERRUPTIONS:
            failure = Failure(kind, f"{detail}; tried {pending.attempts + pending.interruptions} times")
            self._resolve(pending, last or TaskOutcome(pending.task.id, None, seconds, failure, pending.attempts))
        elif self._closed:
            failure = Failure("interrupted", f"{detail}; the backend was drained before another attempt")
            self._resolve(pending, TaskOutcome(pending.task.id, None, seconds, failure, pending.attempts))
        else:
            self._queue.appendleft(pending)

    def _dispatch(self) -> None:
        """Assign queued tasks to idle workers; retries come first and need fresh processes."""
        if reason := self._outage():
            self._abandon_in_outage(reason)
        retries = sum(pending.attempts > 0 for pending in self._queue)
        missing = retries - sum(worker.is_fresh and worker.is_healthy for worker in self._workers)
        used = [worker for worker in self._workers if worker.state == "idle" and not worker.is_fresh]
        for worker in used[: max(0, missing)]:
            worker.recycle()  # the worker that lost the task cannot be restarted
        for worker in self._workers:
            if worker.state == "idle" and (pending := self._next_task(worker.is_fresh)):
                self._queue.remove(pending)
                try:
                    worker.assign(pending, self._task_timeout)
                except OSError as error:
                    self._fail(worker, "crash", f"the process does not accept tasks: {error}")

    def _next_task(self, is_fresh: bool) -> PendingTask | None:
        return next((pending for pending in self._queue if is_fresh or pending.attempts == 0), None)

    # Methods that are called under the lock.

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock, then resolve futures without it, as their callbacks may call the backend."""
        with self._lock:
            yield
            resolved, self._resolved = self._resolved, []
        for future, outcome in resolved:
            future.set_result(outcome)

    def _wake(self) -> None:
        """Wake the supervising thread."""
        with suppress(OSError):  # the buffer is full, so it will wake, or it has ended
            self._wakeup_w.send(b"!")

    def _free_capacity(self) -> int:
        if self._closed or self._thread.ident is None or self._outage():
            return 0
        return max(0, self._max_tasks() - len(self._held))

    def _state(self) -> BackendState:
        if self._closed:
            return self._closed
        if self._outage():
            return "unhealthy"
        return "ready" if self._has_been_ready else "starting"

    def _last_error(self) -> str | None:
        return max(self._workers, key=lambda worker: worker.since).last_error

    def _resolve(self, pending: PendingTask, outcome: TaskOutcome) -> None:
        del self._held[pending.task.id]
        self._resolved.append((pending.future, outcome))

    def _abandon(self, task_ids: Collection[str], kind: FailureKind, reason: str) -> None:
        """Resolve tasks with a failure, and kill the processes that run them."""
        if not task_ids:
            return
        failure = Failure(kind, reason)
        for pending in [pending for pending in self._queue if pending.task.id in task_ids]:
            self._queue.remove(pending)
            self._resolve(pending, TaskOutcome(pending.task.id, None, 0.0, failure, pending.attempts))
        for worker in self._workers:
            if (running := worker.pending) is not None and running.task.id in task_ids:
                seconds = monotonic() - worker.since
                worker.fail(kind, reason)
                self._resolve(running, TaskOutcome(running.task.id, None, seconds, failure, running.attempts))
