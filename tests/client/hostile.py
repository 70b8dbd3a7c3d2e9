"""A server on a bare socket, which says whatever a test wants, byte by byte."""

import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

Said = Iterable[bytes | float]
"""Bytes to send, and seconds to wait."""


class Hostile:
    """Answers each connection once, and closes it.

    Args:
        answer: of the path, what is said.

    Attributes:
        heads: request line and headers of every request.
    """

    def __init__(self, answer: Callable[[str], Said]) -> None:
        self._answer, self._over = answer, threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._connections = list[threading.Thread]()
        self._listener = threading.Thread(target=self._listen)
        self.heads = list[str]()
        self._listener.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def close(self) -> None:
        self._over.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for thread in (self._listener, *self._connections):
            thread.join()

    def _listen(self) -> None:
        with suppress(OSError):  # closed
            while True:
                connection, _ = self._socket.accept()
                thread = threading.Thread(target=self._serve, args=(connection,))
                self._connections.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            connection.settimeout(30)
            with connection.makefile("rb") as file:
                lines = list(iter(lambda: file.readline().strip().decode("latin-1"), ""))
                self.heads.append("\n".join(lines))
                lengths = [int(line.split(":")[1]) for line in lines if line.lower().startswith("content-length:")]
                file.read(sum(lengths))
            for piece in self._answer(lines[0].split()[1]):
                if isinstance(piece, float):
                    self._over.wait(piece)
                else:
                    connection.sendall(piece)
                if self._over.is_set():
                    return


@contextmanager
def hostile(answer: Callable[[str], Said]) -> Iterator[Hostile]:
    """A server that is closed at the end."""
    server = Hostile(answer)
    try:
        yield server
    finally:
        server.close()


def message(content: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """An answer with a body of this length."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(content)}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + content
