"""Calls are split into requests, and their results put together."""

import io
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from archrank_client import OverloadedError, PayloadTooLargeError, ProgressBar
from archrank_client.payloads import Payloads, request_body, split_into_requests

from tests.client.conftest import FakeClock, MakeClient, ScriptedServer, SharedServer
from tests.client.test_client import num_jobs
from tests.real_server import CHEAP, until

PROBLEM = {"type": "about:blank", "title": "No", "detail": "no", "errors": []}


def server_with_limits(
    limits: dict[str, int], respond: Callable[[Any], Any], max_body_bytes: int = 10**9
) -> ScriptedServer:
    """Return a server whose real body limit may be lower than the stated one."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/limits":
            return httpx.Response(200, json=limits)
        if len(request.content) > max_body_bytes:
            return httpx.Response(413, text="<html>Request Entity Too Large</html>")
        items = [respond(architecture) for architecture in json.loads(request.content)["architectures"]]
        return httpx.Response(200, json={"scores": items})

    return ScriptedServer(answer)


def scores_of(architecture: Any) -> dict[str, Any]:
    return {"architecture": architecture, "fingerprint": "f", "scores": {}}


def posted(server: ScriptedServer) -> list[list[Any]]:
    bodies = [request.content for request in server.requests if request.method == "POST"]
    return [json.loads(body)["architectures"] for body in bodies]


def architectures_of(n: int, length: int = 1) -> list[Any]:
    return [{"name": f"{i:03}" + "x" * length} for i in range(n)]


def test_split_by_number(make_client: MakeClient) -> None:
    server = server_with_limits({"max_architectures": 10}, scores_of)
    results = make_client("http://server", transport=server).score(architectures_of(25), proxies=[])
    assert [result.architecture for result in results] == architectures_of(25)
    assert sorted(map(len, posted(server))) == [5, 10, 10]


def test_split_by_bytes(make_client: MakeClient) -> None:
    server = server_with_limits({"max_architectures": 10, "max_body_bytes": 400}, scores_of, max_body_bytes=400)
    results = make_client("http://server", transport=server).score(architectures_of(25, 50), proxies=[])
    assert [result.architecture for result in results] == architectures_of(25, 50)
    assert max(map(len, posted(server))) == 5


@pytest.mark.parametrize("max_architectures", [1, 3, 7])
@pytest.mark.parametrize("max_bytes", [60, 100, 1000])
def test_requests_of_several_architectures_are_within_the_limits(max_architectures: int, max_bytes: int) -> None:
    options = {"proxies": ["nwot"]}
    payloads = Payloads.from_architectures([{"name": "é" * (i % 9)} for i in range(30)]).unique
    requests = list(split_into_requests(payloads, options, max_architectures, max_bytes))
    assert [payload for request in requests for payload in request] == payloads
    assert all(len(request) == 1 or len(request_body(request, options)) <= max_bytes for request in requests)
    assert all(len(request) <= max_architectures for request in requests)


def test_a_refused_body_is_halved(make_client: MakeClient, clock: FakeClock) -> None:
    server = server_with_limits({}, scores_of, max_body_bytes=200)
    architectures = [*architectures_of(12, 30), *architectures_of(1, 500)]
    results = make_client("http://server", transport=server).score(architectures, proxies=[])
    assert [result.architecture for result in results] == architectures
    assert [result.ok for result in results] == [True] * 12 + [False]
    assert isinstance(results[-1].error, PayloadTooLargeError)
    assert clock.sleeps == []


@pytest.mark.parametrize(("n_interruptions", "n_posts"), [(1, 2), (2, 3), (9, 3)])
def test_interrupted_architectures_are_requested_again(
    make_client: MakeClient, clock: FakeClock, n_interruptions: int, n_posts: int
) -> None:
    remaining = {"001x": n_interruptions}

    def respond(architecture: Any) -> Any:
        name = architecture["name"]
        if remaining.get(name, 0):
            remaining[name] -= 1
            return {"error": PROBLEM | {"status": 503, "detail": "the process ended"}}
        return scores_of(architecture)

    server = server_with_limits({}, respond)
    results = make_client("http://server", transport=server).score(architectures_of(3))
    assert posted(server) == [architectures_of(3), *[[architectures_of(3)[1]]] * (n_posts - 1)]
    assert [result.ok for result in results] == [True, n_interruptions < 3, True]
    if n_interruptions >= 3:
        assert isinstance(results[1].error, OverloadedError)
        assert str(results[1].error) == "architectures[1]: the process ended"


def test_equal_architectures_are_sent_once_in_any_notation(make_client: MakeClient) -> None:
    server = server_with_limits({}, scores_of)
    architectures = [{"a": 1, "b": [2]}, {"b": [2], "a": 1}, {"a": True}]
    results = make_client("http://server", transport=server).score(architectures)
    assert posted(server) == [[{"a": 1, "b": [2]}, {"a": True}]]
    assert results[0] is results[1]


class Interruption(BaseException):
    """Interruption such as Ctrl-C."""


def test_an_interrupted_call_cancels_its_job(make_client: MakeClient, server: SharedServer) -> None:
    client = make_client(server.url)

    def interrupt(done: int, total: int) -> None:
        if done:
            raise Interruption

    architectures = client.sample(300, depth=4, seed=12)
    with pytest.raises(Interruption):
        client.predict(architectures, proxies=CHEAP, seed=num_jobs(client), progress=interrupt)
    until(lambda: client.jobs(1)[0].state == "cancelled")  # the call does not wait long for the cancellation


def test_progress_bar(clock: FakeClock) -> None:
    file = io.StringIO()
    bar = ProgressBar(file)
    for done in range(5):
        bar(done, 4)
        clock.now += 1.5
    first, *_, last = file.getvalue().split("\r\x1b[K")[1:]
    assert first == "░" * 30 + " 0/4 in 0 s"
    assert last == "█" * 30 + " 4/4 in 6 s\n"


def test_progress_bar_in_an_encoding_without_blocks() -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding="cp1252", write_through=True)
    ProgressBar(file)(1, 2)
    assert file.buffer.getvalue().decode("cp1252").startswith("\r\x1b[K" + "#" * 15 + "-" * 15 + " 1/2 in ")
