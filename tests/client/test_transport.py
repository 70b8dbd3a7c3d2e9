"""Retries, error classes, and the secrecy of keys."""

import asyncio
import json
import logging
import pickle
import ssl
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

import httpx
import pytest
import stamina
from archrank_client import (
    APIConnectionError,
    APITimeoutError,
    ArchrankError,
    AsyncClient,
    AuthenticationError,
    Client,
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    OverloadedError,
    PayloadTooLargeError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    UnexpectedResponseError,
)

from tests.client.conftest import FakeClock, MakeClient, ScriptedServer, responding
from tests.waiting import PATIENCE_S

SPACES = httpx.Response(200, json={"gcn-nas": {}})
KEY = "ark_secret_0123456789"


def problem(status: int, detail: str = "because", **headers: str) -> httpx.Response:
    body = {"type": "about:blank", "title": "No", "status": status, "detail": detail, "errors": []}
    return httpx.Response(status, json=body, headers={name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize(
    "failure",
    [
        httpx.ConnectError("refused"),
        httpx.ReadError("reset"),
        httpx.RemoteProtocolError("incomplete"),
        httpx.ReadTimeout("late"),
        problem(408),
        problem(429),
        problem(500),
        problem(502),
        problem(503),
        problem(504),
        httpx.Response(502, text="<html>Bad Gateway</html>"),
    ],
    ids=lambda failure: type(failure).__name__ if isinstance(failure, Exception) else str(failure.status_code),
)
def test_retried_failures(make_client: MakeClient, clock: FakeClock, failure: Any) -> None:
    server = responding(failure, failure, SPACES)
    assert make_client("http://server", transport=server).spaces() == {"gcn-nas": {}}
    assert len(server.requests) == 3
    first, second = clock.sleeps
    assert 0.2 <= first <= 0.4  # exponential backoff with jitter
    assert 0.4 <= second <= 0.6


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, InvalidRequestError),
        (401, AuthenticationError),
        (403, PermissionDeniedError),
        (404, NotFoundError),
        (409, ConflictError),
        (413, PayloadTooLargeError),
        (415, InvalidRequestError),
        (422, InvalidRequestError),
    ],
)
def test_failures_without_a_retry(
    make_client: MakeClient, clock: FakeClock, status: int, error: type[ArchrankError]
) -> None:
    server = responding(problem(status, X_Request_ID="abc"))
    with pytest.raises(error, match=f"^GET /v1/spaces was answered {status}: because$") as caught:
        make_client("http://server", transport=server).spaces()
    assert (caught.value.status, caught.value.request_id, len(server.requests)) == (status, "abc", 1)
    assert type(caught.value) is error
    assert caught.value.problem is not None
    assert clock.sleeps == []
    restored = pickle.loads(pickle.dumps(caught.value))
    assert (type(restored), str(restored), vars(restored)) == (error, str(caught.value), vars(caught.value))


@pytest.mark.parametrize(
    ("status", "error"), [(408, APITimeoutError), (429, RateLimitError), (502, ServerError), (503, OverloadedError)]
)
def test_retries_end(make_client: MakeClient, clock: FakeClock, status: int, error: type[ArchrankError]) -> None:
    start = clock.now
    with pytest.raises(error):
        make_client("http://server", max_retry_time=100.0, transport=responding(problem(status))).spaces()
    assert 100.0 <= clock.now - start <= 110.0 + 0.2
    assert max(clock.sleeps) == 10.0


def test_server_failures_are_retried_a_few_times(make_client: MakeClient, clock: FakeClock) -> None:
    server = responding(problem(500, "an unexpected KeyError"))
    with pytest.raises(ServerError, match="an unexpected KeyError"):
        make_client("http://server", transport=server).spaces()
    assert len(server.requests) == 5


def test_a_server_that_was_never_reached_is_given_up_sooner(make_client: MakeClient, clock: FakeClock) -> None:
    refused = httpx.ConnectError("refused")
    start = clock.now
    with pytest.raises(APIConnectionError, match="GET http://server/v1/spaces: refused"):
        make_client("http://server", transport=responding(refused)).spaces()
    assert 30.0 <= clock.now - start <= 40.2
    client = make_client("http://server", transport=responding(SPACES, refused))
    client.spaces()
    start = clock.now
    with pytest.raises(APIConnectionError) as caught:
        client.spaces()
    assert 300.0 <= clock.now - start <= 310.2
    assert isinstance(caught.value, ConnectionError)


def test_no_retries(make_client: MakeClient, clock: FakeClock) -> None:
    server = responding(httpx.ReadTimeout("late"))
    with pytest.raises(APITimeoutError):
        make_client("http://server", max_retry_time=0.0, transport=server).spaces()
    assert (len(server.requests), clock.sleeps) == (1, [])


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("dated", [False, True])
def test_retry_after_is_respected(make_client: MakeClient, clock: FakeClock, status: int, dated: bool) -> None:
    when = format_datetime(datetime.now(UTC) + timedelta(seconds=40), usegmt=True)
    server = responding(problem(status, Retry_After=when if dated else "40"), SPACES)
    make_client("http://server", transport=server).spaces()
    (delay,) = clock.sleeps
    left = (parsedate_to_datetime(when) - datetime.now(UTC)).total_seconds()
    assert (left if dated else 40.0) <= delay <= 44.3


def test_retry_after_beyond_the_retry_time_is_an_error_at_once(make_client: MakeClient, clock: FakeClock) -> None:
    with pytest.raises(RateLimitError) as caught:
        make_client("http://server", transport=responding(problem(429, Retry_After="3600"))).spaces()
    assert (caught.value.retry_after, clock.sleeps) == (3600.0, [])


@pytest.mark.parametrize("text", ["soon", "-1", "", "Wed, 99 Foo 2026"])
def test_an_invalid_retry_after_is_ignored(make_client: MakeClient, clock: FakeClock, text: str) -> None:
    make_client("http://server", transport=responding(problem(503, Retry_After=text), SPACES)).spaces()
    assert 0.2 <= clock.sleeps[0] <= 0.4


def test_a_refused_certificate_is_not_retried(make_client: MakeClient, clock: FakeClock) -> None:
    def refused(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("certificate verify failed") from ssl.SSLCertVerificationError("self-signed")

    server = ScriptedServer(refused)
    with pytest.raises(APIConnectionError, match="certificate"):
        make_client("https://server", transport=server).spaces()
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(200, text="<html>Welcome to the hotel</html>"),
        httpx.Response(200, json=["gcn-nas"]),
        httpx.Response(200, text="{"),
        httpx.Response(302, headers={"Location": "http://elsewhere/"}),
    ],
    ids=["html", "list", "half", "elsewhere"],
)
def test_responses_of_other_servers(make_client: MakeClient, clock: FakeClock, response: httpx.Response) -> None:
    server = responding(response)
    with pytest.raises(UnexpectedResponseError, match="GET /v1/spaces"):
        make_client("http://server", transport=server).spaces()
    assert len(server.requests) == 1


def predicting(accuracy: str) -> ScriptedServer:
    """Return a server without `/v1/limits` and with one prediction of this accuracy."""
    item = {"interval": {"low": 0.9, "high": 0.91, "level": 0.9}, "percentile": 0.01, "combiner": "stacked"}
    item |= {"architecture": {}, "fingerprint": "f", "newer_field": [1], "accuracy": "placeholder"}
    text = json.dumps({"predictions": [item]}).replace('"placeholder"', accuracy)

    def respond(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/limits":
            return problem(404)
        return httpx.Response(200, text=text, headers={"X-Request-ID": "abc"})

    return ScriptedServer(respond)


@pytest.mark.parametrize("accuracy", ["NaN", "Infinity", "null", '"high"', "1e999"])
def test_an_accuracy_is_a_finite_number(make_client: MakeClient, accuracy: str) -> None:
    server = predicting(accuracy)
    with pytest.raises(UnexpectedResponseError, match="accuracy") as caught:
        make_client("http://server", transport=server).predict([{}])
    assert caught.value.request_id == "abc"


def test_fields_of_newer_servers_and_limits_of_older_servers(make_client: MakeClient) -> None:
    server = predicting("0.9")
    client = make_client("http://server", transport=server)
    (prediction,) = client.predict([{}])
    assert prediction.model_extra == {"newer_field": [1]}
    assert client.limits().max_architectures == 64
    assert [request.url.path for request in server.requests] == ["/v1/limits", "/v1/predictions"]


def test_the_number_of_items_has_to_be_that_of_the_architectures(make_client: MakeClient) -> None:
    server = predicting("0.9")
    with pytest.raises(UnexpectedResponseError, match="1 items for 2 architectures"):
        make_client("http://server", transport=server).predict([{}, {"a": 1}])


def test_keys_are_sent_and_never_shown(
    make_client: MakeClient, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("ARCHRANK_KEY", f" {KEY}\n")
    monkeypatch.setenv("ARCHRANK_URL", "https://server/archrank/")
    server = responding(problem(503), problem(401, "the API key is not known"))
    client = make_client(transport=server)
    with pytest.raises(AuthenticationError) as caught:
        client.spaces()
    assert server.requests[-1].headers["Authorization"] == f"Bearer {KEY}"
    assert str(server.requests[-1].url) == "https://server/archrank/v1/spaces"
    blocking = Client(transport=responding(SPACES))
    texts = [
        repr(blocking),
        str(blocking),
        repr(vars(blocking)),
        repr(blocking._transport.settings),
        repr(vars(blocking._transport)),
    ]
    assert KEY not in " ".join([*texts, repr(caught.value), str(vars(caught.value)), caplog.text])
    assert "stamina.retry_scheduled" in caplog.text
    blocking.close()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"url": "ftp://server"}, "url: "),
        ({"url": "server:8000"}, "url: "),
        ({"url": "http://server:port"}, "url: "),
        ({"url": "http://me:secret@server"}, "url: "),
        ({"url": "http://server/?key=secret"}, "url: holds a query"),
        ({"url": "http://server/#secret"}, "url: holds a query or fragment"),
        ({"key": "ark_sec\nret"}, "key: "),
        ({"key": "ark secret"}, "key: "),
        ({"timeout": 0}, "timeout"),
        ({"timeout": float("inf")}, "timeout"),
        ({"max_retry_time": -1}, "max_retry_time"),
        ({"max_concurrency": 0}, "max_concurrency"),
    ],
)
@pytest.mark.parametrize("cls", [Client, AsyncClient])
def test_invalid_arguments(cls: type, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        cls(**arguments)
    assert "sec" not in str(caught.value).replace("seconds", "")


def test_all_attempts_at_a_job_have_one_key(make_client: MakeClient, clock: FakeClock) -> None:
    status: dict[str, Any] = {
        "id": "0" * 32,
        "kind": "predictions",
        "state": "queued",
        "progress": 0,
        "created_at": "2026-01-01T00:00:00Z",
    }
    status["counts"] = {"total": 1, "queued": 1, "running": 0, "done": 0, "failed": 0}
    accepted = httpx.Response(202, json=status)
    server = responding(httpx.ReadError("reset"), problem(503), accepted)
    client = make_client("http://server", transport=server)
    client.submit([{}])
    client.submit([{}])
    client.submit([{}], idempotency_key="mine")
    keys = [request.headers["Idempotency-Key"] for request in server.requests]
    assert keys[0] == keys[1] == keys[2] != keys[3]
    assert keys[4] == "mine"


@pytest.mark.parametrize("key", ["", "Zürich", "two\nlines", " mine", "mine\t"])
def test_invalid_idempotency_keys(make_client: MakeClient, clock: FakeClock, key: str) -> None:
    server = responding(SPACES)
    with pytest.raises(ValueError, match=r"idempotency_key: got .*; allowed: printable ASCII"):
        make_client("http://server", transport=server).submit([{}], idempotency_key=key)
    assert server.requests == []


def test_retries_can_be_disabled_globally(make_client: MakeClient, clock: FakeClock) -> None:
    stamina.set_active(False)
    try:
        with pytest.raises(OverloadedError):
            make_client("http://server", transport=responding(problem(503))).spaces()
    finally:
        stamina.set_active(True)
    assert clock.sleeps == []


@pytest.mark.parametrize("cls", [Client, AsyncClient])
def test_a_refused_request_ends_the_retries_of_the_others(cls: type) -> None:
    """Uses the real clock: waiting for the others would take five minutes."""
    problem_document = {"status": 422, "detail": "no", "errors": [{"field": "seed", "value": "x", "allowed": "y"}]}

    def respond(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/limits":
            return httpx.Response(200, json={"max_architectures": 1})
        return httpx.Response(422, json=problem_document) if b'"number":3' in request.content else problem(503)

    architectures = [{"number": number} for number in range(8)]

    async def call_async() -> None:
        async with AsyncClient("http://server", transport=ScriptedServer(respond)) as client:
            await client.predict(architectures, proxies=[])

    def call() -> None:
        if cls is AsyncClient:
            asyncio.run(call_async())
        else:
            with Client("http://server", transport=ScriptedServer(respond)) as client:
                client.predict(architectures, proxies=[])

    with pytest.raises(InvalidRequestError, match="no"):
        call()


PROGRAM = """
import httpx
from archrank_client import Client, InvalidRequestError

def answer(request):
    if request.url.path == "/v1/limits":
        return httpx.Response(200, json={"max_architectures": 1})
    if b'"number":3' in request.content:
        return httpx.Response(422, json={"status": 422, "errors": [{"field": "seed", "value": "x", "allowed": "y"}]})
    return httpx.Response(503, headers={"Retry-After": "250"})

with Client("http://server", transport=httpx.MockTransport(answer)) as client:
    try:
        client.predict([{"number": number} for number in range(8)], proxies=[])
    except InvalidRequestError:
        print("refused")
"""


def test_retries_of_a_failed_call_do_not_keep_the_program_running() -> None:
    process = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=PATIENCE_S)
    assert (process.returncode, process.stdout) == (0, "refused\n")
