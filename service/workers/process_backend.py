"""Backend that scores in worker processes, several for each GPU or a number on the CPU, any of which may fail.

One thread supervises them. It assigns tasks to idle workers, and if a process ends, exceeds a timeout, runs out of
memory or sends an invalid reply, it replaces the process and tries the task once more, as the first of a new process.
"""

import atexit
import json
import logging
import math
import os
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing import connection
from socket import socketpair
from threading import Lock, Thread
from time import monotonic

import torch

from common.errors import InputError
from models import ProbeBatch
from service.failures import FailureKind
from service.workers.backend import Backend, BackendHealth, BackendState, Failure, Task, TaskOutcome
from service.workers.errors import TaskRejectedError
from service.workers.task_scorer import encode_batches
from service.workers.worker_process import InvalidReplyError, PendingTask, WorkerProcess

log = logging.getLogger(__name__)
MAX_ATTEMPTS = 2
"""Number of attempts at a task that damages its worker."""
WAKEUP_BYTES = 1 << 12


@dataclass(frozen=True)
class WorkerOptions:
    """Options of a `ProcessBackend`. Times are in seconds.

    Attributes:
        gpus: GPUs as in CUDA_VISIBLE_DEVICES; the CPU if empty.
        num_workers: number of workers on the CPU.
        workers_per_gpu: number of workers that share a GPU. With small batches a worker waits for its Python code more
            than for the GPU; each has its own CUDA context, of about half a GiB.
        num_threads: PyTorch threads of a worker; an equal share of this process's if None.
        task_timeout: maximum time of one attempt at a task.
        score_timeout: maximum time of a proxy, which fails alone; no limit if None.
        start_timeout: maximum time until a process is ready.
        max_tasks_per_worker: number of tasks after which a process is replaced, which takes a few seconds.
        max_memory_bytes: resident memory after a task above which a process is replaced; no limit if None.
        entry_point: `module:function` that runs in the processes.
        log: style and level of the workers' logs, see `logs.setup`; no logs if None.
    """

    gpus: tuple[str, ...] = ()
    num_workers: int = 1
    workers_per_gpu: int = 1
    num_threads: int | None = None
    task_timeout: float = 120.0
    score_timeout: float | None = None
    start_timeout: float = 120.0
    max_tasks_per_worker: int = 1000
    max_memory_bytes: int | None = None
    entry_point: str = "service.workers.worker_main:run"
    log: tuple[str, str] | None = None

    def __post_init__(self) -> None:
        counts = ("num_workers", "workers_per_gpu", "num_threads", "max_tasks_per_worker", "max_memory_bytes")
        for name in (*counts, "task_timeout", "score_timeout", "start_timeout"):
            if (value := getattr(self, name)) is not None and not value > 0:
                raise InputError(name, value, "above 0")
        if not all(self.gpus) or len(set(self.gpus)) < len(self.gpus):
            raise InputError("gpus", self.gpus, "each GPU once, by its number or its UUID")

    @property
    def visible_devices(self) -> tuple[str, ...]:
        """CUDA_VISIBLE_DEVICES of each worker."""
        return self.gpus * self.workers_per_gpu or ("",) * self.num_workers


def visible_gpus() -> tuple[str, ...]:
    """Return the GPUs that this process may use, as in CUDA_VISIBLE_DEVICES, without initialising CUDA."""
    names, count = os.environ.get("CUDA_VISIBLE_DEVICES", ""), torch.cuda.device_count()
    return tuple(names.split(",")[:count]) if names else tuple(map(str, range(count)))


class ProcessBackend(Backend):
    """Backend with one task per worker process. The present process never uses the device.

    A task that damages its worker is tried once more, in a new process, and then fails alone. Cancelling a running task
    kills its process, the only way to stop it.

    Args:
        batches: probe batches by fingerprint, sent to every process when it starts; tasks specify all others.
        options: options of the workers.
    """

    def __init__(self, batches: Mapping[str, ProbeBatch], options: WorkerOptions | None = None) -> None:
        self._options = options = options or WorkerOptions()
        num_threads = options.num_threads or max(1, torch.get_num_threads() // len(options.visible_devices))
        setup = json.dumps(
            {
                "num_threads": num_threads,
                "score_timeout": options.score_timeout,
                "log": options.log,
                "probe_batches": encode_batches(batches),
            }
        )
        self._workers = [
            WorkerProcess(index, devices, options.entry_point, setup, options.start_timeout)
            for index, devices in enumerate(options.visible_devices)
        ]
        self._lock = Lock()
        self._closed: BackendState | None = None
        self._has_been_ready = False
        self._queue: deque[PendingTask] = deque()
        self._resolved: list[tuple[Future[TaskOutcome], TaskOutcome]] = []
        self._out_of_memory = self._timeouts = 0
        self._wakeup_r, self._wakeup_w = socketpair()
        self._wakeup_w.setblocking(False)
        self._thread = Thread(target=self._supervise, name="process backend", daemon=True)

    def start(self) -> None:
        """Spawn the processes without waiting until they are ready. Raises `RuntimeError` the second time."""
        with self._lock:
            if self._closed or self._thread.ident is not None:
                raise RuntimeError("a backend starts once")
            for worker in self._workers:
                worker.spawn()
            self._thread.start()
        atexit.register(self.stop)

    def submit(self, task: Task) -> "Future[TaskOutcome]":
        """See `Backend.submit`."""
        pending = PendingTask(task, task.to_json().encode())
        pending.future.set_running_or_notify_cancel()  # only `cancel` may cancel it
        with self._locked():
            if task.id in self._task_ids():
                raise InputError("id", task.id, "an id that no other task of the backend has")
            if self._free_capacity() < 1:
                state = self._state()
                raise TaskRejectedError("every worker has a task" if state == "ready" else f"the backend is {state}")
            self._queue.append(pending)
        self._wake()
        return pending.future

    def cancel(self, task_id: str) -> bool:
        """See `Backend.cancel`."""
        with self._locked():
            is_known = task_id in self._task_ids()
            self._abandon([task_id], "cancelled", "cancelled by the caller")
        self._wake()
        return is_known

    @property
    def capacity(self) -> int:
        """See `Backend.capacity`: a task for each healthy worker, less the tasks that are held."""
        with self._lock:
            return self._free_capacity()

    def health(self) -> BackendHealth:
        """See `Backend.health`."""
        with self._lock:
            workers, state = [worker.health() for worker in self._workers], self._state()
            return BackendHealth(
                state,
                workers,
                queued=len(self._queue),
                restarts=sum(worker.restarts for worker in self._workers),
                out_of_memory=self._out_of_memory,
                timeouts=self._timeouts,
                last_error=self._last_error() if state == "unhealthy" else None,
            )

    def drain(self, timeout: float) -> None:
        """See `Backend.drain`. Queued tasks are interrupted at once; `stop` ends the processes."""
        with self._locked():
            self._closed = self._closed or "draining"
            self._abandon([pending.task.id for pending in self._queue], "interrupted", "the backend was drained")
            running = [worker.pending.future for worker in self._workers if worker.pending]
        wait_for(running, timeout)
        with self._locked():
            self._abandon(self._task_ids(), "interrupted", f"the backend was drained, with a timeout of {timeout:g} s")
        self._wake()

    def stop(self) -> None:
        """See `Backend.stop`. Returns when the processes have ended."""
        with self._locked():
            self._closed = "stopped"
            self._abandon(self._task_ids(), "interrupted", "the backend was stopped")
        self._wake()
        if self._thread.ident is not None:
            self._thread.join()
        atexit.unregister(self.stop)
        self._wakeup_r.close()
        self._wakeup_w.close()

    # Methods of the supervising thread: the only one to spawn and close, as it must not wait on a closed handle.

    def _supervise(self) -> None:
        try:
            while self._closed != "stopped":
                self._step()
        except Exception:
            log.exception("the workers are no longer supervised")
        with self._locked():
            self._closed = "stopped"
            self._abandon(self._task_ids(), "interrupted", "the backend has failed")
            for worker in self._workers:
                worker.stop()
            for worker in self._workers:
                worker.reap()
                worker.enter("stopped")

    def _step(self) -> None:
        """Wait for an event or a deadline, and handle it."""
        with self._lock:
            handles = [
                handle for worker in self._workers for handle in (worker.channel, worker.sentinel) if handle is not None
            ]
            timeouts = [worker.deadline - monotonic() for worker in self._workers if worker.deadline is not None]
        ready = connection.wait([self._wakeup_r, *handles], max(0.0, min(timeouts)) if timeouts else None)
        with self._locked():
            if self._wakeup_r in ready:
                self._wakeup_r.recv(WAKEUP_BYTES)
            if self._closed == "stopped":
                return
            for worker in self._workers:
                if worker.channel in ready:
                    self._handle_replies(worker)
                if worker.sentinel in ready:
                    self._handle_exit(worker)
                elif worker.deadline is not None and worker.deadline <= monotonic():
                    self._handle_deadline(worker)
            self._dispatch()

    def _handle_replies(self, worker: WorkerProcess) -> None:
        try:
            for reply in worker.receive():
                pending = worker.pending
                if worker.state == "stopping":
                    break
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
        except InvalidReplyError as error:
            self._fail(worker, "crash", str(error))

    def _handle_outcome(
        self, worker: WorkerProcess, pending: PendingTask, outcome: TaskOutcome, memory_bytes: int
    ) -> None:
        if damage := outcome.damage:
            self._out_of_memory += damage == "out_of_memory"
            detail = outcome.failure.detail if outcome.failure else "a proxy ran out of memory"
            self._fail(worker, damage, detail, outcome)
            return
        worker.complete_task()
        self._resolve(pending, outcome)
        max_memory_bytes = self._options.max_memory_bytes or math.inf
        if worker.process_tasks >= self._options.max_tasks_per_worker or memory_bytes > max_memory_bytes:
            worker.recycle(memory_bytes)

    def _handle_exit(self, worker: WorkerProcess) -> None:
        is_expected = worker.state == "stopping"
        description = worker.reap()
        if not is_expected:
            self._fail(worker, "crash", description)
        worker.schedule_restart()

    def _handle_deadline(self, worker: WorkerProcess) -> None:
        if worker.state == "backoff":
            worker.spawn()
        elif worker.state == "stopping":
            worker.mark_stuck()
        elif worker.state == "starting":
            self._fail(worker, "crash", f"the process was not ready within {self._options.start_timeout:g} s")
        else:
            self._timeouts += 1
            self._fail(worker, "timeout", f"it took longer than {self._options.task_timeout:g} s")

    def _fail(self, worker: WorkerProcess, kind: FailureKind, detail: str, last: TaskOutcome | None = None) -> None:
        """Replace an unusable process, and retry its task.

        Args:
            worker: worker of the process.
            kind: kind of failure.
            detail: description of the failure.
            last: outcome after the last attempt; the failure if None.
        """
        seconds, pending = monotonic() - worker.since, worker.pending
        worker.fail(kind, detail)
        if pending is None:
            return
        if pending.attempts >= MAX_ATTEMPTS:
            failure = Failure(kind, f"{detail}; tried {pending.attempts} times")
            self._resolve(pending, last or TaskOutcome(pending.task.id, None, seconds, failure, pending.attempts))
        elif self._closed:
            failure = Failure("interrupted", f"{detail}; the backend was drained before another attempt")
            self._resolve(pending, TaskOutcome(pending.task.id, None, seconds, failure, pending.attempts))
        else:
            self._queue.appendleft(pending)

    def _dispatch(self) -> None:
        """Assign queued tasks to idle workers; retries come first and need fresh processes."""
        if not any(worker.is_healthy for worker in self._workers):
            reason = f"no process can be started: {self._last_error()}"
            self._abandon([pending.task.id for pending in self._queue], "interrupted", reason)
        retries = sum(pending.attempts > 0 for pending in self._queue)
        missing = retries - sum(worker.is_fresh and worker.is_healthy for worker in self._workers)
        used = [worker for worker in self._workers if worker.state == "idle" and not worker.is_fresh]
        for worker in used[: max(0, missing)]:
            worker.recycle()  # the worker that lost the task cannot be restarted
        for worker in self._workers:
            if worker.state == "idle" and (pending := self._next_task(worker.is_fresh)):
                self._queue.remove(pending)
                try:
                    worker.assign(pending, self._options.task_timeout)
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

    def _task_ids(self) -> set[str]:
        running = (worker.pending for worker in self._workers if worker.pending)
        return {pending.task.id for pending in (*self._queue, *running)}

    def _free_capacity(self) -> int:
        if self._closed or self._thread.ident is None:
            return 0
        return max(0, sum(worker.is_healthy for worker in self._workers) - len(self._task_ids()))

    def _state(self) -> BackendState:
        if self._closed:
            return self._closed
        if not any(worker.is_healthy for worker in self._workers):
            return "unhealthy"
        return "ready" if self._has_been_ready else "starting"

    def _last_error(self) -> str | None:
        return max(self._workers, key=lambda worker: worker.since).last_error

    def _resolve(self, pending: PendingTask, outcome: TaskOutcome) -> None:
        self._resolved.append((pending.future, outcome))

    def _abandon(self, task_ids: Collection[str], kind: FailureKind, reason: str) -> None:
        """Resolve tasks with a failure, and kill the processes that run them."""
        for pending in [pending for pending in self._queue if pending.task.id in task_ids]:
            self._queue.remove(pending)
            self._resolve(pending, TaskOutcome(pending.task.id, None, 0.0, Failure(kind, reason), pending.attempts))
        for worker in self._workers:
            if (running := worker.pending) is not None and running.task.id in task_ids:
                seconds = monotonic() - worker.since
                worker.fail(kind, reason)
                failure = Failure(kind, reason)
                self._resolve(running, TaskOutcome(running.task.id, None, seconds, failure, running.attempts))
