"""Fuzz target `http-head`: parsing the bytes of a connection into requests."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import httptools

from service.server.request_parser import RejectedRequestError, RequestParser

POST = b"POST /a HTTP/1.1\r\nHost: localhost\r\n"
GET = b"GET /b HTTP/1.1\r\nHost: localhost\r\n\r\n"
UPGRADES = (b"Connection: Upgrade\r\nUpgrade: h2c\r\n", b"Upgrade: websocket\r\nConnection: keep-alive, upgrade\r\n")
BODIES = (
    b"Content-Length: 4\r\n\r\nbody",
    b"Transfer-Encoding: chunked\r\n\r\n1\r\nb\r\n3;x=y\r\nody\r\n0\r\nT: u\r\n\r\n",
)
LINES = (b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n", b"Host: a\r\n", b"5", b": ", b"\r\n", b"HTTP/1.0", b"gzip, ")
REFUSALS = (RejectedRequestError, httptools.HttpParserError)


class Recorder:
    """Parser callbacks that record requests: URL, header names, body, completeness."""

    def __init__(self) -> None:
        self.requests: list[list[Any]] = []

    def on_message_begin(self) -> None:
        self.requests.append([b"", [], b"", False])

    def on_url(self, url: bytes) -> None:
        self.requests[-1][0] += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.requests[-1][1].append(name)

    def on_headers_complete(self) -> None:
        pass

    def on_body(self, body: bytes) -> None:
        self.requests[-1][2] += body

    def on_message_complete(self) -> None:
        self.requests[-1][3] = True


def outcome(parts: Sequence[bytes]) -> tuple[list[list[Any]], str | None]:
    """Parse parts, and return the requests and the name of the refusal, if any; other errors are raised."""
    recorder = Recorder()
    parser = RequestParser(recorder)
    try:
        for part in parts:
            parser.feed_data(part)
    except REFUSALS as error:
        return recorder.requests, type(error).__name__
    return recorder.requests, None


def check(content: bytes, cuts: Sequence[int]) -> None:
    """Assert that the requests do not depend on the cuts, and that each is complete before the next begins."""
    whole = outcome([content])
    bounds = [0, *sorted(cuts), len(content)]
    assert outcome([content[start:end] for start, end in pairwise(bounds)]) == whole
    assert all(complete for *_, complete in whole[0][:-1])


def seeds() -> list[bytes]:
    """Return valid connections."""
    return [POST + upgrade + body + GET for upgrade in (b"", *UPGRADES) for body in BODIES]


def read(content: bytes, folder: Path) -> None:
    """Check the bytes with random cuts, and one by one."""
    random = Random(content)
    check(content, [random.randrange(len(content) + 1) for _ in range(4)])
    check(content, range(len(content)))
