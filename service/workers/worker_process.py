"""A worker of the process backend: its process, the connection to it, and its restarts."""

import contextlib
import json
import logging
import signal
from concurrent.futures import Future
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from socket import socket, socketpair
from time import monotonic
from typing import Any

from service.failures import FailureKind
from service.workers.backend import Task, TaskOutcome, WorkerHealth, WorkerState
from service.workers.worker_main import bootstrap

log = logging.getLogger(__name__)
SPAWN = get_context("spawn")
SEND_TIMEOUT_S = 10
KILL_TIMEOUT_S = 10
MAX_REPLY_BYTES = 1 << 20
RECEIVE_BYTES = 1 << 16
MAX_START_FAILURES = 3
"""Number of consecutive failed starts after which a worker is unhealthy."""
MIN_BACKOFF_S, MAX_BACKOFF_S = 0.5, 30.0
"""Wait before a restart: none at first, then the minimum, doubled each time up to the maximum."""


class InvalidReplyError(Exception):
    """A process sent an invalid reply."""


@dataclass(eq=False)
class PendingTask:
    """A task that a backend holds.

    Attributes:
        task: the task.
        message: the task in JSON.
        future: future of the outcome.
        attempts: number of started attempts.
    """

    task: Task
    message: bytes
    future: "Future[TaskOutcome]" = field(default_factory=Future)
    attempts: int = 0


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


class WorkerProcess:
    """A worker, whose process is replaced when it fails. Not thread-safe; the backend holds its lock.

    Args:
        index: index among the backend's workers.
        visible_devices: the GPU, as in CUDA_VISIBLE_DEVICES; empty for the CPU.
        entry_point: `module:function` that runs in the process.
        setup: JSON text for the entry point.
        start_timeout: time in seconds within which the process must be ready.

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

    def __init__(self, index: int, visible_devices: str, entry_point: str, setup: str, start_timeout: float) -> None:
        self.index, self.device = index, visible_devices or "cpu"
        self._visible_devices, self._entry_point, self._setup = visible_devices, entry_point, setup
        self._start_timeout = start_timeout
        self.state: WorkerState = "stopped"
        self.since = monotonic()
        self.deadline: float | None = None
        self.pending: PendingTask | None = None
        self.process_tasks = self.done = self.restarts = self.recycled = self.start_failures = 0
        self.last_error: str | None = None
        self._process: BaseProcess | None = None
        self._channel: socket | None = None
        self._buffer = b""

    @property
    def is_healthy(self) -> bool:
        """True if the worker has a process or will have one soon."""
        return self.start_failures < MAX_START_FAILURES

    @property
    def is_fresh(self) -> bool:
        """True if the next task will be the first of its process."""
        return self.state in ("starting", "stopping", "backoff") or (self.state == "idle" and self.process_tasks == 0)

    @property
    def channel(self) -> socket | None:
        """Socket that is readable when the process has sent a message or closed it; None if messages are ignored."""
        return None if self.state == "stopping" else self._channel

    @property
    def sentinel(self) -> int | None:
        """Handle that is readable when the process has ended."""
        return None if self._process is None else self._process.sentinel

    def spawn(self) -> None:
        """Start a process, or schedule a restart if that fails."""
        self.enter("starting", self._start_timeout)
        try:
            self._spawn()
        except OSError as error:
            self.fail("crash", f"the process could not be spawned: {error}")
            self.log(logging.ERROR, "exit", "the process could not be spawned", error=str(error))
            self.schedule_restart()
        else:
            self.log(logging.INFO, "spawn", "the process was spawned")

    def _spawn(self) -> None:
        ours, theirs = socketpair()
        with theirs:
            arguments = (self._entry_point, theirs, self._visible_devices, self._setup)
            process = SPAWN.Process(target=bootstrap, args=arguments, name=f"worker {self.index}", daemon=True)
            try:
                process.start()
            except OSError:
                ours.close()
                raise
        ours.setblocking(False)
        self._process, self._channel, self._buffer, self.process_tasks = process, ours, b"", 0

    def assign(self, pending: PendingTask, timeout: float | None) -> None:
        """Send a task to the process. Raises `OSError` if it does not accept it."""
        assert self._channel is not None
        self.pending = pending
        self.enter("busy", timeout)
        self._channel.settimeout(SEND_TIMEOUT_S)
        try:
            self._channel.sendall(pending.message + b"\n")
            pending.attempts += 1
        finally:
            self._channel.setblocking(False)

    def mark_ready(self) -> None:
        """Accept tasks after the start of the process."""
        self.log(logging.INFO, "ready", "the process is ready", seconds=monotonic() - self.since)
        self.start_failures = 0
        self.enter("idle")

    def receive(self) -> list[Reply]:
        """Return the replies since the last call. Raises `InvalidReplyError`."""
        while self._channel is not None:
            try:
                received = self._channel.recv(RECEIVE_BYTES)
            except BlockingIOError:
                break
            except OSError:
                received = b""
            if not received:  # the process has ended or is unusable; the sentinel tells how it ended
                self._close_channel()
                self.kill()
            self._buffer += received
            if len(self._buffer) > MAX_REPLY_BYTES:
                raise InvalidReplyError("the process sent more than the maximum size of a reply")
        *lines, self._buffer = self._buffer.split(b"\n")
        return [_parse_reply(line) for line in lines]

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
        if self._process is not None:  # otherwise `reap` has logged its end
            level = logging.INFO if is_expected else logging.WARNING
            self.log(level, kind, reason, attempts=attempts, seconds=monotonic() - self.since)
        if not is_expected:
            self.last_error = reason
        if self.state == "starting":
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

    def kill(self) -> None:
        """Send SIGKILL."""
        if self._process is not None:
            with contextlib.suppress(OSError):
                self._process.kill()

    def stop(self) -> None:
        """Kill the process and ignore its messages; `reap` frees its resources."""
        self.kill()
        self.enter("stopping", KILL_TIMEOUT_S)

    def reap(self) -> str:
        """Free the resources of a process that has ended or was killed, and describe how it ended."""
        self._close_channel()
        if self._process is None:
            return "there was no process"
        self._process.join(KILL_TIMEOUT_S)
        exit_code = self._process.exitcode
        description, level = _describe_exit(exit_code), logging.INFO if self.state == "stopping" else logging.ERROR
        self.log(level, "exit", description, exit_code=exit_code, tasks=self.process_tasks)
        if exit_code is not None:
            self._process.close()
        self._process = None
        return description

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
        return WorkerHealth(self.index, self.device, self.state, self._pid, task, seconds, *counts, self.last_error)

    def log(self, level: int, event: str, message: str, **fields: Any) -> None:
        """Write a structured log line."""
        task = self.pending.task.id if self.pending else None
        extra = {"event": event, "worker": self.index, "device": self.device, "pid": self._pid, "task": task} | fields
        log.log(level, "%s: %s", event, message, extra=extra)

    @property
    def _pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def _close_channel(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None


def _parse_reply(line: bytes) -> Reply:
    try:
        fields = json.loads(line)
        outcome = None if fields["outcome"] is None else TaskOutcome.from_fields(fields["outcome"])
        return Reply(outcome, int(fields["memory_bytes"]), fields.get("error"))
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise InvalidReplyError(f"the process sent an invalid reply: {line[:60]!r}") from error


def _describe_exit(exit_code: int | None) -> str:
    if exit_code is None:
        return "the process was killed, but has not ended yet"
    if exit_code >= 0:
        return f"the process exited with code {exit_code}"
    name = signal.Signals(-exit_code).name if -exit_code in set(signal.Signals) else str(-exit_code)
    return f"the process was killed by {name}"
