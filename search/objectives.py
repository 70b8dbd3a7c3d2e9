"""Objectives of a search that trains: a command, or a function in this process."""

import json
import math
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any, Protocol

from common.atomic_files import write_atomically
from common.strict_json import loads
from models import Architecture, InputError, SearchSpace
from search import command_runner
from search.command_runner import EXIT, LOCK, STDERR, STDOUT, TASK, is_locked

POLL_INTERVAL_S = 0.05
STOP_TIMEOUT_S = 15.0
MAX_OUTPUT, MAX_ERROR = 1_000_000, 2000
"""Bytes of the end of standard output that are read, and characters of an error that are kept."""
RUNNER = "runner.txt"
"""Errors of the runner itself."""
PLACEHOLDERS = ("{architecture}", "{file}")


@dataclass(frozen=True)
class TrainingResult:
    """Result of one training.

    Attributes:
        value: metric; None if the training failed.
        error: reason of the failure; None if there is a value.
        seconds: time of the training; None if unknown.
        epochs: number of epochs; None if unknown.
        curve: metric after each epoch, or each evaluation; empty if unknown.
    """

    value: float | None
    error: str | None = None
    seconds: float | None = None
    epochs: int | None = None
    curve: tuple[float, ...] = ()


class Objective(Protocol):
    """Trains one architecture. Several threads call it at once."""

    def __call__(self, architecture: Architecture, number: int, stop: Event) -> TrainingResult | None:
        """Train an architecture.

        Args:
            architecture: the architecture.
            number: number of the training in the search, from 1 on.
            stop: set when the search stops.

        Returns:
            The result, also of a failed training; None if the search stopped before there was one.
        """


class FunctionObjective:
    """A Python function, called in this process.

    Args:
        function: takes an architecture and returns its metric, or a mapping `{"value", "seconds", "epochs", "curve"}`
            of which only the value is required. An exception is a failed training.
    """

    def __init__(self, function: Callable[[Architecture], Any]) -> None:
        self.function = function

    def __call__(self, architecture: Architecture, number: int, stop: Event) -> TrainingResult | None:
        """Call the function."""
        started = time.monotonic()
        try:
            result = read_result(self.function(architecture))
        except Exception as error:
            result = TrainingResult(None, printable(f"{type(error).__name__}: {error}"))
        return _timed(result, time.monotonic() - started)


class CommandObjective:
    """A shell command that trains one architecture and prints its metric.

    The last line of standard output is a number, or a JSON object `{"value", "seconds", "epochs", "curve"}` of which
    only the value is required. Another exit code than 0, a time-out and an unreadable last line are failed trainings.

    The command runs in a process group of its own, under a small process that enforces the time-out and stores the exit
    code. Both outlive this process: a search that is started again takes up trainings that still run, and reads the
    results of those that ended meanwhile.

    Args:
        command: command of `sh`. `{architecture}` is replaced by the architecture as JSON, quoted for the shell, and
            `{file}` by the path of a file with the same JSON. `ARCHRANK_ARCHITECTURE` and `ARCHRANK_ARCHITECTURE_FILE`
            hold both.
        space: search space of the architectures.
        folder: folder of the trainings; the command's files are in `0001` and so on.
        timeout: time limit of one training in seconds; None for no limit.

    Raises:
        InputError: a placeholder is inside quotes, or the time-out is not positive.
    """

    def __init__(self, command: str, space: SearchSpace[Any], folder: Path, timeout: float | None = None) -> None:
        _check_quotes(command)
        if timeout is not None and not 0 < timeout < math.inf:
            raise InputError("timeout", timeout, "a number of seconds above 0")
        self.command, self.space, self.folder, self.timeout = command, space, folder.resolve(), timeout

    def __call__(self, architecture: Architecture, number: int, stop: Event) -> TrainingResult | None:
        """Run the command, or take up the training that an earlier process started."""
        folder = self.folder / f"{number:04d}"
        process = None
        if not (folder / EXIT).exists() and not is_locked(folder):
            process = self._start(folder, architecture)
        pids = _read_pids(folder)
        while not (folder / EXIT).exists():
            if stop.wait(POLL_INTERVAL_S):
                return _stop(folder, process)
            if (process is not None and process.poll() is None) or is_locked(folder):
                pids = pids or _read_pids(folder)
            elif not (folder / EXIT).exists():
                return _lost(folder, pids)
        if process is not None:
            process.wait()
        return _read_exit(folder)

    def _start(self, folder: Path, architecture: Architecture) -> "subprocess.Popen[bytes]":
        self._write_task(folder, architecture)
        arguments = [sys.executable, "-I", command_runner.__file__, str(folder)]
        with (folder / RUNNER).open("wb") as errors:
            return subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, start_new_session=True
            )

    def _write_task(self, folder: Path, architecture: Architecture) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        text, file = json.dumps(self.space.to_json(architecture)), folder / "architecture.json"
        write_atomically(file, text.encode() + b"\n")
        command = self.command.replace("{file}", shlex.quote(str(file))).replace("{architecture}", shlex.quote(text))
        environment = {"ARCHRANK_ARCHITECTURE": text, "ARCHRANK_ARCHITECTURE_FILE": str(file)}
        task = {"command": command, "timeout": self.timeout, "environment": environment}
        write_atomically(folder / TASK, json.dumps(task).encode() + b"\n")


def read_result(data: Any) -> TrainingResult:
    """Read the result of a training: a number, or a mapping with `value` and optionally `seconds`, `epochs`, `curve`.

    Raises:
        InputError: a field is malformed, or a number is not finite.
    """
    fields = dict(data) if isinstance(data, Mapping) else {"value": data}
    if "value" not in fields:
        raise InputError("result", data, 'a number, or {"value", "seconds", "epochs", "curve"}')
    value = _number("value", fields["value"])
    seconds = None if fields.get("seconds") is None else _number("seconds", fields["seconds"])
    if seconds is not None and seconds < 0:
        raise InputError("seconds", seconds, "at least 0")
    epochs = fields.get("epochs")
    if epochs is not None and (isinstance(epochs, bool) or not isinstance(epochs, int) or epochs < 0):
        raise InputError("epochs", epochs, "a whole number from 0 on")
    curve = fields.get("curve") or []
    if not isinstance(curve, list | tuple):
        raise InputError("curve", curve, "a list of numbers")
    return TrainingResult(
        value, None, seconds, epochs, tuple(_number(f"curve[{i}]", point) for i, point in enumerate(curve))
    )


def _number(name: str, value: Any) -> float:
    try:
        number = float(value) if not isinstance(value, bool | str) else math.nan
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise InputError(name, value, "a finite number")
    return number


def _timed(result: TrainingResult, seconds: float) -> TrainingResult:
    """Fill in the measured time where the training reports none."""
    known = seconds if result.seconds is None else result.seconds
    return TrainingResult(result.value, result.error, round(known, 3), result.epochs, result.curve)


def _read_exit(folder: Path) -> TrainingResult:
    """Result of a command that has ended."""
    status = json.loads((folder / EXIT).read_bytes())
    if status["error"] is not None:
        result = TrainingResult(None, _with_tail(status["error"], folder))
    else:
        line = _last_line(folder / STDOUT)
        try:
            result = read_result(loads(line.encode(), max_depth=4))
        except InputError as error:
            reason = f"last line of standard output: {error}" if line else "nothing on standard output"
            result = TrainingResult(None, _with_tail(reason, folder))
    return _timed(result, status["seconds"])


def printable(text: str) -> str:
    """Error in one printable line; its beginning and its end if it is longer than `MAX_ERROR` characters."""
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return line if len(line) <= MAX_ERROR else f"{line[: MAX_ERROR // 4]} … {line[-(MAX_ERROR // 2) :]}"


def _with_tail(reason: str, folder: Path) -> str:
    """Reason with the end of standard error."""
    tail = printable(_tail(folder / STDERR, 4 * MAX_ERROR))
    return printable(f"{reason}; standard error: {tail}" if tail else reason)


def _last_line(path: Path) -> str:
    lines = [line for line in _tail(path, MAX_OUTPUT).splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""


def _tail(path: Path, size: int) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - size))
        return file.read().decode(errors="replace")


def _read_pids(folder: Path) -> list[int]:
    """Process ids of the runner and of the command's group; fewer if they are not known yet."""
    with suppress(OSError, ValueError):
        return [int(pid) for pid in (folder / LOCK).read_text().split()]
    return []


def _stop(folder: Path, process: "subprocess.Popen[bytes] | None") -> TrainingResult | None:
    """End a training; its result if it ended before."""
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while time.monotonic() < deadline and ((process is not None and process.poll() is None) or is_locked(folder)):
        if is_locked(folder) and (pids := _read_pids(folder)):
            with suppress(ProcessLookupError):
                os.kill(pids[0], signal.SIGTERM)
        time.sleep(POLL_INTERVAL_S)
    if process is not None and process.poll() is None:
        _kill_group(_read_pids(folder))
        process.kill()
        process.wait()
    return _read_exit(folder) if (folder / EXIT).exists() else None


def _lost(folder: Path, pids: list[int]) -> TrainingResult:
    """Failure of a training whose runner was killed while this process watched; kills the command's processes."""
    _kill_group(pids)
    return TrainingResult(
        None, printable(f"the process that ran the training was killed {_tail(folder / RUNNER, 500)}")
    )


def _kill_group(pids: list[int]) -> None:
    """Kill the command's processes, if their group is known."""
    if len(pids) == 2:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pids[1], signal.SIGKILL)


def _check_quotes(command: str) -> None:
    """Raise `InputError` for a placeholder inside quotes, where its own quotes would end them."""
    if not command.strip():
        raise InputError("objective", command, "a command")
    quote, i = "", 0
    while i < len(command):
        character = command[i]
        if quote and command.startswith(PLACEHOLDERS, i):
            raise InputError("objective", command, "placeholders outside of quotes: they are quoted already")
        if character == "\\" and quote != "'":
            i += 1
        elif character in "'\"" and quote in ("", character):
            quote = "" if quote else character
        i += 1
