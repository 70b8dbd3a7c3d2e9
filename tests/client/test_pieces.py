"""How calls are cut into requests, and put together again."""

import io
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from archrank_client import OverloadedError, PayloadTooLargeError, ProgressBar
from archrank_client.payloads import Payloads, request_body, split_into_requests

from tests.client.conftest import Clock, Make, Script
from tests.real_server import CHEAP, Server, until

PROBLEM = {"type": "about:blank", "title": "No", "detail": "no", "errors": []}


def server_with(limits: dict[str, int], item: Callable[[Any], Any], most_bytes: int = 10**9) -> Script:
    """One that says its limits, and takes less than it says."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/limits":
            return httpx.Response(200, json=limits)
        if len(request.content) > most_bytes:
            return httpx.Response(413, text="<html>Request Entity Too Large</html>")
        return httpx.Response(200, json={"scores": [item(one) for one in json.loads(request.content)["architectures"]]})

    return Script(answer)


def scored(architecture: Any) -> dict[str, Any]:
    return {"architecture": architecture, "fingerprint": "f", "scores": {}}


def posted(script: Script) -> list[list[Any]]:
    bodies = [request.content for request in script.requests if request.method == "POST"]
    return [json.loads(one)["architectures"] for one in bodies]


def named(number: int, length: int = 1) -> list[Any]:
    return [{"name": f"{i:03}" + "x" * length} for i in range(number)]


def test_by_number(make: Make) -> None:
    script = server_with({"max_architectures": 10}, scored)
    found = make("http://server", transport=script).score(named(25), proxies=[])
    assert [one.architecture for one in found] == named(25)
    assert sorted(map(len, posted(script))) == [5, 10, 10]


def test_by_bytes(make: Make) -> None:
    script = server_with({"max_architectures": 10, "max_body_bytes": 400}, scored, most_bytes=400)
    found = make("http://server", transport=script).score(named(25, 50), proxies=[])
    assert [one.architecture for one in found] == named(25, 50)
    assert max(map(len, posted(script))) == 5


@pytest.mark.parametrize("most", [1, 3, 7])
@pytest.mark.parametrize("size", [60, 100, 1000])
def test_no_piece_is_larger_than_it_may_be_unless_it_is_one(most: int, size: int) -> None:
    texts = Payloads.from_architectures([{"name": "é" * (i % 9)} for i in range(30)]).unique
    pieces = list(split_into_requests(texts, {"proxies": ["nwot"]}, most, size))
    assert [text for piece in pieces for text in piece] == texts
    assert all(len(piece) == 1 or len(request_body(piece, {"proxies": ["nwot"]})) <= size for piece in pieces)
    assert all(len(piece) <= most for piece in pieces)


def test_what_takes_less_than_the_server_says(make: Make, clock: Clock) -> None:
    script = server_with({}, scored, most_bytes=200)
    architectures = [*named(12, 30), *named(1, 500)]
    found = make("http://server", transport=script).score(architectures, proxies=[])
    assert [one.architecture for one in found] == architectures
    assert [one.ok for one in found] == [True] * 12 + [False]
    assert isinstance(found[-1].error, PayloadTooLargeError)
    assert clock.slept == []


@pytest.mark.parametrize(("interruptions", "posts"), [(1, 2), (2, 3), (9, 3)])
def test_what_the_server_was_interrupted_at_is_asked_for_again(
    make: Make, clock: Clock, interruptions: int, posts: int
) -> None:
    left = {"001x": interruptions}

    def item(architecture: Any) -> Any:
        name = architecture["name"]
        if left.get(name, 0):
            left[name] -= 1
            return {"error": PROBLEM | {"status": 503, "detail": "the process ended"}}
        return scored(architecture)

    script = server_with({}, item)
    found = make("http://server", transport=script).score(named(3))
    assert posted(script) == [named(3), *[[named(3)[1]]] * (posts - 1)]
    assert [one.ok for one in found] == [True, interruptions < 3, True]
    if interruptions >= 3:
        assert isinstance(found[1].error, OverloadedError)
        assert str(found[1].error) == "architectures[1]: the process ended"


def test_equal_ones_however_written(make: Make) -> None:
    script = server_with({}, scored)
    found = make("http://server", transport=script).score([{"a": 1, "b": [2]}, {"b": [2], "a": 1}, {"a": True}])
    assert posted(script) == [[{"a": 1, "b": [2]}, {"a": True}]]
    assert found[0] is found[1]


class Interruption(BaseException):
    """As Ctrl-C."""


def test_the_job_of_a_call_that_is_interrupted_is_cancelled(make: Make, server: Server) -> None:
    client = make(server.url)

    def interrupt(done: int, total: int) -> None:
        if done:
            raise Interruption

    architectures = client.sample(300, depth=4, seed=12)
    with pytest.raises(Interruption):
        client.predict(architectures, proxies=CHEAP, seed=len(client.jobs()), progress=interrupt)
    until(lambda: client.jobs(1)[0].state == "cancelled")  # nobody waits long for the answer to that


def test_the_bar() -> None:
    file = io.StringIO()
    bar = ProgressBar(file)
    for done in range(5):
        bar(done, 4)
    first, *_, last = file.getvalue().split("\r\x1b[K")[1:]
    assert first == "░" * 30 + " 0/4 in 0 s"
    assert last == "█" * 30 + " 4/4 in 0 s\n"


def test_the_bar_in_a_file_that_has_no_blocks() -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding="cp1252", write_through=True)
    ProgressBar(file)(1, 2)
    assert file.buffer.getvalue().decode("cp1252").startswith("\r\x1b[K" + "#" * 15 + "-" * 15 + " 1/2 in ")
