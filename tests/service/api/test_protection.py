"""Limits of a real server on slow, silent, disconnected and too many clients."""

import contextlib
import json
import select
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from models.gcn_nas import PENG
from service.cli.demo import server
from tests.real_server import LEAN
from tests.service.api.test_jobs import results, submit, wait
from tests.service.conftest import SMALL
from tests.service.workers.conftest import wait_until
from tests.waiting import PATIENCE_S

SETTINGS = {
    **LEAN,
    "ARCHRANK_HEADER_TIMEOUT": "1",
    "ARCHRANK_BODY_TIMEOUT": "1.5",
    "ARCHRANK_MAX_CONNECTIONS": "12",
    "ARCHRANK_MAX_EVENT_STREAMS": "2",
    "ARCHRANK_MAX_PARAMETERS": "5000000",
}
GET = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n%s\r\n\r\n"


@pytest.fixture(scope="module")
def strict() -> Iterator[httpx.Client]:
    with server(SETTINGS) as url, httpx.Client(base_url=url, timeout=PATIENCE_S) as client:
        yield client


def connect(client: httpx.Client) -> socket.socket:
    url = urlsplit(str(client.base_url))
    return socket.create_connection((str(url.hostname), int(url.port or 0)), timeout=PATIENCE_S)


def dribble(connection: socket.socket, byte: bytes = b"x") -> bytes:
    """Send a byte at a time until the connection is closed, and return all that was received."""
    received = b""
    for _ in range(1200):  # a minute
        with contextlib.suppress(ConnectionError):
            connection.sendall(byte)
        if select.select([connection], [], [], 0.05)[0]:
            try:
                more = connection.recv(2**16)
            except ConnectionError:
                return received
            if not more:
                return received
            received += more
    raise AssertionError(f"the connection is still open; {received!r}")


def status(response: bytes) -> int:
    return int(response.split()[1])


def until_closed(connection: socket.socket) -> bytes:
    received = b""
    while more := connection.recv(2**16):
        received += more
    return received


def assert_responds(connection: socket.socket) -> None:
    connection.sendall(GET)
    received = b""
    while not received.endswith(b'{"status":"ok"}'):
        more = connection.recv(2**16)
        assert more, received
        received += more
    assert status(received) == 200


def wait_for_header_timeout(client: httpx.Client) -> None:
    """Wait until the header timeout has passed."""
    with connect(client) as silent:
        assert until_closed(silent) == b""


def test_a_job_refuses_an_architecture_that_is_too_large(strict: httpx.Client) -> None:
    place = submit(strict, PENG, SMALL, proxies=[])
    assert wait(strict, place)["counts"]["failed"] == 1
    items: dict[int, Any] = results(strict, place)
    (cause,) = items[0]["error"]["errors"]
    assert cause["field"] == "architectures[0].architecture (parameters)"
    assert cause["allowed"] == "at most 5000000"
    assert items[1]["accuracy"] > 0.5
    refused = strict.post("/v1/jobs", json={"architectures": [PENG]})
    assert refused.status_code == 422


def test_silent_connection_is_closed(strict: httpx.Client) -> None:
    wait_for_header_timeout(strict)


def test_slow_headers(strict: httpx.Client) -> None:
    with connect(strict) as connection:
        connection.sendall(GET[:-2] + b"X: ")
        received = dribble(connection)
    assert status(received) == 408
    assert received.endswith(b"The request's headers did not arrive within 1 s.")


def test_slow_headers_of_a_later_request(strict: httpx.Client) -> None:
    with connect(strict) as connection:
        assert_responds(connection)
        connection.sendall(GET[:-2] + b"X: ")
        assert status(dribble(connection)) == 408


def test_idle_connection_is_kept(strict: httpx.Client) -> None:
    with connect(strict) as connection:
        assert_responds(connection)
        wait_for_header_timeout(strict)
        assert_responds(connection)


@pytest.mark.parametrize("length", [b"Content-Length: 1000", b"Transfer-Encoding: chunked"])
def test_slow_body(strict: httpx.Client, length: bytes) -> None:
    with connect(strict) as connection:
        connection.sendall(POST % (b"/v1/predictions", length) + (b"" if b"Length" in length else b"3e8\r\n"))
        received = dribble(connection)
    assert status(received) == 408
    assert json.loads(received.partition(b"\r\n\r\n")[2])["title"] == "Body too slow"


def test_slow_large_body(strict: httpx.Client) -> None:
    with connect(strict) as connection:
        connection.sendall(POST % (b"/v1/predictions", b"Content-Length: 15000000") + b" " * (2**20 + 1))
        assert status(dribble(connection)) in (408, 413)


@pytest.mark.parametrize(("path", "code"), [(b"/health/live", 405), (b"/nothing", 404)])
def test_slow_body_that_is_not_read(strict: httpx.Client, path: bytes, code: int) -> None:
    with connect(strict) as connection:
        connection.sendall(POST % (path, b"Content-Length: 1000000"))
        assert status(dribble(connection)) == code


def test_endless_trailers(strict: httpx.Client) -> None:
    with connect(strict) as connection:
        connection.sendall(POST % (b"/v1/predictions", b"Transfer-Encoding: chunked") + b"1\r\n \r\n0\r\n")
        received = dribble(connection, b"X: y\r\n" * 5000)
    assert status(received) == 400


@pytest.fixture
def long_job(strict: httpx.Client) -> Iterator[str]:
    sample = strict.post("/v1/spaces/gcn-nas/sample", json={"number": 40, "seed": 9, "fixed": {"depth": 8}}).json()
    place = submit(strict, *sample["architectures"], proxies=None)
    yield place
    strict.delete(place)


def listen(client: httpx.Client, place: str) -> tuple[socket.socket, int]:
    """Request the job's events, and return the connection and the status."""
    connection = connect(client)
    connection.sendall(f"GET {place}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return connection, status(connection.recv(12, socket.MSG_WAITALL))


def test_max_event_streams(strict: httpx.Client, long_job: str) -> None:
    streams = [listen(strict, long_job) for _ in range(2)]
    assert [code for _, code in streams] == [200, 200]
    refused = strict.get(f"{long_job}/events")
    assert refused.status_code == 503
    assert refused.headers["content-type"] == "application/problem+json"
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.json()["detail"] == "2 event streams are open already"
    for connection, _ in streams:  # a client that disconnects frees its slot
        connection.close()
        wait_until(lambda: stream_available(strict, long_job))


def stream_available(client: httpx.Client, place: str) -> bool:
    connection, code = listen(client, place)
    connection.close()
    return code == 200


def test_stream_outlives_half_a_request_behind_it(strict: httpx.Client, long_job: str) -> None:
    wait_until(lambda: stream_available(strict, long_job))
    connection, code = listen(strict, long_job)
    assert code == 200
    with connection:
        connection.sendall(b"GET /half")
        wait_for_header_timeout(strict)
        strict.delete(long_job)
        received = b""
        while b"event: cancelled" not in received:
            more = connection.recv(2**16)
            assert more, received
            received += more


def test_max_connections(strict: httpx.Client) -> None:
    with contextlib.ExitStack() as stack:
        *_, last = [stack.enter_context(connect(strict)) for _ in range(13)]
        received = until_closed(last)
    assert status(received) == 503
    assert b"\r\nretry-after: 1\r\n" in received
    assert received.endswith(b"12 connections are open already.")
    wait_until(lambda: responds(strict))


def responds(client: httpx.Client) -> bool:
    try:
        return httpx.get(f"{client.base_url}/health/live", timeout=PATIENCE_S).status_code == 200
    except httpx.TransportError:
        return False


def test_the_server_is_ready_afterwards(strict: httpx.Client) -> None:
    assert strict.get("/health/ready").json() == {"status": "ok"}
