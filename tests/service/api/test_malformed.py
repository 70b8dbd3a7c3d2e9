"""Malformed requests get errors that name the allowed values, never a 5xx, and leave the server intact.

Requests are in `tests/data/bad_requests.jsonl`, malformed HTTP in `tests/data/bad_bytes.jsonl`.
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
from service.cli.demo import server
from tests.real_server import LEAN
from tests.service.conftest import FOUR_LAYERS, HEADERS
from tests.waiting import PATIENCE_S

DATA = Path(__file__).parents[2] / "data"
INTERNALS = re.compile(rb'Traceback|File \\?"|\.py\b|site-packages|/home/|/root/|/tmp/')
"""Strings that would reveal the server's internals."""
CHUNK_BYTES = 2**15
MAX_GROWTH_MIB = 300
"""Maximum growth of the server's memory after all requests; the largest body has 12 MiB."""


def corpus(name: str) -> list[Any]:
    """Read the cases of a file: JSON Lines, in which lines that begin with # are headings."""
    lines = (DATA / name).read_text().splitlines()
    return [pytest.param(case, id=case["name"]) for case in map(json.loads, (line for line in lines if line[0] != "#"))]


REQUESTS, BYTES = corpus("bad_requests.jsonl"), corpus("bad_bytes.jsonl")


def text(value: Any) -> str:
    """Return a case's text, given as a string or as `{"repeat": [[text, times], …]}`."""
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
    predict(client)  # so that lazy imports are not counted
    return memory()


def predict(client: httpx.Client) -> Any:
    request = {"architectures": [PENG, FOUR_LAYERS], "proxies": ["params"], "seed": 0}
    response = client.post("/v1/predictions", json=request)
    assert response.status_code == 200
    return [(item["rank"], item["scores"]["params"]["value"]) for item in response.json()["predictions"]]


def memory() -> int:
    """Return the memory of the server, a child of this process, in MiB; 0 without /proc."""
    total = 0
    for task in Path("/proc/self/task").glob("*"):
        for child in (task / "children").read_text().split():
            if b"serve" in Path(f"/proc/{child}/cmdline").read_bytes():
                total += int(re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{child}/status").read_text())[0])
    return total // 1024


@pytest.mark.parametrize("case", REQUESTS)
def test_bad_request(case: Any, url: str) -> None:
    for path in case["path"] if isinstance(case["path"], list) else [case["path"]]:
        status, kind, content = send(url, text(path), case)
        assert status == case["status"], content[:1000]
        assert not INTERNALS.search(content), content[:1000]
        if status < 400:
            assert case["word"] in content.decode()
        elif case.get("method") != "HEAD":
            check_problem(kind, content, status, case["word"])


def send(url: str, path: str, case: Any) -> tuple[int, str | None, bytes]:
    """Return status, content type and body of the response. httpx would correct the malformed request."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=PATIENCE_S)
    headers = {**HEADERS, **({"Content-Type": "application/json"} if "body" in case else {}), **case.get("headers", {})}
    data = body(case["body"]) if "body" in case else None
    with contextlib.closing(connection):
        connection.putrequest(case.get("method", "POST"), path, skip_host="Host" in headers, skip_accept_encoding=True)
        for name, value in headers.items():
            if value is not None:
                connection.putheader(name, text(value).encode("latin-1"))
        if case.get("chunked"):
            connection.putheader("Transfer-Encoding", "chunked")
            connection.endheaders(chunks(data or b""), encode_chunked=True)
        else:
            connection.putheader("Content-Length", str(len(data or b"")))
            connection.endheaders(data)
        response = connection.getresponse()
        return response.status, response.getheader("Content-Type"), response.read()


def chunks(data: bytes) -> Iterator[bytes]:
    return (data[i : i + CHUNK_BYTES] for i in range(0, len(data), CHUNK_BYTES))


def check_problem(kind: str | None, content: bytes, status: int, word: str) -> None:
    assert kind == "application/problem+json", content[:1000]
    document = json.loads(content)
    assert set(document) == {"type", "title", "status", "detail", "instance", "errors"}
    assert document["status"] == status
    assert document["type"].startswith("urn:archrank:problem:")
    assert document["title"]
    assert document["instance"] is not None
    assert word in document["detail"]
    assert all(set(error) == {"field", "value", "allowed"} for error in document["errors"])
    assert status != 422 or document["errors"]
    assert len(content) < 2**17


def extra_headers() -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items()).encode()


@pytest.mark.parametrize("case", BYTES)
def test_bad_bytes(case: Any, url: str) -> None:
    first, end, rest = text(case["raw"]).encode("latin-1").partition(b"\r\n")
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), timeout=PATIENCE_S) as connection:
        with contextlib.suppress(OSError):  # the server may stop reading
            connection.sendall(first + end + extra_headers() + rest if end else first)
            if case["status"] is None:
                connection.shutdown(socket.SHUT_WR)
        response = http.client.HTTPResponse(connection)
        try:
            response.begin()
        except (http.client.HTTPException, ConnectionError):
            assert case["status"] is None
            return
        content = response.read()
    status = response.status
    assert status == case["status"] or (case["status"] is None and 400 <= status < 500), content[:1000]
    assert not INTERNALS.search(content)
    if "word" in case:
        check_problem(response.getheader("Content-Type"), content, response.status, case["word"])


def test_a_body_that_does_not_arrive_times_out() -> None:
    request = (
        b"POST /v1/%s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    )
    with server(LEAN | {"ARCHRANK_BODY_TIMEOUT": "0.2"}) as url:
        address = urlsplit(url)
        for path in (b"predictions", b"scores", b"jobs"):
            with socket.create_connection((address.hostname, address.port), timeout=PATIENCE_S) as connection:
                first, end, rest = (request % path).partition(b"\r\n")
                connection.sendall(first + end + extra_headers() + rest)
                response = http.client.HTTPResponse(connection)
                response.begin()
                content = response.read()
                check_problem(response.getheader("Content-Type"), content, response.status, "within 0.2 s")
                assert response.status == 408


def test_all_malformed_architectures_are_named(client: httpx.Client) -> None:
    response = client.post("/v1/predictions", json={"architectures": [1, {"layers": [["S"]] * 3}]})
    fields = [error["field"] for error in response.json()["errors"]]
    assert response.status_code == 422
    assert fields == ["architectures[0].architecture", "architectures[1].layers (number of layers)"]


def test_the_server_is_ready_and_small_afterwards(client: httpx.Client, memory_before: int) -> None:
    assert client.get("/health/ready").json() == {"status": "ok"}
    assert [rank for rank, _ in predict(client)] == [1, 2]
    after = memory()
    print(f"server: {memory_before} MiB before, {after} MiB after")  # noqa: T201  # with `pytest -s`
    assert after - memory_before < MAX_GROWTH_MIB
    assert (after > 0) or not sys.platform.startswith("linux")
