"""A worker of a backend: its state, its task, and its restarts."""

import json
import logging
from abc import ABC, abstractmethod
from concurrent.futures import Future
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from service.failures import FailureKind
from service.workers.backend import Task, TaskOutcome, WorkerHealth, WorkerState
from service.workers.child_process import InvalidReplyError

log = logging.getLogger(__name__)
MAX_START_FAILURES = 3
"""Number of consecutive failed starts after which a worker is unhealthy."""
MIN_BACKOFF_S, MAX_BACKOFF_S = 0.5, 30.0
"""Wait before a restart: none at first, then the minimum, doubled each time up to the maximum."""


@dataclass(eq=False)
class PendingTask:
    """A task that a backend holds.

    Attributes:
        task: the task.
        message: the task in JSON.
        future: future of the outcome.
        attempts: number of started attempts, without the interrupted ones.
        interruptions: number of attempts that ended through no fault of the task.
        since: time at which the backend received it.
    """

    task: Task
    message: bytes
    future: "Future[TaskOutcome]" = field(default_factory=Future)
    attempts: int = 0
    interruptions: int = 0
    since: float = field(default_factory=monotonic)


@dataclass(frozen=True)
class Reply:
    """Message of a process: the outcome of its task, or that it is ready (no outcome), or that it exits (an error).

    Attributes:
        outcome: outcome of the task.
        memory_bytes: resident memory of the process.
        error: error after which the process exits.
    """

    outcome: TaskOutcome | None
    memory_bytes: int
    error: str | None

    @classmethod
    def from_json(cls, line: str | bytes) -> "Reply":
        """Deserialise a reply. Raises `InvalidReplyError`."""
        try:
            fields = json.loads(line)
            outcome = None if fields["outcome"] is None else TaskOutcome.from_fields(fields["outcome"])
            return cls(outcome, int(fields["memory_bytes"]), fields.get("error"))
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
            raise InvalidReplyError(f"the process sent an invalid reply: {line[:60]!r}") from error


class Worker(ABC):
    """A worker, whose process is replaced when it fails. Not thread-safe; the backend holds its lock.

    Args:
        index: index among the backend's workers.
        device: `cpu`, or the GPU as in CUDA_VISIBLE_DEVICES.

    Attributes:
        state: state of the worker.
        since: time at which it entered its state.
        deadline: time at which the state has lasted too long (`starting`, `busy`, `stopping`) or long enough
            (`backoff`); None without a limit.
        pending: the task in progress.
        process_tasks: number of tasks that the present process completed.
        done: number of tasks that all processes completed.
        restarts: number of processes replaced after a failure or a cancellation.
        recycled: number of processes replaced on schedule.
        start_failures: number of consecutive failed starts.
        last_error: latest failure.
    """

    def __init__(self, index: int, device: str) -> None:
        self.index, self.device = index, device
        self.state: WorkerState = "stopped"
        self.since = monotonic()
        self.deadline: float | None = None
        self.pending: PendingTask | None = None
        self.process_tasks = self.done = self.restarts = self.recycled = self.start_failures = 0
        self.last_error: str | None = None

    @property
    def is_healthy(self) -> bool:
        """True if the worker has a process or will have one soon."""
        return self.start_failures < MAX_START_FAILURES

    @property
    def is_fresh(self) -> bool:
        """True if the next task will be the first of its process."""
        return self.state in ("pending", "starting", "stopping", "backoff") or (
            self.state == "idle" and self.process_tasks == 0
        )

    @property
    @abstractmethod
    def pid(self) -> int | None:
        """Process id; None without a process."""

    @abstractmethod
    def spawn(self) -> None:
        """Start a process, or schedule a restart if that fails."""

    @abstractmethod
    def stop(self) -> None:
        """Kill the process and ignore its messages."""

    @abstractmethod
    def close(self) -> None:
        """Wait for the end of the process that was killed, and stop for good."""

    @abstractmethod
    def _send(self, message: bytes) -> None:
        """Send a task to the process. Raises `OSError` if it does not accept it."""

    def assign(self, pending: PendingTask, timeout: float | None) -> None:
        """Start an attempt at a task. Raises `OSError` if the process does not accept it."""
        self.pending = pending
        self.enter("busy", timeout)
        self._send(pending.message)
        pending.attempts += 1

    def mark_ready(self) -> None:
        """Accept tasks after the start of the process."""
        self.log(logging.INFO, "ready", "the process is ready", seconds=monotonic() - self.since)
        self.start_failures = 0
        self.enter("idle")

    def complete_task(self) -> None:
        """Accept tasks again after the reply to the last one."""
        self.pending = None
        self.process_tasks += 1
        self.done += 1
        self.enter("idle")

    def fail(self, kind: FailureKind, reason: str) -> None:
        """Kill a process that is unusable, or whose task is abandoned, and drop the task."""
        is_expected = kind in ("cancelled", "interrupted")
        attempts = self.pending.attempts if self.pending else None
        if self.pid is not None:  # otherwise its end is in the log
            level = logging.INFO if is_expected else logging.WARNING
            self.log(level, kind, reason, attempts=attempts, seconds=monotonic() - self.since)
        if not is_expected:
            self.last_error = reason
            if self.state in ("pending", "starting"):
                self.start_failures += 1
        self.pending = None
        self.restarts += 1
        self.stop()

    def recycle(self, memory_bytes: int | None = None) -> None:
        """Replace an idle process on schedule."""
        self.log(
            logging.INFO, "recycle", "the process is replaced", tasks=self.process_tasks, memory_bytes=memory_bytes
        )
        self.recycled += 1
        self.stop()

    def mark_stuck(self) -> None:
        """Count the worker as unhealthy until its killed process has ended."""
        self.start_failures, self.deadline = max(self.start_failures, MAX_START_FAILURES), None
        self.last_error = "the process was killed, but has not ended"
        self.log(logging.ERROR, "stuck", self.last_error)

    def schedule_restart(self) -> None:
        """Have a new process started, immediately or after repeated failures with a backoff."""
        exponent = self.start_failures - 2
        self.enter("backoff", 0.0 if exponent < 0 else min(MIN_BACKOFF_S * 2.0**exponent, MAX_BACKOFF_S))

    def enter(self, state: WorkerState, timeout: float | None = None) -> None:
        """Enter a state, with a deadline after `timeout` seconds."""
        self.state, self.since = state, monotonic()
        self.deadline = None if timeout is None else self.since + timeout

    def health(self) -> WorkerHealth:
        """Return the health of the worker."""
        task, seconds = (self.pending.task.id, monotonic() - self.since) if self.pending else (None, None)
        counts = self.restarts, self.recycled, self.done
        return WorkerHealth(self.index, self.device, self.state, self.pid, task, seconds, *counts, self.last_error)

    def log(self, level: int, event: str, message: str, **fields: Any) -> None:
        """Write a structured log line."""
        task = self.pending.task.id if self.pending else None
        extra = {"event": event, "worker": self.index, "device": self.device, "pid": self.pid, "task": task} | fields
        log.log(level, "%s: %s", event, message, extra=extra)
