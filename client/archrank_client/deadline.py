"""Deadline of a whole exchange over a blocking connection, whose own timeouts are for one read or write each."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from typing import Any

import httpx

WRITE_BYTES = 1 << 16
"""Size of the pieces that are written, with a look at the deadline before each."""


class Deadline(threading.local):
    """Time by which the exchange of the current thread has to be over."""

    _end = inf

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Let the exchanges of the block take so many seconds in all."""
        self._end = time.monotonic() + seconds
        try:
            yield
        finally:
            self._end = inf

    def left(self, timeout: float | None = None) -> float | None:
        """Seconds that the next read or write may take. Raises `httpx.ReadTimeout` after the deadline."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise httpx.ReadTimeout("the deadline is over")
        return timeout if left == inf else left if timeout is None else min(timeout, left)

    def govern(self, http: httpx.Client) -> None:
        """Hold for every connection that the client will open.

        httpx has no public way to its connections; transports without a pool of connections stay as they are.
        """
        for transport in (http._transport, *http._mounts.values()):
            pool: Any = getattr(transport, "_pool", None)
            if pool is not None:
                pool._network_backend = _Network(pool._network_backend, self)


class _Network:
    """An `httpcore.NetworkBackend`; not derived from it, as that would import httpcore at once."""

    def __init__(self, network: Any, deadline: Deadline) -> None:
        self._network, self._deadline = network, deadline

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, **options: Any) -> "_Stream":
        timeout = self._deadline.left(timeout)
        return _Stream(self._network.connect_tcp(host, port, timeout=timeout, **options), self._deadline)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)


class _Stream:
    """An `httpcore.NetworkStream`."""

    def __init__(self, stream: Any, deadline: Deadline) -> None:
        self._stream, self._deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        found: bytes = self._stream.read(max_bytes, timeout=self._deadline.left(timeout))
        return found

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), WRITE_BYTES):
            self._stream.write(buffer[start : start + WRITE_BYTES], timeout=self._deadline.left(timeout))

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> "_Stream":
        timeout = self._deadline.left(timeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, timeout), self._deadline)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
