"""Bytes of a connection as requests: what the fuzz target `http-head` reads."""

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
    """Requests as a server would see them: URL, names of headers, body, and whether all of it is there."""

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
    """The requests, and the kind of refusal that ended them. Raises what is none."""
    recorder = Recorder()
    parser = RequestParser(recorder)
    try:
        for part in parts:
            parser.feed_data(part)
    except REFUSALS as error:
        return recorder.requests, type(error).__name__
    return recorder.requests, None


def check(content: bytes, cuts: Sequence[int]) -> None:
    """The requests are the same however they arrive, and each is whole before the next begins."""
    whole = outcome([content])
    places = [0, *sorted(cuts), len(content)]
    assert outcome([content[start:end] for start, end in pairwise(places)]) == whole
    assert all(complete for *_, complete in whole[0][:-1])


def seeds() -> list[bytes]:
    """Good connections."""
    return [POST + upgrade + body + GET for upgrade in (b"", *UPGRADES) for body in BODIES]


def read(content: bytes, folder: Path) -> None:
    """Check the bytes, cut anywhere."""
    random = Random(content)
    check(content, [random.randrange(len(content) + 1) for _ in range(4)])
    check(content, range(len(content)))
