"""A child process that exchanges lines of JSON with this one."""

import contextlib
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from socket import socket, socketpair

from common.processes import describe_exit
from service.workers.worker_main import bootstrap

SPAWN = get_context("spawn")
SEND_TIMEOUT_S = 10
KILL_TIMEOUT_S = 10
RECEIVE_BYTES = 1 << 16


class InvalidReplyError(Exception):
    """A process sent an invalid reply."""


class ChildProcess:
    """A process that runs an entry point of `worker_main.bootstrap`, and ends with this one.

    Args:
        name: name of the process.
        entry_point: `module:function` that runs in the process.
        visible_devices: the GPU, as in CUDA_VISIBLE_DEVICES; empty for the CPU.
        setup: JSON text for the entry point.
        max_line_bytes: maximum size of a line that it sends.

    Raises:
        OSError: the process could not be spawned.
    """

    def __init__(self, name: str, entry_point: str, visible_devices: str, setup: str, max_line_bytes: int) -> None:
        ours, theirs = socketpair()
        with theirs:
            arguments = (entry_point, theirs, visible_devices, setup)
            process = SPAWN.Process(target=bootstrap, args=arguments, name=name, daemon=True)
            try:
                process.start()
            except OSError:
                ours.close()
                raise
        ours.setblocking(False)
        self._process: BaseProcess = process
        self._channel: socket | None = ours
        self._buffer = b""
        self._max_line_bytes = max_line_bytes
        self.pid: int | None = process.pid
        self.exit_code: int | None = None

    @property
    def channel(self) -> socket | None:
        """Socket that is readable when the process has sent a line or closed it; None once it is closed."""
        return self._channel

    @property
    def sentinel(self) -> int:
        """Handle that is readable when the process has ended."""
        return self._process.sentinel

    def send(self, line: bytes) -> None:
        """Send a line. Raises `OSError` if the process does not accept it."""
        if self._channel is None:
            raise BrokenPipeError("the process has closed the connection")
        self._channel.settimeout(SEND_TIMEOUT_S)
        try:
            self._channel.sendall(line + b"\n")
        finally:
            self._channel.setblocking(False)

    def receive(self) -> list[bytes]:
        """Return the lines since the last call. Raises `InvalidReplyError`."""
        while self._channel is not None:
            try:
                received = self._channel.recv(RECEIVE_BYTES)
            except BlockingIOError:
                break
            except OSError:
                received = b""
            if not received:  # the process has ended or is unusable; the sentinel tells how it ended
                self.close()
                self.kill()
            self._buffer += received
            if len(self._buffer) > self._max_line_bytes:
                raise InvalidReplyError("the process sent more than the maximum size of a reply")
        *lines, self._buffer = self._buffer.split(b"\n")
        return lines

    def close(self) -> None:
        """Close the connection."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def kill(self) -> None:
        """Send SIGKILL."""
        with contextlib.suppress(OSError, ValueError):
            self._process.kill()

    def join(self, timeout: float = KILL_TIMEOUT_S) -> bool:
        """Wait for the end of the process, and return False if it has not ended in time."""
        self._process.join(timeout)
        return self._process.exitcode is not None

    def reap(self) -> str:
        """Free the resources of a process that has ended or was killed, and describe how it ended."""
        self.close()
        self.join()
        self.exit_code = self._process.exitcode
        if self.exit_code is not None:
            self._process.close()
        return describe_exit(self.exit_code)
