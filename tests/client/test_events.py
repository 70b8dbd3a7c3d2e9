"""Events of jobs: streams are resumed where they broke off, and replaced by polling where there are none."""

import json
from typing import Any

import httpx
import pytest
from archrank_client import APITimeoutError, JobFailedError, UnexpectedResponseError

from tests.client.conftest import FakeClock, MakeClient, ScriptedServer

JOB = "0" * 32
TOTAL = 6


class JobServer(ScriptedServer):
    """Server with one job, which finishes one architecture with each request for its status or results.

    Args:
        streams: response of each connection to the events, as a status or as completion numbers.
        state: final state of the job.
    """

    def __init__(self, *streams: int | list[int], state: str = "done") -> None:
        self.streams, self.state, self.finished = list(streams), state, 0
        super().__init__(self.respond)

    def respond(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path == "/v1/limits":
            return httpx.Response(404)
        if path.endswith("/events"):
            return self.events()
        if path.endswith("/results"):
            return self.results(int(request.url.params.get("after", 0)))
        state = self.state if self.finished >= TOTAL else "running"
        counts = {"total": TOTAL, "queued": 0, "running": 0, "done": self.finished, "failed": 0}
        status = {"id": JOB, "kind": "scores", "state": state, "counts": counts, "progress": 0.5}
        self.finished = min(TOTAL, self.finished + 1)
        return httpx.Response(200, json=status | {"created_at": "2026-01-01T00:00:00Z"})

    def events(self) -> httpx.Response:
        stream = self.streams.pop(0) if self.streams else 503
        if isinstance(stream, int):
            return httpx.Response(stream, headers={"Content-Type": "text/html"})
        text = "".join(f"id: {n + 1}\nevent: item\ndata: {json.dumps({'completion': n})}\n\n" for n in stream)
        return httpx.Response(200, text=text + "id: 99\nevent: it", headers={"Content-Type": "text/event-stream"})

    def results(self, after: int) -> httpx.Response:
        self.finished = min(TOTAL, max(self.finished, after) + 1)
        item = {"architecture": {}, "fingerprint": "f", "scores": {}}
        results = [{"position": TOTAL - 1 - n, "result": item} for n in range(after, self.finished)]
        next_path = None if self.finished == TOTAL else f"/v1/jobs/{JOB}/results?after={self.finished}&limit=500"
        return httpx.Response(200, json={"results": results, "next": next_path})

    def last_event_ids(self) -> list[str]:
        requests = [request for request in self.requests if request.url.path.endswith("/events")]
        return [request.headers["Last-Event-ID"] for request in requests]


def positions(make_client: MakeClient, server: JobServer) -> list[int]:
    """Return the positions of the job's results in order of completion."""
    server.finished = 0
    return [position for position, _ in make_client("http://server", transport=server).job(JOB).iter()]


def test_a_broken_stream_is_resumed(make_client: MakeClient, clock: FakeClock) -> None:
    server = JobServer([1, 2], [3], [4, 5], [6])
    assert positions(make_client, server) == [5, 4, 3, 2, 1, 0]
    last_event_ids = server.last_event_ids()
    assert last_event_ids[0] == "0"
    assert last_event_ids == sorted(last_event_ids)
    assert "99" not in last_event_ids  # the incomplete event
    assert len(last_event_ids) > 1


@pytest.mark.parametrize("status", [503, 204, 200, 404])
def test_without_streams_the_job_is_polled(make_client: MakeClient, clock: FakeClock, status: int) -> None:
    server = JobServer(*[status] * 10)
    assert positions(make_client, server) == [5, 4, 3, 2, 1, 0]
    assert server.last_event_ids() == ["0", "0", "0"]
    assert clock.sleeps


def test_waiting_with_a_timeout_polls(make_client: MakeClient, clock: FakeClock) -> None:
    server = JobServer([1], [2])
    assert make_client("http://server", transport=server).job(JOB).wait(timeout=100.0).state == "done"
    assert server.last_event_ids() == []


@pytest.mark.parametrize("timeout", [0.0, 5.0])
def test_waiting_ends_in_time_without_a_response(make_client: MakeClient, clock: FakeClock, timeout: float) -> None:
    class SilentServer(JobServer):
        def respond(self, request: httpx.Request) -> httpx.Response:
            if len(self.requests) > 1:
                raise httpx.ReadTimeout("late")
            return super().respond(request)

    job = make_client("http://server", transport=SilentServer()).job(JOB)
    with pytest.raises(APITimeoutError, match=f"job {JOB} has not ended within {timeout:g} s; it continues"):
        job.wait(timeout=timeout)


def test_a_job_that_ends_without_all_results_is_an_error(make_client: MakeClient, clock: FakeClock) -> None:
    job = make_client("http://server", transport=JobServer(state="failed")).job(JOB)
    with pytest.raises(JobFailedError, match=f"job {JOB} is failed"):
        list(job.iter())
    with pytest.raises(JobFailedError):
        job.results()


def test_the_key_is_sent_to_no_other_host(make_client: MakeClient, clock: FakeClock) -> None:
    class RedirectingServer(JobServer):
        def results(self, after: int) -> httpx.Response:
            return httpx.Response(200, json={"results": [], "next": "http://elsewhere/v1/jobs/"})

    server = RedirectingServer()
    with pytest.raises(UnexpectedResponseError, match="next is not a path"):
        list(make_client("http://server", key="ark_key", transport=server).job(JOB).iter())
    assert {request.url.host for request in server.requests} == {"server"}


def test_jobs_of_an_unknown_kind(make_client: MakeClient, clock: FakeClock) -> None:
    class NewerServer(JobServer):
        def respond(self, request: httpx.Request) -> httpx.Response:
            response = super().respond(request)
            document: dict[str, Any] = json.loads(response.content) if response.is_success else {}
            return httpx.Response(response.status_code, json=document | {"kind": "measurements"})

    job = make_client("http://server", transport=NewerServer()).job(JOB)
    assert job.status().kind == "measurements"
    with pytest.raises(UnexpectedResponseError, match="of kind 'measurements', with detail 'full'; this client knows"):
        job.results()
