"""HTTP of a real server: behind a reverse proxy that strips `/archrank`, and with clients that disconnect."""

import json
import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest
from archrank_client import Client

from models.gcn_nas import PENG
from service.cli.demo import server
from tests.real_server import LEAN
from tests.service.api.test_protection import until_closed
from tests.service.conftest import FOUR_LAYERS, SMALL
from tests.service.workers.conftest import wait_until
from tests.waiting import PATIENCE_S

PUBLIC = "https://archrank.example/archrank/"
N_CONNECTIONS = 8
SETTINGS = {
    **LEAN,
    "ARCHRANK_ROOT_PATH": "/archrank",
    "ARCHRANK_ALLOWED_HOSTS": "archrank.example, Other.Example",
    "ARCHRANK_WRITE_TIMEOUT": "1",
    "ARCHRANK_SYNC_TIMEOUT": "600",
}
GET = b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n"
BODY = json.dumps({"architectures": [SMALL], "proxies": []}).encode()
HEAD = b"POST /v1/%s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n"


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with server(SETTINGS) as url, httpx.Client(base_url=url, timeout=PATIENCE_S, trust_env=False) as client:
        yield client


def connect(client: httpx.Client, receive: int | None = None) -> socket.socket:
    connection = socket.socket()
    if receive is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
    connection.settimeout(60)
    connection.connect((client.base_url.host, client.base_url.port))
    return connection


def statuses(received: bytes) -> list[int]:
    return [int(part.split()[0]) for part in received.split(b"HTTP/1.1 ")[1:]]


def submit(client: httpx.Client, content: bytes = BODY) -> str:
    accepted = client.post("/v1/jobs", content=content, headers={"Content-Type": "application/json"})
    assert accepted.status_code == 202
    return str(accepted.headers["location"])


def through_proxy(client: httpx.Client, url: str) -> httpx.Response:
    """Send a request as a reverse proxy at `PUBLIC` that strips its path."""
    assert url.startswith(PUBLIC)
    return client.get("/" + url.removeprefix(PUBLIC), headers={"Host": "archrank.example"})


def test_links_stay_behind_the_proxy(client: httpx.Client) -> None:
    location = urljoin(f"{PUBLIC}v1/jobs", submit(client))
    assert through_proxy(client, location).json()["id"] in location
    page = through_proxy(client, f"{location}/results?limit=1").json()
    if page["next"] is not None:  # the job is still running
        assert through_proxy(client, urljoin(location, page["next"])).status_code == 200
    assert client.get("/openapi.json").json()["servers"] == [{"url": "/archrank"}]
    assert client.get("/v1/nothing").json()["instance"] == "/archrank/v1/nothing"
    for path, style in {"": "page/style.css", "docs": "docs/swagger-ui.css"}.items():
        text = through_proxy(client, PUBLIC + path).text
        for asset in (style, "page/icon.svg"):
            assert f'href="{asset}"' in text
            assert through_proxy(client, urljoin(PUBLIC + path, asset)).status_code == 200


def test_client_follows_links_behind_the_proxy(client: httpx.Client) -> None:
    """Httpx with a transport that acts as a reverse proxy in front of the server."""
    upstream = client.base_url

    def strip_prefix(request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.removeprefix(b"/archrank")
        url = request.url.copy_with(host=upstream.host, port=upstream.port, scheme="http", raw_path=path)
        return client.request(request.method, url, content=request.read(), headers=request.headers)

    with Client("http://archrank.example/archrank", transport=httpx.MockTransport(strip_prefix)) as sdk:
        job = sdk.submit([SMALL, PENG, FOUR_LAYERS], proxies=["params"])
        assert len(list(job.iter())) == 3


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json", "/health/live", "/health/ready", "/metrics"])
def test_head_is_get_without_a_body(client: httpx.Client, path: str) -> None:
    head, get = client.head(path), client.get(path)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-type", "cache-control", "etag"):
        assert head.headers.get(name) == get.headers.get(name)


def test_every_path_with_get_supports_head(client: httpx.Client) -> None:
    job = submit(client).removeprefix("/archrank")
    body = {"name": "for-head", "space": "gcn-nas", "sources": []}
    study = client.post("/v1/studies", json=body).headers["location"].removeprefix("/archrank")
    paths = [path for path, methods in client.get("/openapi.json").json()["paths"].items() if "get" in methods]
    assert len(paths) > 10
    for path in paths:
        name = "gcn-nas" if "spaces" in path else "gcn-nas-ntu"
        path = path.replace("/v1/jobs/{id}", job).replace("/v1/studies/{id}", study)
        response = client.head(path.replace("{name}", name))
        assert response.status_code in (200, 204), path
        assert response.content == b""
    assert client.head("/v1/nothing").status_code == 404
    refused = client.head("/v1/predictions")
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
    assert 'method="HEAD",route="/v1/spaces",' in client.get("/metrics").text


def protection(response: httpx.Response) -> tuple[str, str]:
    return response.headers["x-content-type-options"], response.headers["cache-control"]


def test_responses_are_not_stored_and_not_sniffed(client: httpx.Client) -> None:
    responses = [
        client.get(path) for path in ("/v1/spaces", "/v1/nothing", "/health/live", "/openapi.json", "/metrics")
    ]
    responses.append(client.post("/v1/predictions", content=BODY, headers={"Content-Type": "application/json"}))
    for response in responses:
        assert (response.headers["x-content-type-options"], response.headers["cache-control"]) == (
            "nosniff",
            "no-store",
        )
    page = client.get("/page/app.js").headers
    assert (page["x-content-type-options"], page["cache-control"]) == ("nosniff", "no-cache")
    with connect(client) as connection:
        connection.sendall(b"BREW / HTTP/1.1\r\n\r\n")
        assert b"\r\nx-content-type-options: nosniff\r\ncache-control: no-store\r\n" in until_closed(connection)


@pytest.mark.parametrize("host", ["archrank.example", "ARCHRANK.example:443", "other.example", "127.0.0.1:1", "[::1]"])
def test_allowed_hosts(client: httpx.Client, host: str) -> None:
    for origin in ({}, {"Origin": "https://archrank.example"}):
        assert client.get("/v1/limits", headers={"Host": host, **origin}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "archrank.example.evil.example", "127.0.0.1.evil.example"])
def test_other_hosts_are_refused_wherever_keys_are_required(client: httpx.Client, host: str) -> None:
    for path in ("/v1/limits", "/v1/jobs", "/metrics"):
        refused = client.get(path, headers={"Host": host})
        assert (refused.status_code, refused.json()["title"]) == (421, "Misdirected request")
        assert "ARCHRANK_ALLOWED_HOSTS" in refused.json()["detail"]
        assert client.get(path, headers={"Origin": f"http://{host}"}).status_code == 403
    assert client.get("/health/live", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("path", [b"health/live", b"v1/spaces"])
def test_a_half_closed_connection_gets_its_response(client: httpx.Client, path: bytes) -> None:
    with connect(client) as connection:
        connection.sendall(GET % (b"/" + path))
        connection.shutdown(socket.SHUT_WR)
        assert statuses(until_closed(connection)) == [200]


def test_a_half_closed_connection_gets_the_responses_of_pipelined_requests(client: httpx.Client) -> None:
    with connect(client) as connection:
        post = HEAD % (b"predictions", b"", len(BODY)) + BODY
        connection.sendall(post + GET % b"/health/live" + post)
        connection.shutdown(socket.SHUT_WR)
        assert [status for status in statuses(until_closed(connection)) if status != 100] == [200] * 3


def test_a_half_closed_connection_gets_no_response_to_half_a_request(client: httpx.Client) -> None:
    for half in (b"GET /health/live HT", HEAD % (b"predictions", b"", 10) + b"{"):
        with connect(client) as connection:
            connection.sendall(half)
            connection.shutdown(socket.SHUT_WR)
            assert until_closed(connection) == b""


@pytest.fixture
def long_architectures(client: httpx.Client) -> list[Any]:
    """Architectures whose scoring takes longer than the test."""
    body = {"number": 64, "seed": 3, "fixed": {"depth": 10}}
    architectures: list[Any] = client.post("/v1/spaces/gcn-nas/sample", json=body).json()["architectures"]
    return architectures


def gauge(client: httpx.Client, name: str) -> float:
    (line,) = [line for line in client.get("/metrics").text.splitlines() if line.startswith(f"archrank_{name} ")]
    return float(line.split()[1])


def test_a_disconnected_client_is_noticed(client: httpx.Client, long_architectures: list[Any]) -> None:
    """A half-closed connection is distinguished from a closed one."""
    body = json.dumps({"architectures": long_architectures}).encode()
    with connect(client) as connection:
        connection.sendall(HEAD % (b"scores", b"", len(body)) + body + GET % b"/health/live")
        wait_until(lambda: gauge(client, "queue_depth") > 0)
    wait_until(lambda: gauge(client, "queue_depth") == 0)


def test_a_stream_ends_after_its_client_disconnects_even_with_a_pipelined_request(
    client: httpx.Client, long_architectures: list[Any]
) -> None:
    job = submit(client, json.dumps({"architectures": long_architectures}).encode()).removeprefix("/archrank")
    with connect(client) as connection:
        connection.sendall(GET % f"{job}/events".encode() + GET % b"/health/live")
        wait_until(lambda: gauge(client, "event_streams") == 1)
    wait_until(lambda: gauge(client, "event_streams") == 0)
    assert client.delete(job).json()["counts"]["done"] < len(long_architectures)  # the job did not end first


@pytest.mark.parametrize("upgrade", [b"Connection: Upgrade\r\nUpgrade: h2c\r\n", b""])
def test_a_request_inside_a_body_is_not_answered(client: httpx.Client, upgrade: bytes) -> None:
    inner = GET % b"/v1/limits"
    with connect(client) as connection:
        connection.sendall(HEAD % (b"predictions", upgrade, len(inner)))
        assert not select.select([connection], [], [], 0.2)[0]
        connection.sendall(inner + GET % b"/v1/nothing")
        connection.shutdown(socket.SHUT_WR)
        assert statuses(until_closed(connection)) == [400, 404]


def test_errors_follow_earlier_responses(client: httpx.Client) -> None:
    post = HEAD % (b"predictions", b"", len(BODY)) + BODY
    with connect(client) as connection:
        connection.sendall(post + GET % b"/health/live" + b"BREW / HTTP/1.1\r\n\r\n" + post)
        assert statuses(until_closed(connection)) == [200, 200, 400]


def test_pipelined_requests_are_bounded(client: httpx.Client) -> None:
    with connect(client) as connection:
        connection.sendall(HEAD % (b"predictions", b"", len(BODY)) + BODY + GET % b"/health/live" * 300)
        assert statuses(until_closed(connection)) == [200] * 101 + [503]


def test_a_connection_is_closed_if_its_responses_are_not_read(client: httpx.Client) -> None:
    with ExitStack() as stack:
        connections = [stack.enter_context(connect(client, receive=2048)) for _ in range(N_CONNECTIONS)]
        resets = select.poll()
        for connection in connections:
            connection.sendall(GET % b"/openapi.json" * 40)
            resets.register(connection, 0)  # errors are reported for any mask
        wait_until(lambda: len(resets.poll(0)) == N_CONNECTIONS)


def test_a_response_that_is_read_slowly_is_complete(client: httpx.Client) -> None:
    number = 20
    with connect(client, receive=2**14) as connection:
        connection.sendall(GET % b"/openapi.json" * number)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while more := connection.recv(2**16):
            received += more
            if len(received) < 2**19:
                select.select([], [], [], 0.05)  # in all longer than the timeout of writes
    assert [status for status in statuses(received) if status != 100] == [200] * number  # 100 while one waits
    assert received.count(client.get("/openapi.json").content) == number


def test_the_server_is_ready_afterwards(client: httpx.Client) -> None:
    assert client.get("/health/ready").json() == {"status": "ok"}
