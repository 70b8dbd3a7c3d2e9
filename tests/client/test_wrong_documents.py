"""Wrong JSON documents from a server lead to an error of the client, and never to an endless call."""

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

from tests.client.conftest import FakeClock, MakeClient, ScriptedServer
from tests.client.test_raw_responses import JOB, job_status, results_page

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
STUDY = "1" * 32
STUDY_STATE: dict[str, Any] = {
    "id": STUDY,
    "name": "s",
    "space": "gcn-nas",
    "metric": {"name": "accuracy", "direction": "maximize", "unit": "fraction"},
    "created_at": "2026-01-01T00:00:00Z",
    "updated_at": "2026-01-01T00:00:00Z",
    "observations": {"total": 1, "trained": 1, "failed": 0, "architectures": 1},
    "fitted": {"observations": 1, "trained": 1},
    "quality": {"observations": 1, "trained": 1, "spearman": 0.5, "curve": [{"n": 1, "spearman": None}]},
    "notes": ["n"],
    "best": [{"architecture": {}, "value": 0.9}],
}
BASIS = {"observations": 1, "pending": 0, "notes": ["n"]}
STUDY_ITEM = {
    "architecture": {},
    "score": 1.0,
    "percentile": 0.5,
    "value": 0.9,
    "interval": {"low": 0.8, "high": 1.0, "level": 0.9},
    "failure_probability": 0.1,
    "warnings": [],
}
PROBLEM = {"status": 422, "title": "No", "detail": "no", "errors": []}
ENSEMBLE = {"name": "e", "space": "gcn-nas", "seed": 0, "proxies": {}, "combiners": [], "interval_level": 0.9}
DOCUMENTS: dict[str, Any] = {
    "/v1/limits": {"max_architectures": 64, "max_page_size": 1000, "max_sample_size": 1000},
    "/v1/spaces": {"gcn-nas": {"modules": ["S"]}},
    "/v1/ensembles": {"e": ENSEMBLE | {"benchmark": {}, "metrics": {"s": {"mae": {"mean": 0.5, "std": 0.1}}}}},
    "/v1/spaces/gcn-nas/sample": {"architectures": ARCHITECTURES},
    "/v1/predictions": {"predictions": [PREDICTION, {"error": PROBLEM}]},
    "/v1/scores": job_status(state="running"),
    "/v1/architectures/validate": {"validations": [ITEM | {"stratum": 4, "parameters": 1, "flops": 1}] * 2},
    "/v1/jobs": {"jobs": [job_status()]},
    f"/v1/jobs/{JOB}": job_status(),
    f"/v1/jobs/{JOB}/results": json.loads(results_page([1, 0])),
    "/v1/studies": {"studies": [STUDY_STATE]},
    "/v1/studies/import": STUDY_STATE,
    f"/v1/studies/{STUDY}": STUDY_STATE,
    f"/v1/studies/{STUDY}/predictions": BASIS | {"predictions": [STUDY_ITEM, {"error": PROBLEM}]},
    f"/v1/studies/{STUDY}/suggestions": BASIS | {"suggestions": [STUDY_ITEM]},
    f"/v1/studies/{STUDY}/observations": {
        "observations": [{"id": "o", "architecture": {}, "value": 0.9, "predicted": 0.8}],
        "next": None,
    },
    f"/v1/studies/{STUDY}/export": {"study": {}},
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
    "studies": lambda client: client.studies(),
    "import_study": lambda client: client.import_study({}),
    "state": lambda client: client.study("s").state(),
    "predict by study": lambda client: client.study("s").predict(ARCHITECTURES),
    "suggest": lambda client: client.study("s").suggest(1),
    "observations": lambda client: list(client.study("s").observations()),
    "export": lambda client: client.study("s").export(),
}
ODD_VALUES: st.SearchStrategy[Any] = st.sampled_from(
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
NAN = "placeholder of NaN"
DEEP = "placeholder of a deeply nested list"


def paths_of(document: Any) -> list[tuple[Any, ...]]:
    """Return the path of every value of a document."""
    inner = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    return [(), *((key, *rest) for key, value in inner for rest in paths_of(value))]


def replace(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    copy = document.copy()
    copy[path[0]] = replace(document[path[0]], path[1:], value)
    return copy


def encode(document: Any) -> bytes:
    text = json.dumps(document).replace(json.dumps(NAN), "NaN")
    return text.replace(json.dumps(DEEP), "[" * 100_000 + "]" * 100_000).encode()


class LyingServer(ScriptedServer):
    """Server with valid documents except for some; it stops after a hundred requests.

    Args:
        bodies: invalid bodies by path.
        status: status of the responses with these bodies.
    """

    def __init__(self, bodies: dict[str, bytes], status: int = 200) -> None:
        self.bodies, self.status = bodies, status
        super().__init__(self.respond)

    def respond(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if len(self.requests) > 100:
            raise httpx.ConnectError("gone")
        if path in self.bodies:
            return httpx.Response(self.status, content=self.bodies[path])
        if path not in DOCUMENTS:
            return httpx.Response(404 if path != f"/v1/jobs/{JOB}/events" else 204)
        status = 202 if request.method == "POST" and "state" in DOCUMENTS[path] else 200
        return httpx.Response(status, json=DOCUMENTS[path])


@pytest.mark.parametrize("name", CALLS)
def test_valid_documents_are_accepted(make_client: MakeClient, name: str) -> None:
    assert CALLS[name](make_client("http://server", max_retry_time=0, transport=LyingServer({})))


@pytest.mark.parametrize("name", CALLS)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data(), status=st.sampled_from([200, 202, 200, 422]))
def test_a_wrong_value_anywhere(make_client: MakeClient, clock: FakeClock, name: str, data: Any, status: int) -> None:
    url_path = data.draw(st.sampled_from(sorted(DOCUMENTS)))
    path = data.draw(st.sampled_from(paths_of(DOCUMENTS[url_path])))
    value = data.draw(ODD_VALUES | st.sampled_from([NAN, DEEP]))
    server = LyingServer({url_path: encode(replace(DOCUMENTS[url_path], path, value))}, status)
    with suppress(ArchrankError):
        CALLS[name](make_client("http://server", max_retry_time=0, transport=server))


@pytest.mark.parametrize("name", CALLS)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=st.binary(), status=st.integers(100, 999))
@example(content=b"[" * 100_000, status=200)
@example(content=b'{"":' * 100_000, status=422)
@example(content=b"1" * 100_000, status=200)
def test_any_body_and_any_status(
    make_client: MakeClient, clock: FakeClock, name: str, content: bytes, status: int
) -> None:
    server = LyingServer(dict.fromkeys(DOCUMENTS, content), status)
    with pytest.raises(ArchrankError):
        CALLS[name](make_client("http://server", max_retry_time=0, transport=server))


def job_with_pages(
    *pages: list[int], total: int = 2, state: str = "done", next_path: str = f"/v1/jobs/{JOB}/results?after=1"
) -> LyingServer:
    """Return a server with a job whose pages hold these positions; the last page is repeated."""
    remaining = list(pages)

    class JobServer(LyingServer):
        def respond(self, request: httpx.Request) -> httpx.Response:
            if request.url.path == f"/v1/jobs/{JOB}":
                return httpx.Response(200, json=job_status(total, state=state))
            if request.url.path.endswith("/results"):
                return httpx.Response(
                    200, content=results_page(remaining.pop(0) if len(remaining) > 1 else remaining[0], next_path)
                )
            return super().respond(request)

    return JobServer({"/v1/scores": json.dumps(job_status(total, state="running")).encode()}, 202)


@pytest.mark.parametrize("name", ["score", "iter", "results"])
@pytest.mark.parametrize(
    ("pages", "fault"),
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
def test_positions(make_client: MakeClient, clock: FakeClock, name: str, pages: list[list[int]], fault: str) -> None:
    with pytest.raises(UnexpectedResponseError, match=fault):
        CALLS[name](make_client("http://server", transport=job_with_pages(*pages)))


def test_a_running_job_may_have_many_empty_pages(make_client: MakeClient, clock: FakeClock) -> None:
    server = job_with_pages([0], *[[]] * 40, [1], [], state="running")
    results = make_client("http://server", transport=server).job(JOB).iter()
    assert [next(results)[0], next(results)[0]] == [0, 1]
    assert clock.sleeps[-1] == 5.0


def test_a_job_of_another_number_of_architectures(make_client: MakeClient, clock: FakeClock) -> None:
    with pytest.raises(UnexpectedResponseError, match=f"job {JOB} is of 3 architectures; 2 were sent"):
        make_client("http://server", transport=job_with_pages([0], total=3)).score(ARCHITECTURES)


@pytest.mark.parametrize("next_path", ["/v1/jobs/\n", "/v1/jobs/" + "x" * 70_000, "/v1/jobs/é", "//elsewhere/", ""])
def test_next_is_a_path(make_client: MakeClient, clock: FakeClock, next_path: str) -> None:
    with pytest.raises(UnexpectedResponseError, match="next is not a path of the server"):
        make_client("http://server", transport=job_with_pages([0], next_path=next_path)).job(JOB).results()


class StreamingServer(LyingServer):
    """Server with a running job without results, and these events."""

    def __init__(self, events: bytes) -> None:
        self.events = events
        super().__init__({f"/v1/jobs/{JOB}": json.dumps(job_status(state="running")).encode()})

    def respond(self, request: httpx.Request) -> httpx.Response:
        response = super().respond(request)
        if request.url.path.endswith("/results"):
            return httpx.Response(200, content=results_page([], f"/v1/jobs/{JOB}/results?after=0"))
        if request.url.path.endswith("/events"):
            return httpx.Response(200, content=self.events, headers={"Content-Type": "text/event-stream"})
        return response


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
def test_invalid_events(make_client: MakeClient, clock: FakeClock, events: bytes, fault: str) -> None:
    job = make_client("http://server", max_retry_time=0, transport=StreamingServer(events)).job(JOB)
    with pytest.raises(UnexpectedResponseError, match=f"a job's events: .*{fault}"):
        job.results()


@pytest.mark.parametrize("kind", ["done", "item"])
@pytest.mark.parametrize("completion", [1, 2**62, 10**4000, -1, "1", None])
def test_events_that_announce_missing_results_do_not_cause_a_busy_loop(
    make_client: MakeClient, clock: FakeClock, kind: str, completion: Any
) -> None:
    data = json.dumps({"completion": completion})
    server = StreamingServer(f"event: {kind}\ndata: {data}\n\n".encode() * 3)
    job, start = make_client("http://server", max_retry_time=0, transport=server).job(JOB), clock.now
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
    seconds = parse_retry_after(text)
    assert seconds is None or seconds >= 0


def test_a_long_refusal_is_a_short_sentence(make_client: MakeClient, clock: FakeClock) -> None:
    body = json.dumps(PROBLEM | {"detail": "no\n\x1b[2J" + "x" * 100_000}).encode()
    with pytest.raises(InvalidRequestError) as caught:
        make_client("http://server", transport=LyingServer({"/v1/spaces": body}, 422)).spaces()
    assert len(str(caught.value)) < 3000
    assert str(caught.value).isprintable()
    assert caught.value.problem is not None
    assert caught.value.problem.detail.endswith("x" * 100)


def test_many_faults_are_a_short_sentence(make_client: MakeClient, clock: FakeClock) -> None:
    jobs = b'{"jobs":[' + b",".join([b"1"] * 400_000) + b"]}"
    ensembles = b"{" + b",".join(b'"%d":1' % i for i in range(80_000)) + b"}"
    server = LyingServer({"/v1/jobs": jobs, "/v1/ensembles": ensembles})
    client = make_client("http://server", transport=server)
    with pytest.raises(UnexpectedResponseError, match=r"unexpected response to GET /v1/jobs: jobs\.0: ") as caught:
        client.jobs()
    assert caught.value.__cause__ is caught.value.__context__ is None
    with pytest.raises(UnexpectedResponseError, match="unexpected response to GET /v1/ensembles: it has 80000 faults"):
        client.ensembles()


def test_a_job_that_ends_before_all_results(make_client: MakeClient, clock: FakeClock) -> None:
    class ShortServer(LyingServer):
        def respond(self, request: httpx.Request) -> httpx.Response:
            if request.url.path.endswith("/results"):
                return httpx.Response(200, content=results_page([1]))
            return super().respond(request)

    with pytest.raises(JobFailedError, match="is done, with 1 of 2 results"):
        make_client("http://server", transport=ShortServer({})).job(JOB).results()
