"""Proxy that drops connections before, during and after requests, delays requests, and sends them twice."""

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from tests.waiting import PATIENCE_S

FAULTS = ("drop before", "drop during", "drop after", "truncate", "delay", "send twice")
FAULT_PROBABILITY = 0.5
DELAY_S = 0.3


class FaultyProxy(ThreadingHTTPServer):
    """Proxy with seeded random faults.

    Attributes:
        counts: number of requests by fault.
    """

    daemon_threads = True

    def __init__(self, url: str, seed: int) -> None:
        self.target = url
        self.counts = Counter[str]()
        self._rng, self._lock = random.Random(seed), threading.Lock()
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def next_fault(self) -> str:
        """Draw the fault of the next request."""
        with self._lock:
            fault = self._rng.choice(FAULTS) if self._rng.random() < FAULT_PROBABILITY else "none"
            self.counts[fault] += 1
        return fault

    def handle_error(self, *_: Any) -> None:
        """Ignore broken connections."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultyProxy

    def __getattr__(self, name: str) -> Any:
        if name in ("do_GET", "do_POST", "do_DELETE"):
            return self._forward
        raise AttributeError(name)

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault = self.server.next_fault()
        self.close_connection = True
        if fault == "drop before":
            return
        if fault == "drop during":
            self._send_half(body)
            return
        if fault == "delay":
            time.sleep(DELAY_S)
        if fault == "send twice":
            self._send(body).read()
        with (
            self._client() as client,
            client.stream(self.command, self.path, content=body, headers=self._headers(body)) as response,
        ):
            if fault == "drop after":
                if "event-stream" not in response.headers.get("Content-Type", ""):
                    response.read()
                return
            self._respond(response, fault == "truncate")

    def _respond(self, response: httpx.Response, truncate: bool) -> None:
        self.send_response_only(response.status_code)
        for name, value in response.headers.items():
            if name not in ("connection", "transfer-encoding"):
                self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        left = int(response.headers.get("Content-Length", 4000)) // 2 if truncate else None
        for chunk in response.iter_raw():
            self.wfile.write(chunk[:left])
            self.wfile.flush()
            if left is not None and (left := left - len(chunk)) <= 0:
                return

    def _send_half(self, body: bytes) -> None:
        def half() -> Iterator[bytes]:
            yield body[: len(body) // 2]
            raise ConnectionResetError

        with suppress(ConnectionResetError):
            self._send(half() if body else b"")

    def _send(self, content: Any) -> httpx.Response:
        with self._client() as client:
            return client.request(self.command, self.path, content=content, headers=self._headers(content))

    def _client(self) -> httpx.Client:
        return httpx.Client(base_url=self.server.target, timeout=PATIENCE_S, trust_env=False)

    def _headers(self, content: Any) -> dict[str, str]:
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
        if not isinstance(content, bytes):  # a body of unknown length
            headers = {name: value for name, value in headers.items() if name.lower() != "content-length"}
        return headers

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@contextmanager
def faulty_proxy(url: str, seed: int) -> Iterator[FaultyProxy]:
    """Run a proxy of the server at the URL."""
    with FaultyProxy(url, seed) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join()
