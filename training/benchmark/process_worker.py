"""Worker processes of a build. Messages to and from them are JSON."""

import json
import signal
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from threading import Lock
from time import monotonic
from typing import Any

from common.errors import describe_error
from common.processes import describe_exit, exit_with_parent
from training.benchmark.pool import WorkerCrashError, WorkerStartError, WorkerTimeoutError
from training.benchmark.task_trainer import EpochCallback, TaskTrainer

STOP = b"stop"
CLOSE_TIMEOUT_S = 5.0


class ProcessWorker:
    """Process that trains one architecture at a time, started again after a crash.

    Args:
        setup: see `TaskTrainer.create`.
        timeout: maximum duration of a training in seconds; None for no limit.
        start_method: start method of `multiprocessing`.
    """

    def __init__(self, setup: Mapping[str, Any], timeout: float | None = None, start_method: str = "spawn") -> None:
        self._setup, self._timeout = json.dumps(setup), timeout
        self._context = get_context(start_method)
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None
        self._lock = Lock()
        """Held while the process is started or replaced, and by calls of other threads."""
        self._stopping = False

    def start(self) -> bool:
        """Start the process, and wait until it has loaded the data; false if the worker was stopped before."""
        with self._lock:
            if self._stopping:
                return False
            self._connection, child = self._context.Pipe()
            self._process = self._context.Process(  # type: ignore[attr-defined]
                target=serve, args=(child, self._setup), daemon=True
            )
            self._process.start()
            child.close()
        try:
            reply = self._receive(None)
        except WorkerCrashError as error:
            if self._stopping:
                return False
            raise WorkerStartError(f"a worker did not start: {error}") from error
        if (problem := reply["error"]) is not None:
            self._reap(CLOSE_TIMEOUT_S)
            raise WorkerStartError(problem)
        return True

    def train(self, task: Mapping[str, Any], on_epoch: EpochCallback) -> dict[str, Any] | None:
        """Train an architecture in the process.

        Args:
            task: see `TaskTrainer.train`.
            on_epoch: called after each epoch.

        Returns:
            The result; None if the training was stopped.

        Raises:
            WorkerStartError: the process cannot start.
            WorkerCrashError: the process ended.
            WorkerTimeoutError: the training took too long; the process was killed.
        """
        if self._connection is None and not self.start():
            return None
        with self._lock:
            if self._stopping:
                return None
            self._send(json.dumps(dict(task)).encode())
        deadline = None if self._timeout is None else monotonic() + self._timeout
        while True:
            message = self._receive(deadline)
            if "epochs_done" not in message:
                result: dict[str, Any] | None = message["result"]
                return result
            on_epoch(message["epochs_done"])

    def stop(self) -> None:
        """Stop after the current epoch. Called from any thread."""
        with self._lock:
            self._stopping = True
            if self._connection is not None:
                self._send(STOP)

    def kill(self) -> None:
        """Stop at once; the epoch is lost. Called from any thread."""
        with self._lock:
            self._stopping = True
            if self._process is not None:
                self._process.kill()

    def close(self) -> None:
        """End the process, which does not train."""
        self.stop()
        self._reap(CLOSE_TIMEOUT_S)

    def _send(self, message: bytes) -> None:
        assert self._connection is not None
        with suppress(OSError):  # the process has ended, which `_receive` notices
            self._connection.send_bytes(message)

    def _receive(self, deadline: float | None) -> dict[str, Any]:
        assert self._connection is not None
        try:
            if deadline is not None and not self._connection.poll(max(0.0, deadline - monotonic())):
                self._reap(0)
                raise WorkerTimeoutError(f"the training took longer than {self._timeout:g} s")
            message: dict[str, Any] = json.loads(self._connection.recv_bytes())
        except (EOFError, OSError) as error:
            raise WorkerCrashError(self._reap(CLOSE_TIMEOUT_S)) from error
        return message

    def _reap(self, timeout: float) -> str:
        """Close the connection, end the process, and describe its end."""
        with self._lock:
            process, self._process = self._process, None
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        if process is None:
            return "the process was not started"
        process.join(timeout)
        if process.is_alive():
            process.kill()
            process.join()
        end = describe_exit(process.exitcode)
        process.close()
        return end


def serve(connection: Connection, setup: str) -> None:
    """Train until the parent closes the connection: the main function of the process.

    Args:
        connection: connection to the parent.
        setup: see `TaskTrainer.create`, as JSON.
    """
    for number in (signal.SIGINT, signal.SIGTERM):  # they reach the whole process group; the parent ends workers
        signal.signal(number, signal.SIG_IGN)
    exit_with_parent()
    try:
        trainer = TaskTrainer.create(json.loads(setup))
    except Exception as error:
        _reply(connection, {"error": describe_error(error)})
        return
    _reply(connection, {"error": None})
    with suppress(EOFError, OSError):
        while (message := connection.recv_bytes()) != STOP:
            result = trainer.train(
                json.loads(message),
                lambda epochs_done: _reply(connection, {"epochs_done": epochs_done}),
                connection.poll,  # the only message during a training is `STOP`
            )
            _reply(connection, {"result": result})


def _reply(connection: Connection, message: dict[str, Any]) -> None:
    connection.send_bytes(json.dumps(message).encode())
