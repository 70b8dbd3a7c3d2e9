"""Processes that misbehave. Entries for `ProcessOptions.entry`; they import no PyTorch, so that they start fast."""

import ctypes
import os
import signal
import time
from multiprocessing import current_process
from pathlib import Path
from socket import socket
from typing import Any

from service.workers.base import Failure, Outcome, Task
from service.workers.child import serve

START = "ARCHRANK_TEST_START"
"""Names a folder: `hang_at_start` hangs and the others die while there is no file `well` in it."""
HEAP: list[bytearray] = []


def main(line: socket, setup: dict[str, Any]) -> None:
    """Does what the architecture says: `{"deed": "exit"}`; with `once`, a path, only where nothing is there yet."""

    def work(task: Task) -> Outcome:
        once = task.architecture.get("once")
        if once is None or not Path(once).exists():
            if once is not None:
                Path(once).touch()
            if (outcome := deed(task, line)) is not None:
                return outcome
        return Outcome(task.id, {"pid": {"value": os.getpid()}}, 0.0)

    serve(line, work)


def deed(task: Task, line: socket) -> Outcome | None:
    match task.architecture.get("deed"):
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
            return Outcome(task.id, None, 0.0, Failure("out_of_memory", "MemoryError"))
        case "some memory":
            errors = {"a": None, "b": "out of memory: too large"}
            return Outcome(task.id, {name: {"error": error} for name, error in errors.items()}, 0.0)
        case "device":
            return Outcome(task.id, None, 0.0, Failure("device_error", "AcceleratorError: CUDA error"))
        case "allocate":
            HEAP.append(bytearray(os.urandom(1 << 20)) * 128)
        case "garbage":
            line.sendall(b"\x00\xffgarbage\n")
        case "half a reply":
            line.sendall(b'{"outcome": {"task"')
            time.sleep(600)
        case "flood":
            while True:
                line.sendall(b"x" * 65536)
        case "stranger":
            return Outcome("another task", {}, 0.0)
        case "not a number":
            return Outcome(task.id, {"a": {"value": float("nan")}}, 0.0)
        case "hang up":
            line.shutdown(2)
            time.sleep(600)
    return None


def die_at_start(line: socket, setup: dict[str, Any]) -> None:
    if not (Path(os.environ[START]) / "well").exists():
        os._exit(7)
    main(line, setup)


def die_at_start_in_the_second_place(line: socket, setup: dict[str, Any]) -> None:
    (die_at_start if current_process().name == "scorer 1" else main)(line, setup)


def hang_at_start(line: socket, setup: dict[str, Any]) -> None:
    if not (Path(os.environ[START]) / "well").exists():
        time.sleep(600)
    main(line, setup)
