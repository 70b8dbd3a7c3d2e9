"""Server on a bare socket, which sends any bytes that a test defines."""

import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

Chunks = Iterable[bytes | float]
"""Bytes to send, and seconds to wait."""


class RawServer:
    """Server that responds to each connection once, and closes it.

    Args:
        respond: returns the response to a path.

    Attributes:
        heads: request line and headers of every request.
    """

    def __init__(self, respond: Callable[[str], Chunks]) -> None:
        self._respond, self._closed = respond, threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._connections = list[threading.Thread]()
        self._listener = threading.Thread(target=self._listen)
        self.heads = list[str]()
        self._listener.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def close(self) -> None:
        self._closed.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for thread in (self._listener, *self._connections):
            thread.join()

    def _listen(self) -> None:
        with suppress(OSError):  # closed
            while True:
                connection, _ = self._socket.accept()
                thread = threading.Thread(target=self._handle, args=(connection,))
                self._connections.append(thread)
                thread.start()

    def _handle(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            connection.settimeout(30)
            with connection.makefile("rb") as file:
                lines = list(iter(lambda: file.readline().strip().decode("latin-1"), ""))
                self.heads.append("\n".join(lines))
                lengths = [int(line.split(":")[1]) for line in lines if line.lower().startswith("content-length:")]
                file.read(sum(lengths))
            for chunk in self._respond(lines[0].split()[1]):
                if isinstance(chunk, float):
                    self._closed.wait(chunk)
                else:
                    connection.sendall(chunk)
                if self._closed.is_set():
                    return


@contextmanager
def raw_server(respond: Callable[[str], Chunks]) -> Iterator[RawServer]:
    """Run a server."""
    server = RawServer(respond)
    try:
        yield server
    finally:
        server.close()


def http_response(content: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """Return the bytes of a response with a body."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(content)}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + content
