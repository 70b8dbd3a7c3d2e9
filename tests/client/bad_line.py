"""A proxy on a bad line: it drops connections before, during and after requests, delays them, and sends them twice."""

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

FAULTS = ("before", "during", "after", "half", "late", "twice")
SHARE = 0.5
"""Of the requests to which something happens."""


class BadLine(ThreadingHTTPServer):
    """Seeded.

    Attributes:
        happened: what, and how often.
    """

    daemon_threads = True

    def __init__(self, url: str, seed: int) -> None:
        self.target = url
        self.happened = Counter[str]()
        self._rng, self._lock = random.Random(seed), threading.Lock()
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def fault(self) -> str:
        """What happens to the next request."""
        with self._lock:
            fault = self._rng.choice(FAULTS) if self._rng.random() < SHARE else "none"
            self.happened[fault] += 1
        return fault

    def handle_error(self, *_: Any) -> None:
        """Connections that break are what this is for."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: BadLine

    def __getattr__(self, name: str) -> Any:
        if name in ("do_GET", "do_POST", "do_DELETE"):
            return self._pass_on
        raise AttributeError(name)

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault = self.server.fault()
        self.close_connection = True
        if fault == "before":
            return
        if fault == "during":
            self._half_sent(body)
            return
        if fault == "late":
            time.sleep(0.3)
        if fault == "twice":
            self._asked(body).read()
        with self._streamed(body) as response:
            if fault == "after":
                if "event-stream" not in response.headers.get("Content-Type", ""):
                    response.read()
                return
            self._answer(response, fault == "half")

    def _answer(self, response: httpx.Response, half: bool) -> None:
        self.send_response_only(response.status_code)
        for name, value in response.headers.items():
            if name not in ("connection", "transfer-encoding"):
                self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        left = int(response.headers.get("Content-Length", 4000)) // 2 if half else None
        for piece in response.iter_raw():
            self.wfile.write(piece[:left])
            self.wfile.flush()
            if left is not None and (left := left - len(piece)) <= 0:
                return

    def _half_sent(self, body: bytes) -> None:
        def half() -> Iterator[bytes]:
            yield body[: len(body) // 2]
            raise ConnectionResetError

        with suppress(ConnectionResetError):
            self._asked(half() if body else b"")

    def _asked(self, content: Any) -> httpx.Response:
        with self._client() as client:
            return client.request(self.command, self.path, content=content, headers=self._headers(content))

    @contextmanager
    def _streamed(self, body: bytes) -> Iterator[httpx.Response]:
        given = {"content": body, "headers": self._headers(body)}
        with self._client() as client, client.stream(self.command, self.path, **given) as response:
            yield response

    def _client(self) -> httpx.Client:
        return httpx.Client(base_url=self.server.target, timeout=60, trust_env=False)

    def _headers(self, content: Any) -> dict[str, str]:
        kept = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
        if not isinstance(content, bytes):  # a body of unknown length that never ends
            kept = {name: value for name, value in kept.items() if name.lower() != "content-length"}
        return kept

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""


@contextmanager
def bad_line(url: str, seed: int) -> Iterator[BadLine]:
    """To the server at the URL."""
    with BadLine(url, seed) as line:
        thread = threading.Thread(target=line.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield line
        finally:
            line.shutdown()
            thread.join()
