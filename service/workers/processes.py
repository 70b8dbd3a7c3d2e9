"""Scores in processes of its own, some for each GPU or a number on the CPU: none of them matters.

One thread watches them all. It hands a task to whoever is idle, and where a process dies, is over the deadline, runs
out of memory or answers nonsense, it puts another in its place and tries the task once more, as the first one there.
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
from models.batches import ProbeBatch
from service.failures import FailureKind
from service.workers.base import Backend, BackendState, Failure, Health, Outcome, Task
from service.workers.errors import RefusedError
from service.workers.scoring import encode_batches
from service.workers.worker_process import GarbledError, PendingTask, WorkerProcess

log = logging.getLogger(__name__)
TRIES = 2
"""How often a task is begun that its process does not survive."""


@dataclass(frozen=True)
class ProcessOptions:
    """How a `ProcessBackend` works.

    Attributes:
        gpus: as CUDA_VISIBLE_DEVICES names them; none: the CPU.
        processes: how many, on the CPU.
        processes_per_gpu: how many share each GPU. Scoring small batches, a process waits for its Python more than for
            the GPU; each has a CUDA context of its own, about half a GiB.
        threads: of PyTorch in each process; an equal share of this process's where None.
        deadline_seconds: how long one try of a task may take.
        proxy_seconds: how long one proxy may take before it fails alone; no limit where None.
        start_seconds: how long a process may take to be ready.
        tasks_per_process: after so many tasks a process is replaced, which costs the seconds that one takes to start.
        memory_bytes: a process that holds more after a task is replaced; no limit where None.
        entry: `module:function` that runs in the processes.
        log: style and level of the processes' logs, as `logs.setup` takes them; none of their own where None.
    """

    gpus: tuple[str, ...] = ()
    processes: int = 1
    processes_per_gpu: int = 1
    threads: int | None = None
    deadline_seconds: float = 120.0
    proxy_seconds: float | None = None
    start_seconds: float = 120.0
    tasks_per_process: int = 1000
    memory_bytes: int | None = None
    entry: str = "service.workers.child:main"
    log: tuple[str, str] | None = None

    def __post_init__(self) -> None:
        limits = ("deadline_seconds", "proxy_seconds", "start_seconds", "tasks_per_process", "memory_bytes")
        for name in ("processes", "processes_per_gpu", "threads", *limits):
            if (value := getattr(self, name)) is not None and not value > 0:
                raise InputError(name, value, "above 0")
        if not all(self.gpus) or len(set(self.gpus)) < len(self.gpus):
            raise InputError("gpus", self.gpus, "each GPU once, by its number or its UUID")

    @property
    def visible(self) -> tuple[str, ...]:
        """CUDA_VISIBLE_DEVICES of each process."""
        return self.gpus * self.processes_per_gpu or ("",) * self.processes


def visible_gpus() -> tuple[str, ...]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them; finds them without initialising CUDA."""
    names, count = os.environ.get("CUDA_VISIBLE_DEVICES", ""), torch.cuda.device_count()
    return tuple(names.split(",")[:count]) if names else tuple(map(str, range(count)))


class ProcessBackend(Backend):
    """As many tasks at once as there are processes; this process never touches the device.

    A task whose process does not survive it is tried once more, in a fresh process, and then fails alone. Cancelling a
    task that runs kills its process: there is no other way to stop it, and to start a process takes less than what the
    task might take still.

    Args:
        batches: the probe batches by the id that tasks name them by; each process gets them when it starts.
        options: how it works.
    """

    def __init__(self, batches: Mapping[str, ProbeBatch], options: ProcessOptions | None = None) -> None:
        self._options = options = options or ProcessOptions()
        threads = options.threads or max(1, torch.get_num_threads() // len(options.visible))
        told = {"threads": threads, "proxy_seconds": options.proxy_seconds, "log": options.log}
        setup = json.dumps({**told, "batches": encode_batches(batches)})
        self._slots = [
            WorkerProcess(index, visible, options.entry, setup, options.start_seconds)
            for index, visible in enumerate(options.visible)
        ]
        self._lock = Lock()
        self._closed: BackendState | None = None
        self._been_ready = False
        self._queue: deque[PendingTask] = deque()
        self._settled: list[tuple[Future[Outcome], Outcome]] = []
        self._out_of_memory = self._deadlines = 0
        self._bell, self._ringer = socketpair()
        self._ringer.setblocking(False)
        self._thread = Thread(target=self._watch, name="process backend", daemon=True)

    def start(self) -> None:
        """Spawn the processes, and return while they get ready. Raises `RuntimeError` the second time."""
        with self._lock:
            if self._closed or self._thread.ident is not None:
                raise RuntimeError("a backend starts once")
            for slot in self._slots:
                slot.spawn()
            self._thread.start()
        atexit.register(self.stop)

    def submit(self, task: Task) -> "Future[Outcome]":
        """As `Backend.submit`."""
        held = PendingTask(task, task.to_json().encode())
        held.future.set_running_or_notify_cancel()  # or it could be cancelled past the backend
        with self._turn():
            if task.id in self._ids():
                raise InputError("id", task.id, "an id that no task has which the backend holds")
            if self._room() < 1:
                state = self._state()
                raise RefusedError("every process has its task" if state == "ready" else f"the backend is {state}")
            self._queue.append(held)
        self._ring()
        return held.future

    def cancel(self, task_id: str) -> bool:
        """As `Backend.cancel`."""
        with self._turn():
            known = task_id in self._ids()
            self._give_up([task_id], "cancelled", "cancelled by the caller")
        self._ring()
        return known

    @property
    def capacity(self) -> int:
        """As `Backend.capacity`: a task for each process that works or is being started, less those held."""
        with self._lock:
            return self._room()

    def health(self) -> Health:
        """As `Backend.health`."""
        with self._lock:
            processes, state = [slot.health() for slot in self._slots], self._state()
            counts = len(self._queue), sum(slot.restarts for slot in self._slots), self._out_of_memory, self._deadlines
            return Health(state, processes, *counts, self._last_error() if state == "unhealthy" else None)

    def drain(self, timeout: float) -> None:
        """As `Backend.drain`: what has not begun is given up at once. `stop` ends the processes."""
        with self._turn():
            self._closed = self._closed or "draining"
            self._give_up([held.task.id for held in self._queue], "interrupted", "the backend was drained")
            running = [slot.held.future for slot in self._slots if slot.held]
        wait_for(running, timeout)
        with self._turn():
            self._give_up(self._ids(), "interrupted", f"the backend was drained, and waited no more than {timeout:g} s")
        self._ring()

    def stop(self) -> None:
        """As `Backend.stop`; returns when the processes are gone."""
        with self._turn():
            self._closed = "stopped"
            self._give_up(self._ids(), "interrupted", "the backend was stopped")
        self._ring()
        if self._thread.ident is not None:
            self._thread.join()
        atexit.unregister(self.stop)
        self._bell.close()
        self._ringer.close()

    # What the thread does. Once started, it alone spawns and closes, as it must not wait on what another has closed.

    def _watch(self) -> None:
        try:
            while self._closed != "stopped":
                self._step()
        except Exception:
            log.exception("the processes are not watched any more")
        with self._turn():
            self._closed = "stopped"
            self._give_up(self._ids(), "interrupted", "the backend has failed")
            for slot in self._slots:
                slot.end()
            for slot in self._slots:
                slot.bury()
                slot.to("stopped")

    def _step(self) -> None:
        """Sleep until something happens or is due, and see to it."""
        with self._lock:
            watched = [one for slot in self._slots for one in (slot.line, slot.sentinel) if one is not None]
            dues = [slot.due - monotonic() for slot in self._slots if slot.due is not None]
        ready = connection.wait([self._bell, *watched], max(0.0, min(dues)) if dues else None)
        with self._turn():
            if self._bell in ready:
                self._bell.recv(1 << 12)
            if self._closed == "stopped":
                return
            for slot in self._slots:
                if slot.line in ready:
                    self._hear(slot)
                if slot.sentinel in ready:
                    self._bury(slot)
                elif slot.due is not None and slot.due <= monotonic():
                    self._overdue(slot)
            self._assign()

    def _hear(self, slot: WorkerProcess) -> None:
        """A process said something."""
        try:
            for reply in slot.receive():
                if slot.state == "ending":
                    break
                if reply.error is not None:
                    self._lose(slot, "crash", reply.error)
                elif slot.state == "starting" and reply.outcome is None:
                    self._been_ready = True
                    slot.welcome()
                elif slot.held is not None and reply.outcome is not None and reply.outcome.task == slot.held.task.id:
                    outcome = replace(reply.outcome, tries=slot.held.tries, process=slot.index)
                    self._answered(slot, slot.held, outcome, reply.memory_bytes)
                else:
                    raise GarbledError("the process said what it was not asked")
        except GarbledError as error:
            self._lose(slot, "crash", str(error))

    def _answered(self, slot: WorkerProcess, held: PendingTask, outcome: Outcome, memory_bytes: int) -> None:
        if damage := outcome.damage:
            self._out_of_memory += damage == "out_of_memory"
            detail = outcome.failure.detail if outcome.failure else "a proxy ran out of memory"
            self._lose(slot, damage, detail, outcome)
            return
        slot.finish()
        self._settle(held, outcome)
        if slot.age >= self._options.tasks_per_process or memory_bytes > (self._options.memory_bytes or math.inf):
            slot.recycle(memory_bytes)

    def _bury(self, slot: WorkerProcess) -> None:
        """A process is gone."""
        expected = slot.state == "ending"
        how = slot.bury()
        if not expected:
            self._lose(slot, "crash", how)
        slot.retire()

    def _overdue(self, slot: WorkerProcess) -> None:
        """A process has had all its time; or it is time for a new one."""
        if slot.state == "waiting":
            slot.spawn()
        elif slot.state == "ending":
            slot.stuck()
        elif slot.state == "starting":
            self._lose(slot, "crash", f"the process was not ready within {self._options.start_seconds:g} s")
        else:
            self._deadlines += 1
            self._lose(slot, "deadline", f"it took longer than {self._options.deadline_seconds:g} s")

    def _lose(self, slot: WorkerProcess, kind: FailureKind, detail: str, last: Outcome | None = None) -> None:
        """A process is no good any more. Its task is tried once more, or else its outcome is `last` or the failure."""
        seconds, held = monotonic() - slot.since, slot.held
        slot.lose(kind, detail)
        if held is None:
            return
        if held.tries >= TRIES:
            failure = Failure(kind, f"{detail}; tried {held.tries} times")
            self._settle(held, last or Outcome(held.task.id, None, seconds, failure, held.tries))
        elif self._closed:
            failure = Failure("interrupted", f"{detail}; the backend was drained before it could be tried again")
            self._settle(held, Outcome(held.task.id, None, seconds, failure, held.tries))
        else:
            self._queue.appendleft(held)

    def _assign(self) -> None:
        """Hand out what waits: first what is tried again, to fresh processes alone."""
        if not any(slot.healthy for slot in self._slots):
            why = f"no process can be started: {self._last_error()}"
            self._give_up([held.task.id for held in self._queue], "interrupted", why)
        again = sum(held.tries > 0 for held in self._queue)
        lacking = again - sum(slot.fresh and slot.healthy for slot in self._slots)
        for slot in [slot for slot in self._slots if slot.state == "idle" and not slot.fresh][: max(0, lacking)]:
            slot.recycle()  # the process in the place where the task was lost does not come back
        for slot in self._slots:
            if slot.state == "idle" and (held := self._next(slot.fresh)):
                self._queue.remove(held)
                try:
                    slot.begin(held, self._options.deadline_seconds)
                except OSError as error:
                    self._lose(slot, "crash", f"the process does not listen: {error}")

    def _next(self, fresh: bool) -> PendingTask | None:
        return next((held for held in self._queue if fresh or held.tries == 0), None)

    # What is to be called under the lock.

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """State is changed under the lock; futures are resolved after it, as those who wait may call back."""
        with self._lock:
            yield
            settled, self._settled = self._settled, []
        for future, outcome in settled:
            future.set_result(outcome)

    def _ring(self) -> None:
        """Wake the thread."""
        with suppress(OSError):  # it is awake anyway, or gone
            self._ringer.send(b"!")

    def _ids(self) -> set[str]:
        """Of the tasks held."""
        return {held.task.id for held in (*self._queue, *(slot.held for slot in self._slots if slot.held))}

    def _room(self) -> int:
        if self._closed or self._thread.ident is None:
            return 0
        return max(0, sum(slot.healthy for slot in self._slots) - len(self._ids()))

    def _state(self) -> BackendState:
        if self._closed:
            return self._closed
        if not any(slot.healthy for slot in self._slots):
            return "unhealthy"
        return "ready" if self._been_ready else "starting"

    def _last_error(self) -> str | None:
        return max(self._slots, key=lambda slot: slot.since).last_error

    def _settle(self, held: PendingTask, outcome: Outcome) -> None:
        self._settled.append((held.future, outcome))

    def _give_up(self, ids: Collection[str], kind: FailureKind, why: str) -> None:
        """End those tasks with that failure, and the processes that work on them."""
        for held in [held for held in self._queue if held.task.id in ids]:
            self._queue.remove(held)
            self._settle(held, Outcome(held.task.id, None, 0.0, Failure(kind, why), held.tries))
        for slot in self._slots:
            if slot.held is not None and slot.held.task.id in ids:
                seconds, given_up = monotonic() - slot.since, slot.held
                slot.lose(kind, why)
                self._settle(given_up, Outcome(given_up.task.id, None, seconds, Failure(kind, why), given_up.tries))
