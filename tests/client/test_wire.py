"""What is sent again and for how long, what is an error of which kind, and that keys are told to nobody."""

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

from tests.client.conftest import Clock, Make, Script, following

SPACES = httpx.Response(200, json={"gcn-nas": {}})
KEY = "ark_secret_0123456789"


def problem(status: int, detail: str = "because", **headers: str) -> httpx.Response:
    body = {"type": "about:blank", "title": "No", "status": status, "detail": detail, "errors": []}
    return httpx.Response(status, json=body, headers={name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize(
    "lost",
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
    ids=lambda lost: type(lost).__name__ if isinstance(lost, Exception) else str(lost.status_code),
)
def test_is_sent_again(make: Make, clock: Clock, lost: Any) -> None:
    script = following(lost, lost, SPACES)
    assert make("http://server", transport=script).spaces() == {"gcn-nas": {}}
    assert len(script.requests) == 3
    first, second = clock.slept
    assert 0.2 <= first <= 0.4  # grows, and is never the same for two clients
    assert 0.4 <= second <= 0.6


@pytest.mark.parametrize(
    ("status", "kind"),
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
def test_is_an_error_at_once(make: Make, clock: Clock, status: int, kind: type[ArchrankError]) -> None:
    script = following(problem(status, X_Request_ID="abc"))
    with pytest.raises(kind, match=f"^GET /v1/spaces was answered {status}: because$") as caught:
        make("http://server", transport=script).spaces()
    assert (caught.value.status, caught.value.request_id, len(script.requests)) == (status, "abc", 1)
    assert type(caught.value) is kind
    assert caught.value.problem is not None
    assert clock.slept == []
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), str(again), vars(again)) == (kind, str(caught.value), vars(caught.value))


@pytest.mark.parametrize(
    ("status", "kind"), [(408, APITimeoutError), (429, RateLimitError), (502, ServerError), (503, OverloadedError)]
)
def test_patience_ends(make: Make, clock: Clock, status: int, kind: type[ArchrankError]) -> None:
    start = clock.now
    with pytest.raises(kind):
        make("http://server", max_retry_time=100.0, transport=following(problem(status))).spaces()
    assert 100.0 <= clock.now - start <= 110.0 + 0.2
    assert max(clock.slept) == 10.0


def test_a_failing_server_is_asked_a_few_times(make: Make, clock: Clock) -> None:
    script = following(problem(500, "an unexpected KeyError"))
    with pytest.raises(ServerError, match="an unexpected KeyError"):
        make("http://server", transport=script).spaces()
    assert len(script.requests) == 5


def test_a_server_that_was_never_there_is_given_up_soon_and_one_that_was_is_waited_for(
    make: Make, clock: Clock
) -> None:
    gone = httpx.ConnectError("refused")
    start = clock.now
    with pytest.raises(APIConnectionError, match="GET http://server/v1/spaces: refused"):
        make("http://server", transport=following(gone)).spaces()
    assert 30.0 <= clock.now - start <= 40.2
    client = make("http://server", transport=following(SPACES, gone))
    client.spaces()
    start = clock.now
    with pytest.raises(APIConnectionError) as caught:
        client.spaces()
    assert 300.0 <= clock.now - start <= 310.2
    assert isinstance(caught.value, ConnectionError)


def test_no_patience(make: Make, clock: Clock) -> None:
    script = following(httpx.ReadTimeout("late"))
    with pytest.raises(APITimeoutError):
        make("http://server", max_retry_time=0.0, transport=script).spaces()
    assert (len(script.requests), clock.slept) == (1, [])


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("dated", [False, True])
def test_retry_after_is_kept(make: Make, clock: Clock, status: int, dated: bool) -> None:
    when = format_datetime(datetime.now(UTC) + timedelta(seconds=40), usegmt=True)
    script = following(problem(status, Retry_After=when if dated else "40"), SPACES)
    make("http://server", transport=script).spaces()
    (slept,) = clock.slept
    left = (parsedate_to_datetime(when) - datetime.now(UTC)).total_seconds()
    assert (left if dated else 40.0) <= slept <= 44.3


def test_retry_after_longer_than_patience_is_not_waited_for(make: Make, clock: Clock) -> None:
    with pytest.raises(RateLimitError) as caught:
        make("http://server", transport=following(problem(429, Retry_After="3600"))).spaces()
    assert (caught.value.retry_after, clock.slept) == (3600.0, [])


@pytest.mark.parametrize("text", ["soon", "-1", "", "Wed, 99 Foo 2026"])
def test_retry_after_that_says_nothing_is_none(make: Make, clock: Clock, text: str) -> None:
    make("http://server", transport=following(problem(503, Retry_After=text), SPACES)).spaces()
    assert 0.2 <= clock.slept[0] <= 0.4


def test_a_certificate_that_is_refused_is_not_tried_again(make: Make, clock: Clock) -> None:
    def refused(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("certificate verify failed") from ssl.SSLCertVerificationError("self-signed")

    script = Script(refused)
    with pytest.raises(APIConnectionError, match="certificate"):
        make("https://server", transport=script).spaces()
    assert len(script.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, text="<html>Welcome to the hotel</html>"),
        httpx.Response(200, json=["gcn-nas"]),
        httpx.Response(200, text="{"),
        httpx.Response(302, headers={"Location": "http://elsewhere/"}),
    ],
    ids=["html", "list", "half", "elsewhere"],
)
def test_what_is_no_answer_of_such_a_server(make: Make, clock: Clock, answer: httpx.Response) -> None:
    script = following(answer)
    with pytest.raises(UnexpectedResponseError, match="GET /v1/spaces"):
        make("http://server", transport=script).spaces()
    assert len(script.requests) == 1


def predicting(accuracy: str) -> Script:
    """A server without `/v1/limits` that gives one prediction, this one."""
    item = {"interval": {"low": 0.9, "high": 0.91, "level": 0.9}, "percentile": 0.01, "combiner": "stacked"}
    item |= {"architecture": {}, "fingerprint": "f", "of a newer server": [1], "accuracy": "here"}
    text = json.dumps({"predictions": [item]}).replace('"here"', accuracy)

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/limits":
            return problem(404)
        return httpx.Response(200, text=text, headers={"X-Request-ID": "abc"})

    return Script(answer)


@pytest.mark.parametrize("accuracy", ["NaN", "Infinity", "null", '"high"', "1e999"])
def test_an_accuracy_is_a_number(make: Make, accuracy: str) -> None:
    script = predicting(accuracy)
    with pytest.raises(UnexpectedResponseError, match="accuracy") as caught:
        make("http://server", transport=script).predict([{}])
    assert caught.value.request_id == "abc"


def test_fields_of_newer_servers_are_kept_and_older_servers_have_known_limits(make: Make) -> None:
    script = predicting("0.9")
    client = make("http://server", transport=script)
    (one,) = client.predict([{}])
    assert one.model_extra == {"of a newer server": [1]}
    assert client.limits().max_architectures == 64
    assert [request.url.path for request in script.requests] == ["/v1/limits", "/v1/predictions"]


def test_as_many_answers_as_architectures(make: Make) -> None:
    script = predicting("0.9")
    with pytest.raises(UnexpectedResponseError, match="1 items for 2 architectures"):
        make("http://server", transport=script).predict([{}, {"a": 1}])


def test_keys_are_sent_and_told_to_nobody(
    make: Make, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("ARCHRANK_KEY", f" {KEY}\n")
    monkeypatch.setenv("ARCHRANK_URL", "https://server/archrank/")
    script = following(problem(503), problem(401, "the API key is not known"))
    client = make(transport=script)
    with pytest.raises(AuthenticationError) as caught:
        client.spaces()
    assert script.requests[-1].headers["Authorization"] == f"Bearer {KEY}"
    assert str(script.requests[-1].url) == "https://server/archrank/v1/spaces"
    plain = Client(transport=following(SPACES))
    shown = [repr(plain), str(plain), repr(vars(plain)), repr(plain._transport.settings), repr(vars(plain._transport))]
    assert KEY not in " ".join([*shown, repr(caught.value), str(vars(caught.value)), caplog.text])
    assert "stamina.retry_scheduled" in caplog.text
    plain.close()


@pytest.mark.parametrize(
    ("given", "said"),
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
@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_what_no_client_can_be_made_with(kind: type, given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        kind(**given)
    assert "sec" not in str(caught.value).replace("seconds", "")


def test_one_key_makes_one_job_of_all_attempts(make: Make, clock: Clock) -> None:
    card = {
        "id": "0" * 32,
        "kind": "predictions",
        "state": "queued",
        "progress": 0,
        "created_at": "2026-01-01T00:00:00Z",
    }
    card["counts"] = {"total": 1, "queued": 1, "running": 0, "done": 0, "failed": 0}
    made = httpx.Response(202, json=card)
    script = following(httpx.ReadError("reset"), problem(503), made)
    client = make("http://server", transport=script)
    client.submit([{}])
    client.submit([{}])
    client.submit([{}], idempotency_key="mine")
    keys = [request.headers["Idempotency-Key"] for request in script.requests]
    assert keys[0] == keys[1] == keys[2] != keys[3]
    assert keys[4] == "mine"


@pytest.mark.parametrize("key", ["", "Zürich", "two\nlines", " mine", "mine\t"])
def test_a_job_s_key_is_one_that_a_header_can_have(make: Make, clock: Clock, key: str) -> None:
    script = following(SPACES)
    with pytest.raises(ValueError, match=r"idempotency_key: got .*; allowed: printable ASCII"):
        make("http://server", transport=script).submit([{}], idempotency_key=key)
    assert script.requests == []


def test_retries_can_be_switched_off_for_all(make: Make, clock: Clock) -> None:
    stamina.set_active(False)
    try:
        with pytest.raises(OverloadedError):
            make("http://server", transport=following(problem(503))).spaces()
    finally:
        stamina.set_active(True)
    assert clock.slept == []


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_what_else_is_under_way_is_not_tried_again_where_one_request_is_refused(kind: type) -> None:
    """Without a clock of the test's: who waited for the others would wait for five minutes."""
    wrong = {"status": 422, "detail": "no", "errors": [{"field": "seed", "value": "x", "allowed": "y"}]}

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/limits":
            return httpx.Response(200, json={"max_architectures": 1})
        return httpx.Response(422, json=wrong) if b'"number":3' in request.content else problem(503)

    architectures = [{"number": number} for number in range(8)]

    async def awaited() -> None:
        async with AsyncClient("http://server", transport=Script(answer)) as client:
            await client.predict(architectures, proxies=[])

    def ask() -> None:
        if kind is AsyncClient:
            asyncio.run(awaited())
        else:
            with Client("http://server", transport=Script(answer)) as client:
                client.predict(architectures, proxies=[])

    with pytest.raises(InvalidRequestError, match="no"):
        ask()


BUSY = """
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


def test_a_program_ends_although_requests_of_a_call_that_failed_still_pause() -> None:
    ended = subprocess.run([sys.executable, "-c", BUSY], capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stdout) == (0, "refused\n")
