"""A server that promises more than the real one behind it can do: architectures of twelve layers."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx

TOO_DEEP = 12
HOP = {"connection", "content-length", "date", "host", "server", "transfer-encoding", "accept-encoding"}


@contextmanager
def wider(real: str) -> Iterator[tuple[str, list[Any]]]:
    """Its URL, and the problems of all architectures that the real server has refused, as they come."""
    refused: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP}
            answer = httpx.request(
                self.command, real + self.path, content=body, headers=headers, timeout=60, trust_env=False
            )
            told = answer.json()
            if self.path == "/v1/spaces":
                told["gcn-nas"]["depths"].append(TOO_DEEP)
            elif "/sample" in self.path:
                told["architectures"][0] = {"space": "gcn-nas", "layers": [["S"]] * TOO_DEEP}
            elif self.path == "/v1/predictions":
                refused.extend(one["error"] for one in told["predictions"] if "error" in one)
            self.send_response(answer.status_code)
            text = json.dumps(told).encode()
            for name, value in {**answer.headers, "content-length": str(len(text))}.items():
                if name == "content-length" or name.lower() not in HOP:
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = forward  # noqa: N815

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        listening.daemon_threads = True
        thread = Thread(target=listening.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.server_port}", refused
        finally:
            listening.shutdown()
            thread.join()
