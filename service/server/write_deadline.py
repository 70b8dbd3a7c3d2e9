"""A connection whose client takes nothing of what is sent to it: closed after some seconds."""

import asyncio
import logging
import socket
import struct
from typing import Any

log = logging.getLogger(__name__)
LOOKS = 4
"""Looks at a connection within its deadline."""


class WriteDeadline:
    """A transport that is aborted when nothing could be sent for so long, though something was to be.

    Closing alone would not do: a transport closes when all that was written has been sent.

    Args:
        transport: of the connection.
        loop: that it belongs to.
        seconds: without progress.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._transport, self._loop, self._seconds = transport, loop, seconds
        self._written = self._sent = 0  # bytes
        self._progress = 0.0  # when it was seen last
        self._timer: asyncio.TimerHandle | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send, or keep until it can be sent."""
        self._written += len(data)
        self._transport.write(data)
        if self._timer is None:
            self._progress = self._loop.time()
            self._look_later()

    def stop(self) -> None:
        """Look no more; the connection is lost."""
        if self._timer is not None:
            self._timer.cancel()

    def _look_later(self) -> None:
        self._timer = self._loop.call_later(self._seconds / LOOKS, self._look)

    def _look(self) -> None:
        self._timer = None
        waiting = self._transport.get_write_buffer_size()
        if not waiting:
            return
        now, sent = self._loop.time(), self._written - waiting
        if sent > self._sent:
            self._sent, self._progress = sent, now
        if now - self._progress < self._seconds:
            self._look_later()
        else:
            log.info("a connection is closed: nothing of its answer was taken for %g s", self._seconds)
            self._give_up()

    def _give_up(self) -> None:
        """Close at once, and drop what the system keeps to be sent: it would go on offering that for minutes."""
        connection = self._transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()
