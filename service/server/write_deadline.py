"""Timeout of writes: connections whose client does not read the response are closed. Small writes are sent together."""

import asyncio
import logging
import socket
import struct
from typing import Any

log = logging.getLogger(__name__)
CHECKS_PER_TIMEOUT = 4
"""Checks of a connection's progress within its timeout."""
MAX_UNSENT_BYTES = 2**16
"""Bytes that the system buffers before it sends them; of megabytes, the progress of a slow client would stay unseen."""


class WriteDeadline:
    """Transport that is aborted if none of the written data could be sent for a while.

    Closing would not suffice, as a transport closes only after all written data has been sent. The head and the body of
    a response, which uvicorn writes one after the other, are sent in one system call.

    Args:
        transport: transport of the connection.
        loop: its event loop.
        timeout: seconds without progress.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, timeout: float) -> None:
        self._transport, self._loop, self._timeout = transport, loop, timeout
        self._pending, self._pending_bytes = list[bytes](), 0
        self._written_bytes = self._sent_bytes = 0
        self._progress_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        connection = transport.get_extra_info("socket")
        if connection.family in (socket.AF_INET, socket.AF_INET6) and hasattr(socket, "TCP_NOTSENT_LOWAT"):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, MAX_UNSENT_BYTES)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send data with the next flush, at the latest in the next iteration of the event loop."""
        if not self._pending:
            self._loop.call_soon(self.flush)
        self._pending.append(data)
        self._pending_bytes += len(data)
        if self._pending_bytes > MAX_UNSENT_BYTES:
            self.flush()

    def close(self) -> None:
        """Close the connection once all data is sent."""
        self.flush()
        self._transport.close()

    def stop(self) -> None:
        """Stop checking, as the connection is lost."""
        if self._timer is not None:
            self._timer.cancel()

    def flush(self) -> None:
        """Send all written data, or buffer it until it can be sent."""
        if not self._pending:
            return
        data, self._pending, self._pending_bytes = b"".join(self._pending), [], 0
        if self._transport.is_closing():
            return
        self._written_bytes += len(data)
        self._transport.write(data)
        if self._timer is None:
            self._progress_at = self._loop.time()
            self._schedule_check()

    def _schedule_check(self) -> None:
        self._timer = self._loop.call_later(self._timeout / CHECKS_PER_TIMEOUT, self._check)

    def _check(self) -> None:
        self._timer = None
        buffered = self._transport.get_write_buffer_size()
        if not buffered:
            return
        now, sent = self._loop.time(), self._written_bytes - buffered
        if sent > self._sent_bytes:
            self._sent_bytes, self._progress_at = sent, now
        if now - self._progress_at < self._timeout:
            self._schedule_check()
        else:
            log.info("a connection is closed: none of its response could be sent for %g s", self._timeout)
            self._abort()

    def _abort(self) -> None:
        """Close at once and discard the system's send buffer, which would otherwise be retried for minutes."""
        connection = self._transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()
