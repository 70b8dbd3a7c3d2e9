"""Malformed requests get errors that name what is allowed, never a 5xx, and do not harm the server.

They are in `tests/data`: requests in `bad_requests.jsonl`, malformed HTTP in `bad_bytes.jsonl`.
"""

import base64
import contextlib
import http.client
import json
import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from models.gcn_nas import PENG
from service.api.schemas import FOUR_LAYERS
from service.cli.demo import server
from tests.service.conftest import HEADERS

DATA = Path(__file__).parents[2] / "data"
INSIDE = re.compile(rb'Traceback|File \\?"|\.py\b|site-packages|/home/|/root/|/tmp/')
"""Strings that would reveal the server's internals."""
PIECE = 2**15
MOST_GROWTH = 300
"""Maximum growth of the server's memory in MiB after all requests; the largest body has 12 MiB."""


def corpus(name: str) -> list[Any]:
    """Read the cases of a file: JSON Lines, in which lines that begin with # are headings."""
    lines = (DATA / name).read_text().splitlines()
    return [pytest.param(case, id=case["name"]) for case in map(json.loads, (line for line in lines if line[0] != "#"))]


REQUESTS, BYTES = corpus("bad_requests.jsonl"), corpus("bad_bytes.jsonl")


def text(value: Any) -> str:
    """Return a text, which may be given as `{"repeat": [[text, times], …]}`."""
    return value if isinstance(value, str) else "".join(part * times for part, times in value["repeat"])


def body(value: Any) -> bytes:
    """Return the bytes of a case's `body`."""
    if isinstance(value, dict) and "json" in value:
        return json.dumps(value["json"]).encode()
    if isinstance(value, dict) and "base64" in value:
        return base64.b64decode(value["base64"])
    return text(value).encode()


@pytest.fixture(scope="module", autouse=True)
def memory_before(client: httpx.Client) -> int:
    predicted(client)  # loads what is loaded on first use
    return memory()


def predicted(client: httpx.Client) -> Any:
    request = {"architectures": [PENG, FOUR_LAYERS], "proxies": ["params"], "seed": 0}
    answer = client.post("/v1/predictions", json=request)
    assert answer.status_code == 200
    return [(item["rank"], item["scores"]["params"]["value"]) for item in answer.json()["predictions"]]


def memory() -> int:
    """Memory of the server, a child of this process, in MiB; 0 without /proc."""
    total = 0
    for task in Path("/proc/self/task").glob("*"):
        for child in (task / "children").read_text().split():
            if b"serve" in Path(f"/proc/{child}/cmdline").read_bytes():
                total += int(re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{child}/status").read_text())[0])
    return total // 1024


@pytest.mark.parametrize("case", REQUESTS)
def test_bad_request(case: Any, url: str) -> None:
    for path in case["path"] if isinstance(case["path"], list) else [case["path"]]:
        status, kind, said = send(url, text(path), case)
        assert status == case["status"], said[:1000]
        assert not INSIDE.search(said), said[:1000]
        if status < 400:
            assert case["word"] in said.decode()
        elif case.get("method") != "HEAD":
            check_problem(kind, said, status, case["word"])


def send(url: str, path: str, case: Any) -> tuple[int, str | None, bytes]:
    """Return status, content type and body of the response. httpx would correct the malformed request."""
    place = urlsplit(url)
    connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=60)
    headers = {**HEADERS, **({"Content-Type": "application/json"} if "body" in case else {}), **case.get("headers", {})}
    data = body(case["body"]) if "body" in case else None
    with contextlib.closing(connection):
        connection.putrequest(case.get("method", "POST"), path, skip_host="Host" in headers, skip_accept_encoding=True)
        for name, value in headers.items():
            if value is not None:
                connection.putheader(name, text(value).encode("latin-1"))
        if case.get("chunked"):
            connection.putheader("Transfer-Encoding", "chunked")
            connection.endheaders(pieces(data or b""), encode_chunked=True)
        else:
            connection.putheader("Content-Length", str(len(data or b"")))
            connection.endheaders(data)
        response = connection.getresponse()
        return response.status, response.getheader("Content-Type"), response.read()


def pieces(data: bytes) -> Iterator[bytes]:
    return (data[i : i + PIECE] for i in range(0, len(data), PIECE))


def check_problem(kind: str | None, said: bytes, status: int, word: str) -> None:
    assert kind == "application/problem+json", said[:1000]
    document = json.loads(said)
    assert set(document) == {"type", "title", "status", "detail", "instance", "errors"}
    assert document["status"] == status
    assert document["type"].startswith("urn:archrank:problem:")
    assert document["title"]
    assert document["instance"] is not None
    assert word in document["detail"]
    assert all(set(error) == {"field", "value", "allowed"} for error in document["errors"])
    assert status != 422 or document["errors"]
    assert len(said) < 2**17


def own_headers() -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items()).encode()


@pytest.mark.parametrize("case", BYTES)
def test_bad_bytes(case: Any, url: str) -> None:
    first, end, rest = text(case["raw"]).encode("latin-1").partition(b"\r\n")
    place = urlsplit(url)
    with socket.create_connection((place.hostname, place.port), timeout=30) as connection:
        with contextlib.suppress(OSError):  # the server may stop reading
            connection.sendall(first + end + own_headers() + rest if end else first)
            if case["status"] is None:
                connection.shutdown(socket.SHUT_WR)
        answer = http.client.HTTPResponse(connection)
        try:
            answer.begin()
        except (http.client.HTTPException, ConnectionError):
            assert case["status"] is None
            return
        said = answer.read()
    assert answer.status == case["status"] or (case["status"] is None and 400 <= answer.status < 500), said[:1000]
    assert not INSIDE.search(said)
    if "word" in case:
        check_problem(answer.getheader("Content-Type"), said, answer.status, case["word"])


def test_body_that_does_not_arrive_is_waited_for_no_longer_than_set() -> None:
    request = (
        b"POST /v1/%s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    )
    with server({"ARCHRANK_NUM_THREADS": "1", "ARCHRANK_BODY_TIMEOUT": "0.2"}) as address:
        place = urlsplit(address)
        for path in (b"predictions", b"scores", b"jobs"):
            with socket.create_connection((place.hostname, place.port), timeout=30) as connection:
                first, end, rest = (request % path).partition(b"\r\n")
                connection.sendall(first + end + own_headers() + rest)
                answer = http.client.HTTPResponse(connection)
                answer.begin()
                said = answer.read()
                check_problem(answer.getheader("Content-Type"), said, answer.status, "within 0.2 s")
                assert answer.status == 408


def test_all_malformed_architectures_are_named(client: httpx.Client) -> None:
    response = client.post("/v1/predictions", json={"architectures": [1, {"layers": [["S"]] * 3}]})
    fields = [error["field"] for error in response.json()["errors"]]
    assert response.status_code == 422
    assert fields == ["architectures[0].architecture", "architectures[1].layers (number of layers)"]


def test_server_is_well_afterwards(client: httpx.Client, memory_before: int) -> None:
    assert client.get("/health/ready").json() == {"status": "ok"}
    assert [rank for rank, _ in predicted(client)] == [1, 2]
    after = memory()
    print(f"server: {memory_before} MiB before, {after} MiB after")  # noqa: T201  # with `pytest -s`
    assert after - memory_before < MOST_GROWTH
    assert (after > 0) or not sys.platform.startswith("linux")
