"""News of jobs: streams are taken up where they broke off, and done without."""

import json
from typing import Any

import httpx
import pytest
from archrank_client import APITimeoutError, JobFailedError, UnexpectedResponseError

from tests.client.conftest import Clock, Make, Script

JOB = "0" * 32
TOTAL = 6


class JobScript(Script):
    """A server with one job, of which one more architecture is finished for every look at its results.

    Args:
        streams: what each connection to its events tells, a status or numbers of items.
        state: in which the job ends.
    """

    def __init__(self, *streams: int | list[int], state: str = "done") -> None:
        self.streams, self.state, self.finished = list(streams), state, 0
        super().__init__(self.answer)

    def answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path == "/v1/limits":
            return httpx.Response(404)
        if path.endswith("/events"):
            return self.events()
        if path.endswith("/results"):
            return self.results(int(request.url.params.get("after", 0)))
        over = self.finished >= TOTAL
        counts = {"total": TOTAL, "queued": 0, "running": 0, "done": self.finished, "failed": 0}
        card = {"id": JOB, "kind": "scores", "state": self.state if over else "running", "counts": counts}
        if not request.extensions.get("looked"):
            self.finished = min(TOTAL, self.finished + 1)
        return httpx.Response(200, json=card | {"progress": 0.5, "created_at": "2026-01-01T00:00:00Z"})

    def events(self) -> httpx.Response:
        told = self.streams.pop(0) if self.streams else 503
        if isinstance(told, int):
            return httpx.Response(told, headers={"Content-Type": "text/html"})
        text = "".join(f"id: {n + 1}\nevent: item\ndata: {json.dumps({'completion': n})}\n\n" for n in told)
        return httpx.Response(200, text=text + "id: 99\nevent: it", headers={"Content-Type": "text/event-stream"})

    def results(self, after: int) -> httpx.Response:
        self.finished = min(TOTAL, max(self.finished, after) + 1)
        item = {"architecture": {}, "fingerprint": "f", "scores": {}}
        results = [{"position": TOTAL - 1 - n, "result": item} for n in range(after, self.finished)]
        over = self.finished == TOTAL
        following = None if over else f"/v1/jobs/{JOB}/results?after={self.finished}&limit=500"
        return httpx.Response(200, json={"results": results, "next": following})

    def asked_for_events(self) -> list[str]:
        return [one.headers["Last-Event-ID"] for one in self.requests if one.url.path.endswith("/events")]


def told(make: Make, script: JobScript) -> list[int]:
    script.finished = 0
    return [position for position, _ in make("http://server", transport=script).job(JOB).iter()]


def test_a_stream_that_breaks_off_is_taken_up(make: Make, clock: Clock) -> None:
    script = JobScript([1, 2], [3], [4, 5], [6])
    assert told(make, script) == [5, 4, 3, 2, 1, 0]
    asked = script.asked_for_events()
    assert asked[0] == "0"
    assert asked == sorted(asked)
    assert "99" not in asked  # which was cut off
    assert len(asked) > 1


@pytest.mark.parametrize("status", [503, 204, 200, 404])
def test_without_streams_results_are_looked_for(make: Make, clock: Clock, status: int) -> None:
    script = JobScript(*[status] * 10)
    assert told(make, script) == [5, 4, 3, 2, 1, 0]
    assert script.asked_for_events() == ["0", "0", "0"]
    assert clock.slept


def test_waiting_with_a_limit_looks_from_time_to_time(make: Make, clock: Clock) -> None:
    script = JobScript([1], [2])
    assert make("http://server", transport=script).job(JOB).wait(timeout=100.0).state == "done"
    assert script.asked_for_events() == []


@pytest.mark.parametrize("timeout", [0.0, 5.0])
def test_waiting_ends_in_time_where_the_server_says_nothing(make: Make, clock: Clock, timeout: float) -> None:
    class Silent(JobScript):
        def answer(self, request: httpx.Request) -> httpx.Response:
            if len(self.requests) > 1:
                raise httpx.ReadTimeout("late")
            return super().answer(request)

    job = make("http://server", transport=Silent()).job(JOB)
    with pytest.raises(APITimeoutError, match=f"job {JOB} has not ended within {timeout:g} s; it continues"):
        job.wait(timeout=timeout)


def test_a_job_that_ends_without_all_results_is_an_error(make: Make, clock: Clock) -> None:
    script = JobScript(state="failed")
    seen: list[int] = []
    job = make("http://server", transport=script).job(JOB)
    with pytest.raises(JobFailedError, match=f"job {JOB} is failed"):
        seen.extend(position for position, _ in job.iter())
    with pytest.raises(JobFailedError):
        job.results()


def test_the_key_follows_no_path_to_elsewhere(make: Make, clock: Clock) -> None:
    class Elsewhere(JobScript):
        def results(self, after: int) -> httpx.Response:
            return httpx.Response(200, json={"results": [], "next": "http://elsewhere/v1/jobs/"})

    script = Elsewhere()
    with pytest.raises(UnexpectedResponseError, match="next is not a path"):
        list(make("http://server", key="ark_key", transport=script).job(JOB).iter())
    assert {request.url.host for request in script.requests} == {"server"}


def test_of_a_kind_that_this_version_does_not_know(make: Make, clock: Clock) -> None:
    class Newer(JobScript):
        def answer(self, request: httpx.Request) -> httpx.Response:
            found = super().answer(request)
            changed: dict[str, Any] = json.loads(found.content) if found.is_success else {}
            return httpx.Response(found.status_code, json=changed | {"kind": "measurements"})

    job = make("http://server", transport=Newer()).job(JOB)
    assert job.status().kind == "measurements"
    with pytest.raises(UnexpectedResponseError, match="of kind 'measurements'; this client knows predictions, scores"):
        job.results()
