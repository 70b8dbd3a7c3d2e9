"""A worker of the process backend: its process, and the connection to it."""

import logging
from socket import socket

from service.workers.child_process import KILL_TIMEOUT_S, ChildProcess
from service.workers.worker import Reply, Worker

MAX_REPLY_BYTES = 1 << 20


class WorkerProcess(Worker):
    """A worker with a process of its own.

    Args:
        index: index among the backend's workers.
        visible_devices: the GPU, as in CUDA_VISIBLE_DEVICES; empty for the CPU.
        entry_point: `module:function` that runs in the process.
        setup: JSON text for the entry point.
        start_timeout: time in seconds within which the process must be ready.
    """

    def __init__(self, index: int, visible_devices: str, entry_point: str, setup: str, start_timeout: float) -> None:
        super().__init__(index, visible_devices or "cpu")
        self._visible_devices, self._entry_point, self._setup = visible_devices, entry_point, setup
        self._start_timeout = start_timeout
        self._process: ChildProcess | None = None

    @property
    def pid(self) -> int | None:
        """See `Worker.pid`."""
        return None if self._process is None else self._process.pid

    @property
    def channel(self) -> socket | None:
        """Socket that is readable when the process has sent a message or closed it; None if messages are ignored."""
        return None if self.state == "stopping" or self._process is None else self._process.channel

    @property
    def sentinel(self) -> int | None:
        """Handle that is readable when the process has ended."""
        return None if self._process is None else self._process.sentinel

    def spawn(self) -> None:
        """See `Worker.spawn`."""
        self.enter("starting", self._start_timeout)
        name = f"worker {self.index}"
        try:
            self._process = ChildProcess(name, self._entry_point, self._visible_devices, self._setup, MAX_REPLY_BYTES)
        except OSError as error:
            self.fail("crash", f"the process could not be spawned: {error}")
            self.log(logging.ERROR, "exit", "the process could not be spawned", error=str(error))
            self.schedule_restart()
        else:
            self.process_tasks = 0
            self.log(logging.INFO, "spawn", "the process was spawned")

    def receive(self) -> list[Reply]:
        """Return the replies since the last call. Raises `InvalidReplyError`."""
        return [] if self._process is None else [Reply.from_json(line) for line in self._process.receive()]

    def stop(self) -> None:
        """Kill the process and ignore its messages; `reap` frees its resources."""
        if self._process is not None:
            self._process.kill()
        self.enter("stopping", KILL_TIMEOUT_S)

    def reap(self) -> str:
        """Free the resources of a process that has ended or was killed, and describe how it ended."""
        if self._process is None:
            return "there was no process"
        description = self._process.reap()
        level = logging.INFO if self.state == "stopping" else logging.ERROR
        self.log(level, "exit", description, exit_code=self._process.exit_code, tasks=self.process_tasks)
        self._process = None
        return description

    def close(self) -> None:
        """See `Worker.close`."""
        self.reap()
        self.enter("stopped")

    def _send(self, message: bytes) -> None:
        if self._process is None:
            raise BrokenPipeError("there is no process")
        self._process.send(message)
