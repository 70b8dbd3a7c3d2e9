"""Deadline of a whole exchange over a blocking connection, whose timeouts apply to single reads and writes."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from typing import Any

import httpx

WRITE_CHUNK_BYTES = 1 << 16
"""Size of the chunks that are written; the deadline is checked before each."""


class Deadline(threading.local):
    """Deadline of the current thread's exchange."""

    _end = inf

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Limit the total time of the exchanges inside the block."""
        self._end = time.monotonic() + seconds
        try:
            yield
        finally:
            self._end = inf

    def remaining(self, timeout: float | None = None) -> float | None:
        """Return the seconds that the next read or write may take.

        Args:
            timeout: seconds that it may take in any case; None for any number.

        Raises:
            httpx.ReadTimeout: the deadline has passed.
        """
        remaining = self._end - time.monotonic()
        if remaining <= 0:
            raise httpx.ReadTimeout("the deadline has passed")
        return timeout if remaining == inf else remaining if timeout is None else min(timeout, remaining)

    def install(self, client: httpx.Client) -> None:
        """Apply the deadline to every connection that the client will open.

        httpx has no public access to its connections; transports without a connection pool are left as they are.
        """
        for transport in (client._transport, *client._mounts.values()):
            pool: Any = getattr(transport, "_pool", None)
            if pool is not None:
                pool._network_backend = _NetworkBackend(pool._network_backend, self)


class _NetworkBackend:
    """Wrapper of an `httpcore.NetworkBackend`; not a subclass, which would import httpcore at once."""

    def __init__(self, backend: Any, deadline: Deadline) -> None:
        self._backend, self._deadline = backend, deadline

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, **options: Any) -> "_NetworkStream":
        timeout = self._deadline.remaining(timeout)
        return _NetworkStream(self._backend.connect_tcp(host, port, timeout=timeout, **options), self._deadline)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)


class _NetworkStream:
    """Wrapper of an `httpcore.NetworkStream`."""

    def __init__(self, stream: Any, deadline: Deadline) -> None:
        self._stream, self._deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        content: bytes = self._stream.read(max_bytes, timeout=self._deadline.remaining(timeout))
        return content

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), WRITE_CHUNK_BYTES):
            chunk = buffer[start : start + WRITE_CHUNK_BYTES]
            self._stream.write(chunk, timeout=self._deadline.remaining(timeout))

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> "_NetworkStream":
        timeout = self._deadline.remaining(timeout)
        return _NetworkStream(self._stream.start_tls(ssl_context, server_hostname, timeout), self._deadline)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
