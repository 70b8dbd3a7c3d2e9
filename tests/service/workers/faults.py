"""Entry points of faulty workers, see `WorkerOptions.entry_point`. They import no PyTorch, so that they start fast."""

import ctypes
import os
import signal
import time
from collections.abc import Callable
from multiprocessing import current_process
from pathlib import Path
from socket import socket
from typing import Any

from service.workers.backend import Failure, Task, TaskOutcome
from service.workers.worker_main import serve_tasks

START_DIR = "ARCHRANK_TEST_START_DIR"
"""Environment variable of a directory: `hang_at_start` hangs and the others exit while it has no file `well`."""
HEAP: list[bytearray] = []


def run(channel: socket, setup: dict[str, Any]) -> None:
    """Serve with the scorer of `create_scorer`."""
    serve_tasks(channel, create_scorer(setup, channel))


def create_scorer(setup: dict[str, Any], channel: socket | None = None) -> Callable[[Task], TaskOutcome]:
    """Inject the fault of the architecture, e.g. `{"fault": "exit"}`; only if the path `once`, if any, is missing."""

    def score(task: Task) -> TaskOutcome:
        once = task.architecture.get("once")
        if once is None or not Path(once).exists():
            if once is not None:
                Path(once).touch()
            if (outcome := inject(task, channel)) is not None:
                return outcome
        return TaskOutcome(task.id, {"pid": {"value": os.getpid()}}, 0.0)

    return score


def inject(task: Task, channel: socket | None) -> TaskOutcome | None:
    fault = task.architecture.get("fault")
    if channel is not None:
        inject_into_channel(fault, channel)
    match fault:
        case "exit":
            os._exit(3)
        case "segfault":
            signal.signal(signal.SIGSEGV, signal.SIG_DFL)
            ctypes.string_at(0)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            time.sleep(600)
        case "sleep":
            time.sleep(task.architecture["seconds"])
        case "gate":
            while not Path(task.architecture["gate"]).exists():
                time.sleep(0.01)
        case "memory":
            return TaskOutcome(task.id, None, 0.0, Failure("out_of_memory", "MemoryError"))
        case "some memory":
            errors = {"a": None, "b": "out of memory: too large"}
            return TaskOutcome(task.id, {name: {"error": error} for name, error in errors.items()}, 0.0)
        case "device":
            return TaskOutcome(task.id, None, 0.0, Failure("device_error", "AcceleratorError: CUDA error"))
        case "allocate":
            HEAP.append(bytearray(os.urandom(1 << 20)) * 128)
        case "stranger":
            return TaskOutcome("another task", {}, 0.0)
        case "not a number":
            return TaskOutcome(task.id, {"a": {"value": float("nan")}}, 0.0)
    return None


def inject_into_channel(fault: str | None, channel: socket) -> None:
    match fault:
        case "garbage":
            channel.sendall(b"\x00\xffgarbage\n")
        case "half a reply":
            channel.sendall(b'{"outcome": {"task"')
            time.sleep(600)
        case "flood":
            while True:
                channel.sendall(b"x" * 65536)
        case "hang up":
            channel.shutdown(2)
            time.sleep(600)


def exit_at_start(channel: socket, setup: dict[str, Any]) -> None:
    if not (Path(os.environ[START_DIR]) / "well").exists():
        os._exit(7)
    run(channel, setup)


def exit_at_start_of_the_second_worker(channel: socket, setup: dict[str, Any]) -> None:
    (exit_at_start if current_process().name == "worker 1" else run)(channel, setup)


def hang_at_start(channel: socket, setup: dict[str, Any]) -> None:
    if not (Path(os.environ[START_DIR]) / "well").exists():
        time.sleep(600)
    run(channel, setup)
