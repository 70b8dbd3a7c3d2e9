"""One of a backend's places for a process: the process that is in it, how to talk to it, and how those before ended."""

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
from service.workers.base import Outcome, ProcessHealth, ProcessState, Task
from service.workers.child import enter

log = logging.getLogger(__name__)
SPAWN = get_context("spawn")
SEND_SECONDS = 10
"""How long a process that should be listening may take to do so."""
END_SECONDS = 10
"""How long a killed process may take to be gone."""
LONGEST_REPLY = 1 << 20
"""In bytes; what is longer is no reply."""
UNHEALTHY = 3
"""Failed starts in a row after which a slot counts as unhealthy."""
BACK_OFF, LONGEST_BACK_OFF = 0.5, 30.0
"""Seconds between attempts to start: at first none, then the one, then twice as long each time up to the other."""


class GarbledError(Exception):
    """A process answered with what is no answer."""


@dataclass(eq=False)
class PendingTask:
    """A task that a backend holds, and how often it was begun."""

    task: Task
    message: bytes
    future: "Future[Outcome]" = field(default_factory=Future)
    tries: int = 0


@dataclass(frozen=True)
class Reply:
    """What a process says: that it is ready (no outcome), what became of its task, or why it ends."""

    outcome: Outcome | None
    memory_bytes: int
    error: str | None


class WorkerProcess:
    """A process and its successors. Not thread-safe; the backend holds its lock.

    Args:
        index: which of the backend's slots.
        visible: the GPU, as CUDA_VISIBLE_DEVICES names it; empty for the CPU.
        entry: `module:function` that runs in the process.
        setup: JSON text for it.
        start_seconds: how long the process may take to be ready.
    """

    def __init__(self, index: int, visible: str, entry: str, setup: str, start_seconds: float) -> None:
        self.index, self.device = index, visible or "cpu"
        self._visible, self._entry, self._setup, self._start_seconds = visible, entry, setup, start_seconds
        self.state: ProcessState = "stopped"
        self.since = monotonic()
        self.due: float | None = None
        """When the state has lasted too long (`starting`, `busy`, `ending`) or long enough (`waiting`)."""
        self.held: PendingTask | None = None
        self.age = 0
        """Tasks that the present process answered."""
        self.done = self.restarts = self.recycled = self.failures = 0
        self.last_error: str | None = None
        self._process: BaseProcess | None = None
        self._line: socket | None = None
        self._buffer = b""

    @property
    def healthy(self) -> bool:
        """Whether there is a process, or there soon will be."""
        return self.failures < UNHEALTHY

    @property
    def fresh(self) -> bool:
        """Whether its next task will be its process's first."""
        return self.state in ("starting", "ending", "waiting") or (self.state == "idle" and self.age == 0)

    @property
    def line(self) -> socket | None:
        """Readable when the process says something or has hung up; None where that is of no interest."""
        return None if self.state == "ending" else self._line

    @property
    def sentinel(self) -> int | None:
        """Readable when the process is gone."""
        return None if self._process is None else self._process.sentinel

    def spawn(self) -> None:
        """Start a process; where that fails, wait for the next attempt."""
        self.to("starting", self._start_seconds)
        try:
            self._spawn()
        except OSError as error:
            self.lose("crash", f"the process could not be spawned: {error}")
            self.say(logging.ERROR, "death", "the process could not be spawned", error=str(error))
            self.retire()
        else:
            self.say(logging.INFO, "spawn", "the process was spawned")

    def _spawn(self) -> None:
        ours, theirs = socketpair()
        with theirs:
            arguments = (self._entry, theirs, self._visible, self._setup)
            process = SPAWN.Process(target=enter, args=arguments, name=f"scorer {self.index}", daemon=True)
            try:
                process.start()
            except OSError:
                ours.close()
                raise
        ours.setblocking(False)
        self._process, self._line, self._buffer, self.age = process, ours, b"", 0

    def begin(self, held: PendingTask, deadline: float | None) -> None:
        """Hand the task to the process. Raises `OSError` where it does not take it."""
        assert self._line is not None
        self.held = held
        self.to("busy", deadline)
        self._line.settimeout(SEND_SECONDS)
        try:
            self._line.sendall(held.message + b"\n")
            held.tries += 1
        finally:
            self._line.setblocking(False)

    def welcome(self) -> None:
        """The process is ready."""
        self.say(logging.INFO, "ready", "the process is ready", seconds=monotonic() - self.since)
        self.failures = 0
        self.to("idle")

    def receive(self) -> list[Reply]:
        """What the process said since. Raises `GarbledError`."""
        while self._line is not None:
            try:
                received = self._line.recv(1 << 16)
            except BlockingIOError:
                break
            except OSError:
                received = b""
            if not received:  # it is gone, or no good any more: its sentinel says which
                self._hang_up()
                self.kill()
            self._buffer += received
            if len(self._buffer) > LONGEST_REPLY:
                raise GarbledError("the process wrote more than any reply is long")
        *lines, self._buffer = self._buffer.split(b"\n")
        return [_reply(line) for line in lines]

    def finish(self) -> None:
        """The process has answered, and is idle."""
        self.held = None
        self.age += 1
        self.done += 1
        self.to("idle")

    def lose(self, kind: FailureKind, why: str) -> None:
        """The process is no good any more, or its task not wanted: kill it, and let go of the task."""
        wanted = kind in ("cancelled", "interrupted")
        tries = self.held.tries if self.held else None
        if self._process is not None:  # or `bury` has told of its death
            level = logging.INFO if wanted else logging.WARNING
            self.say(level, kind, why, tries=tries, seconds=monotonic() - self.since)
        if not wanted:
            self.last_error = why
        if self.state == "starting":
            self.failures += 1
        self.held = None
        self.restarts += 1
        self.end()

    def recycle(self, memory_bytes: int | None = None) -> None:
        """Replace an idle process as a matter of course."""
        self.say(logging.INFO, "recycle", "the process is replaced", tasks=self.age, memory_bytes=memory_bytes)
        self.recycled += 1
        self.end()

    def kill(self) -> None:
        """Send SIGKILL; the sentinel says when the process is gone."""
        if self._process is not None:
            with contextlib.suppress(OSError):
                self._process.kill()

    def end(self) -> None:
        """Kill the process; whatever it says from now on is not heard, and `bury` closes what is open."""
        self.kill()
        self.to("ending", END_SECONDS)

    def bury(self) -> str:
        """Take leave of a process that is gone or about to be, and say how it ended."""
        self._hang_up()
        if self._process is None:
            return "there was no process"
        self._process.join(END_SECONDS)
        code = self._process.exitcode
        how, level = _how(code), logging.INFO if self.state == "ending" else logging.ERROR
        self.say(level, "death", how, exit_code=code, age=self.age)
        if code is not None:
            self._process.close()
        self._process = None
        return how

    def stuck(self) -> None:
        """It was killed and is not gone: nothing can be hoped of this slot until it is."""
        self.failures, self.due = max(self.failures, UNHEALTHY), None
        self.last_error = "the process was killed, and is not gone"
        self.say(logging.ERROR, "stuck", self.last_error)

    def retire(self) -> None:
        """Have a new process take the place of the last one, at once or after a while."""
        exponent = self.failures - 2
        self.to("waiting", 0.0 if exponent < 0 else min(BACK_OFF * 2.0**exponent, LONGEST_BACK_OFF))

    def to(self, state: ProcessState, seconds: float | None = None) -> None:
        """Enter the state, in which something is due after so many seconds."""
        self.state, self.since = state, monotonic()
        self.due = None if seconds is None else self.since + seconds

    def health(self) -> ProcessHealth:
        """How it is."""
        task, seconds = (self.held.task.id, monotonic() - self.since) if self.held else (None, None)
        counts = self.restarts, self.recycled, self.done
        return ProcessHealth(self.index, self.device, self.state, self._pid, task, seconds, *counts, self.last_error)

    def say(self, level: int, event: str, message: str, **fields: Any) -> None:
        """One structured line."""
        task = self.held.task.id if self.held else None
        extra = {"event": event, "slot": self.index, "device": self.device, "pid": self._pid, "task": task} | fields
        log.log(level, "%s: %s", event, message, extra=extra)

    @property
    def _pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def _hang_up(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None


def _reply(line: bytes) -> Reply:
    try:
        fields = json.loads(line)
        outcome = None if fields["outcome"] is None else Outcome.of(fields["outcome"])
        return Reply(outcome, int(fields["memory_bytes"]), fields.get("error"))
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise GarbledError(f"the process wrote what is no reply: {line[:60]!r}") from error


def _how(code: int | None) -> str:
    """How a process ended, in words."""
    if code is None:
        return "the process was killed, and is not gone yet"
    if code >= 0:
        return f"the process ended by itself, with exit code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
    return f"the process was killed by {name}"
