"""Proxy of a server that offers architectures of twelve layers, which the real server refuses."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx

from tests.waiting import PATIENCE_S

TOO_DEEP = 12
HOP_BY_HOP_HEADERS = {"connection", "content-length", "date", "host", "server", "transfer-encoding", "accept-encoding"}


@contextmanager
def wider(real_url: str) -> Iterator[tuple[str, list[Any]]]:
    """Run the proxy.

    Yields:
        Its URL, and the list of problems of refused architectures, which grows.
    """
    problems: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP_HEADERS}
            response = httpx.request(
                self.command, real_url + self.path, content=body, headers=headers, timeout=PATIENCE_S, trust_env=False
            )
            document = response.json()
            if self.path == "/v1/spaces":
                document["gcn-nas"]["depths"].append(TOO_DEEP)
            elif "/sample" in self.path:
                document["architectures"][0] = {"space": "gcn-nas", "layers": [["S"]] * TOO_DEEP}
            elif self.path == "/v1/predictions":
                problems.extend(item["error"] for item in document["predictions"] if "error" in item)
            self.send_response(response.status_code)
            text = json.dumps(document).encode()
            for name, value in {**response.headers, "content-length": str(len(text))}.items():
                if name == "content-length" or name.lower() not in HOP_BY_HOP_HEADERS:
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = forward  # noqa: N815

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", problems
        finally:
            server.shutdown()
            thread.join()
