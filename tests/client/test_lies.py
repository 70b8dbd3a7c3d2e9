"""A server that answers with JSON: what it says is right, or an error of the client's own, and never without end."""

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx
import pytest
from archrank_client import (
    APIConnectionError,
    ArchrankError,
    InvalidRequestError,
    JobFailedError,
    UnexpectedResponseError,
)
from archrank_client.responses import parse_retry_after
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.client.conftest import Clock, Make, Script
from tests.client.test_hostile import JOB, job_card, results

ARCHITECTURES = [{"a": 1}, {"a": 2}]
ITEM = {"architecture": {}, "fingerprint": "f", "cached": False, "warnings": []}
PREDICTION = ITEM | {
    "scores": {"nwot": {"value": 1.0, "log": None, "status": "ok", "seconds": 0.1}},
    "accuracy": 0.9,
    "interval": {"low": 0.8, "high": 1.0, "level": 0.9},
    "percentile": 0.05,
    "combiner": "s",
    "combiners": {"s": None},
    "interval_scale": 1.0,
}
PROBLEM = {"status": 422, "title": "No", "detail": "no", "errors": []}
ENSEMBLE = {"name": "e", "space": "gcn-nas", "seed": 0, "proxies": {}, "combiners": [], "interval_level": 0.9}
ANSWERS: dict[str, Any] = {
    "/v1/limits": {"max_architectures": 64, "max_page_size": 1000, "max_sample_size": 1000},
    "/v1/spaces": {"gcn-nas": {"modules": ["S"]}},
    "/v1/ensembles": {"e": ENSEMBLE | {"benchmark": {}, "metrics": {"s": {"mae": {"mean": 0.5, "std": 0.1}}}}},
    "/v1/spaces/gcn-nas/sample": {"architectures": ARCHITECTURES},
    "/v1/predictions": {"predictions": [PREDICTION, {"error": PROBLEM}]},
    "/v1/scores": job_card(state="running"),
    "/v1/architectures/validate": {"validations": [ITEM | {"layers": 4, "parameters": 1, "flops": 1}] * 2},
    "/v1/jobs": {"jobs": [job_card()]},
    f"/v1/jobs/{JOB}": job_card(),
    f"/v1/jobs/{JOB}/results": json.loads(results([1, 0])),
}
CALLS: dict[str, Callable[[Any], Any]] = {
    "spaces": lambda client: client.spaces(),
    "ensembles": lambda client: client.ensembles(),
    "sample": lambda client: client.sample(2),
    "predict": lambda client: client.predict(ARCHITECTURES),
    "rank": lambda client: client.rank(ARCHITECTURES),
    "score": lambda client: client.score(ARCHITECTURES),
    "validate": lambda client: client.validate(ARCHITECTURES),
    "jobs": lambda client: client.jobs(),
    "wait": lambda client: client.job(JOB).wait(),
    "iter": lambda client: list(client.job(JOB).iter()),
    "results": lambda client: client.job(JOB).results(),
}
ODD = st.sampled_from(
    [
        None,
        True,
        "",
        "é\n\x1b[2J",
        "9" * 300,
        "/v1/jobs/" + "x" * 70_000,
        -1,
        0,
        1,
        2**31,
        2**63,
        10**400,
        1e308,
        [],
        {},
    ]
)
NAN = "a number that JSON has not"
DEEP = "a list that is nested deep"


def places(document: Any) -> list[tuple[Any, ...]]:
    """The way to every value of a document."""
    inner = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    return [(), *((key, *rest) for key, value in inner for rest in places(value))]


def changed(document: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    copy = document.copy()
    copy[place[0]] = changed(document[place[0]], place[1:], value)
    return copy


def said(document: Any) -> bytes:
    text = json.dumps(document).replace(json.dumps(NAN), "NaN")
    return text.replace(json.dumps(DEEP), "[" * 100_000 + "]" * 100_000).encode()


class Liar(Script):
    """A server that gives good answers, but for some; after a hundred of them it is gone.

    Args:
        bodies: by path, instead of the good ones.
        status: of these.
    """

    def __init__(self, bodies: dict[str, bytes], status: int = 200) -> None:
        self.bodies, self.status = bodies, status
        super().__init__(self.answer)

    def answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if len(self.requests) > 100:
            raise httpx.ConnectError("gone")
        if path in self.bodies:
            return httpx.Response(self.status, content=self.bodies[path])
        if path not in ANSWERS:
            return httpx.Response(404 if path != f"/v1/jobs/{JOB}/events" else 204)
        status = 202 if request.method == "POST" and "state" in ANSWERS[path] else 200
        return httpx.Response(status, json=ANSWERS[path])


@pytest.mark.parametrize("name", CALLS)
def test_good_answers_are_taken(make: Make, name: str) -> None:
    assert CALLS[name](make("http://server", max_retry_time=0, transport=Liar({})))


@pytest.mark.parametrize("name", CALLS)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data(), status=st.sampled_from([200, 202, 200, 422]))
def test_a_wrong_value_anywhere(make: Make, clock: Clock, name: str, data: Any, status: int) -> None:
    path = data.draw(st.sampled_from(sorted(ANSWERS)))
    place = data.draw(st.sampled_from(places(ANSWERS[path])))
    value = data.draw(ODD | st.sampled_from([NAN, DEEP]))
    script = Liar({path: said(changed(ANSWERS[path], place, value))}, status)
    with suppress(ArchrankError):
        CALLS[name](make("http://server", max_retry_time=0, transport=script))


@pytest.mark.parametrize("name", CALLS)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=st.binary(), status=st.integers(100, 999))
@example(content=b"[" * 100_000, status=200)
@example(content=b'{"":' * 100_000, status=422)
@example(content=b"1" * 100_000, status=200)
def test_any_body_and_any_status(make: Make, clock: Clock, name: str, content: bytes, status: int) -> None:
    script = Liar(dict.fromkeys(ANSWERS, content), status)
    with pytest.raises(ArchrankError):
        CALLS[name](make("http://server", max_retry_time=0, transport=script))


def pages(
    *listed: list[int], total: int = 2, state: str = "done", following: str = f"/v1/jobs/{JOB}/results?after=1"
) -> Liar:
    """A server with a job whose pages of results are these, the last again and again."""
    left = list(listed)

    class Pages(Liar):
        def answer(self, request: httpx.Request) -> httpx.Response:
            if request.url.path == f"/v1/jobs/{JOB}":
                return httpx.Response(200, json=job_card(total, state=state))
            if request.url.path.endswith("/results"):
                return httpx.Response(200, content=results(left.pop(0) if len(left) > 1 else left[0], following))
            return super().answer(request)

    return Pages({"/v1/scores": json.dumps(job_card(total, state="running")).encode()}, 202)


@pytest.mark.parametrize("name", ["score", "iter", "results"])
@pytest.mark.parametrize(
    ("listed", "fault"),
    [
        ([[2]], "position 2 of a job of 2"),
        ([[-1]], "position: Input should be greater than or equal to 0"),
        ([[0, 0]], "position 0 came twice"),
        ([[0], [1], [0]], "position 0 came twice"),
        ([[0, 1], []], "the job has ended, but not its results: 2 of 2"),
        ([[]], "the job has ended, but not its results: 0 of 2"),
    ],
    ids=str,
)
def test_positions(make: Make, clock: Clock, name: str, listed: list[list[int]], fault: str) -> None:
    with pytest.raises(UnexpectedResponseError, match=fault):
        CALLS[name](make("http://server", transport=pages(*listed)))


def test_a_job_that_runs_may_give_empty_pages_for_long(make: Make, clock: Clock) -> None:
    script = pages([0], *[[]] * 40, [1], [], state="running")
    results = make("http://server", transport=script).job(JOB).iter()
    assert [next(results)[0], next(results)[0]] == [0, 1]
    assert clock.slept[-1] == 5.0


def test_a_job_of_another_number_of_architectures(make: Make, clock: Clock) -> None:
    with pytest.raises(UnexpectedResponseError, match=f"job {JOB} is of 3 architectures; 2 were sent"):
        make("http://server", transport=pages([0], total=3)).score(ARCHITECTURES)


@pytest.mark.parametrize("following", ["/v1/jobs/\n", "/v1/jobs/" + "x" * 70_000, "/v1/jobs/é", "//elsewhere/", ""])
def test_next_is_a_path(make: Make, clock: Clock, following: str) -> None:
    with pytest.raises(UnexpectedResponseError, match="next is not a path of the server"):
        make("http://server", transport=pages([0], following=following)).job(JOB).results()


class Streaming(Liar):
    """A server with a job that runs and has no results, and tells of it in these events."""

    def __init__(self, events: bytes) -> None:
        self.events = events
        super().__init__({f"/v1/jobs/{JOB}": json.dumps(job_card(state="running")).encode()})

    def answer(self, request: httpx.Request) -> httpx.Response:
        found = super().answer(request)
        if request.url.path.endswith("/results"):
            return httpx.Response(200, content=results([], f"/v1/jobs/{JOB}/results?after=0"))
        if request.url.path.endswith("/events"):
            return httpx.Response(200, content=self.events, headers={"Content-Type": "text/event-stream"})
        return found


@pytest.mark.parametrize(
    ("events", "fault"),
    [
        ("id: é\nevent: item\ndata: {}\n\n".encode(), "an id cannot be sent in a header"),
        (b"id: 1\x00\n", "an id cannot be sent in a header"),
        (b"id: " + b"1" * 100_000 + b"\n\n", "an id cannot be sent in a header"),
        (b"data: " + b"[" * 100_000 + b"\n\n", "nested too deep"),
        (b":" * 2_000_000, "a line is longer than"),
        (b"data: x\n" * 1_000_000, "one is longer than"),
    ],
    ids=lambda value: str(value[:20]) if isinstance(value, bytes) else None,
)
def test_events_that_are_none(make: Make, clock: Clock, events: bytes, fault: str) -> None:
    job = make("http://server", max_retry_time=0, transport=Streaming(events)).job(JOB)
    with pytest.raises(UnexpectedResponseError, match=f"a job's events: .*{fault}"):
        job.results()


@pytest.mark.parametrize("kind", ["done", "item"])
@pytest.mark.parametrize("completion", [1, 2**62, 10**4000, -1, "1", None])
def test_events_that_promise_what_is_not_there_are_not_followed_at_once(
    make: Make, clock: Clock, kind: str, completion: Any
) -> None:
    """Else the server would be asked as fast as it answers."""
    data = json.dumps({"completion": completion})
    script = Streaming(f"event: {kind}\ndata: {data}\n\n".encode() * 3)
    job, start = make("http://server", max_retry_time=0, transport=script).job(JOB), clock.now
    with pytest.raises(APIConnectionError, match="gone"):
        job.results()
    assert clock.now - start > 50


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1000000000", 1e9),
        ("0", 0.0),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("Wed, 99 Foo 2026", None),
        ("Mon, 01 Jan 99999999999 00:00:00 GMT", None),
        (f"Mon, 01 Jan {'9' * 5000} 00:00:00 GMT", None),
        ("Mon, 01 Jan 2026 99:99:99 +99999999", None),
        ("Mon, 01 Jan 0001 00:00:00 +2359", 0.0),
        ("²", None),
    ],
)
def test_retry_after(text: str, seconds: float | None) -> None:
    assert parse_retry_after(text) == seconds


@given(st.text() | st.from_regex(r"\w{3}, \d+ (Jan|Feb) \d+ \d+:\d+:\d+ ([+-]\d+|GMT)"))
def test_retry_after_of_any_text(text: str) -> None:
    found = parse_retry_after(text)
    assert found is None or found >= 0


def test_a_long_refusal_is_a_short_sentence(make: Make, clock: Clock) -> None:
    body = json.dumps(PROBLEM | {"detail": "no\n\x1b[2J" + "x" * 100_000}).encode()
    with pytest.raises(InvalidRequestError) as caught:
        make("http://server", transport=Liar({"/v1/spaces": body}, 422)).spaces()
    assert len(str(caught.value)) < 3000
    assert str(caught.value).isprintable()
    assert caught.value.problem.detail.endswith("x" * 100)


def test_many_faults_are_a_short_sentence(make: Make, clock: Clock) -> None:
    listed = b'{"jobs":[' + b",".join([b"1"] * 400_000) + b"]}"
    named = b"{" + b",".join(b'"%d":1' % i for i in range(80_000)) + b"}"
    script = Liar({"/v1/jobs": listed, "/v1/ensembles": named})
    client = make("http://server", transport=script)
    with pytest.raises(UnexpectedResponseError, match=r"unexpected response to GET /v1/jobs: jobs\.0: ") as caught:
        client.jobs()
    assert caught.value.__cause__ is caught.value.__context__ is None
    with pytest.raises(UnexpectedResponseError, match="unexpected response to GET /v1/ensembles: it has 80000 faults"):
        client.ensembles()


def test_a_job_that_ends_before_all_results(make: Make, clock: Clock) -> None:
    class Short(Liar):
        def answer(self, request: httpx.Request) -> httpx.Response:
            if request.url.path.endswith("/results"):
                return httpx.Response(200, content=results([1]))
            return super().answer(request)

    with pytest.raises(JobFailedError, match="is done, with 1 of 2 results"):
        make("http://server", transport=Short({})).job(JOB).results()
