"""Requests of studies, to a server in memory: parts, pages, retries, and documents that cannot be right."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from archrank_client import (
    APIConnectionError,
    ArchitectureError,
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    PayloadTooLargeError,
    UnexpectedResponseError,
)

from tests.client.conftest import FakeClock, MakeClient
from tests.client.fake_studies import FakeStudies


@pytest.fixture
def server() -> FakeStudies:
    return FakeStudies(lambda architecture: float(architecture["n"]) / 10_000)


@pytest.fixture
def study(make_client: MakeClient, server: FakeStudies) -> Any:
    return make_client("http://server", transport=server).study("test", space="test")


def observations_of(n: int) -> list[dict[str, Any]]:
    return [{"architecture": {"n": i}, "value": i / n} for i in range(n)]


def sizes(server: FakeStudies, name: str) -> list[int]:
    """Return the number of items in each request that has a list of this name."""
    bodies = [json.loads(request.content) for request in server.requests if request.content]
    return [len(body[name]) for body in bodies if name in body]


def replacing(server: FakeStudies, end: str, change: Callable[[Any], Any]) -> None:
    """Change the documents of the responses to paths with this end."""
    route = server._route

    def changed(request: httpx.Request) -> httpx.Response:
        response = route(request)
        return httpx.Response(200, json=change(response.json())) if request.url.path.endswith(end) else response

    server._route = changed  # type: ignore[method-assign]


def test_a_study_is_created_once_and_opened_by_its_name(make_client: MakeClient, server: FakeStudies) -> None:
    client = make_client("http://server", transport=server)
    study = client.study("test", space="s", task="t", metric={"direction": "minimize"}, settings={"a": 1}, sources=[])
    assert json.loads(server.requests[-1].content) == {
        "name": "test",
        "space": "s",
        "task": "t",
        "metric": {"direction": "minimize"},
        "settings": {"a": 1},
        "sources": [],
    }
    assert (study.name, study.space, study.metric.direction, study.metric.unit) == ("test", "s", "minimize", "fraction")
    assert client.study("test").id == study.id
    assert server.requests[-1].method == "GET"
    assert [state.id for state in client.studies()] == [study.id]
    with pytest.raises(NotFoundError, match="name: got 'other'; allowed: the name of a study"):
        client.study("other")
    with pytest.raises(ConflictError):
        client.study("test", space="another")
    with pytest.raises(ValueError, match="space: got None"):
        client.study("other", task="t")
    with pytest.raises(TypeError, match="sources: got 'e'; allowed: a list of names"):
        client.study("other", space="s", sources="e")


def test_creation_survives_a_broken_connection(make_client: MakeClient, server: FakeStudies, clock: FakeClock) -> None:
    server.broken = [httpx.ReadError("reset")]
    client = make_client("http://server", transport=server)
    assert client.study("test", space="s").id in server.studies
    assert len(server.studies) == 1


def test_many_observations_are_sent_in_parts(study: Any, server: FakeStudies) -> None:
    result = study.observe_many(observations_of(2500))
    assert sizes(server, "observations") == [1000, 1000, 500]
    assert (result.added, result.duplicates, result.observations) == (2500, 0, 2500)
    again = study.observe_many(observations_of(2500)[1200:])
    assert (again.added, again.duplicates, again.observations) == (0, 1300, 2500)
    nothing = study.observe_many([])
    assert (nothing.added, nothing.duplicates, nothing.observations) == (0, 0, 2500)


def test_an_invalid_observation_has_its_place_in_the_caller_s_list(study: Any, server: FakeStudies) -> None:
    observations = observations_of(1500)
    observations[1203]["value"] = 93.1
    with pytest.raises(InvalidRequestError, match=r"observations\[1203\]\.value: got 93\.1; allowed: 0 to 1") as caught:
        study.observe_many(observations)
    assert caught.value.problem is not None
    assert caught.value.problem.errors[0].field == "observations[1203].value"
    assert caught.value.status == 422
    assert study.state().observations.total == 1000  # of the first request


def test_an_observation_that_is_not_json_is_refused_before_any_is_sent(study: Any, server: FakeStudies) -> None:
    n_requests = len(server.requests)
    observations = [*observations_of(3), {"architecture": {"n": 3}, "value": float("nan")}]
    with pytest.raises(InvalidRequestError, match=r"observations\[3\]: .*allowed: JSON values"):
        study.observe_many(observations)
    assert len(server.requests) == n_requests


def test_a_reverse_proxy_may_accept_less(study: Any, server: FakeStudies) -> None:
    observe = server._observe

    def limited(study_id: str, observations: list[Any]) -> httpx.Response:
        return httpx.Response(413) if len(observations) > 30 else observe(study_id, observations)

    server._observe = limited  # type: ignore[method-assign]
    observations = observations_of(100)
    assert study.observe_many(observations).added == 100
    observations[77] = {"architecture": {"n": 77}, "value": 77.0}
    with pytest.raises(InvalidRequestError, match=r"observations\[77\]\.value"):
        study.observe_many(observations)
    server._observe = lambda *_: httpx.Response(413)  # type: ignore[method-assign]
    with pytest.raises(PayloadTooLargeError):
        study.observe_many(observations)


def test_an_observation_counts_once_after_a_broken_connection(
    study: Any, server: FakeStudies, clock: FakeClock
) -> None:
    server.broken = [httpx.ReadError("reset"), httpx.ReadTimeout("late")]
    result = study.observe({"n": 1}, 0.5, seconds=3.0, epochs=2, curve=[0.25, 0.5])
    assert (result.added, result.duplicates, result.observations) == (0, 1, 1)  # an earlier attempt added it
    (observation,) = study.observations()
    assert observation.architecture == {"n": 1}
    assert (observation.value, observation.seconds, observation.epochs) == (0.5, 3.0, 2)
    assert (observation.curve, observation.error) == ([0.25, 0.5], None)
    assert study.observe({"n": 2}, None, error="out of memory").added == 1
    assert [each.error for each in study.observations()] == [None, "out of memory"]


def test_predictions_are_of_one_request(study: Any, server: FakeStudies) -> None:
    architectures = [{"n": i} for i in range(300)]
    predictions = study.predict([*architectures, architectures[0]], wait=7)
    assert sizes(server, "architectures") == [300]
    assert server.requests[-1].headers["Prefer"] == "wait=7"
    assert [prediction.score for prediction in predictions] == [*(i / 10_000 for i in range(300)), 0.0]
    assert (predictions.observations, predictions.pending, predictions.notes) == (0, 0, ("of a test",))
    assert predictions[:2] == (predictions[0], predictions[1])
    assert [prediction.value for prediction in predictions[-1:]] == [None]


def test_predictions_of_two_fits_say_so(make_client: MakeClient, server: FakeStudies) -> None:
    server.limits = {"max_job_architectures": 10}
    study = make_client("http://server", transport=server).study("test", space="test")
    replacing(server, "/predictions", lambda document: document | {"observations": len(document["predictions"])})
    predictions = study.predict([{"n": i} for i in range(11)])
    assert sorted(sizes(server, "architectures")) == [1, 10]
    assert predictions.observations == 1
    note = "parts of the answer rest on 1 to 10 observations: a fit ended in between"
    assert predictions.notes == ("of a test", note)


def test_a_failure_has_no_score(study: Any, server: FakeStudies) -> None:
    problem = {"status": 422, "detail": "architectures[1].n: got -1; allowed: 0 or more"}
    predict = server.prediction
    server.prediction = (  # type: ignore[method-assign]
        lambda architecture: {"error": problem} if architecture["n"] < 0 else predict(architecture)
    )
    good, bad, unencodable = study.predict([{"n": 1}, {"n": -1}, {"n": {1, 2}}])
    assert good.ok
    assert (bad.ok, unencodable.ok) == (False, False)
    for name in ("score", "percentile", "value", "interval"):
        with pytest.raises(ArchitectureError, match=r"architectures\[1\]\.n: got -1"):
            getattr(bad, name)
    nothing = study.predict([])
    assert (len(nothing), nothing.observations, nothing.pending) == (0, None, None)


def test_suggestions(study: Any, server: FakeStudies) -> None:
    suggestions = study.suggest(2, [{"n": 1}, {"n": 3}, {"n": 2}], seed=4, reserve=False, wait=3)
    assert [suggestion.architecture["n"] for suggestion in suggestions] == [3, 2]
    assert (suggestions.observations, suggestions.pending, suggestions.notes) == (0, 0, ("of a test",))
    request = server.requests[-1]
    candidates = [{"n": 1}, {"n": 3}, {"n": 2}]
    body = {"number": 2, "seed": 4, "reserve": False, "candidates": candidates}
    assert json.loads(request.content) == body
    assert request.headers["Prefer"] == "wait=3"
    assert "Idempotency-Key" not in request.headers
    with pytest.raises(InvalidRequestError, match=r"candidates: .*allowed: JSON values"):
        study.suggest(1, [{"n": {1}}])


def test_attempts_at_suggestions_have_one_key(study: Any, server: FakeStudies, clock: FakeClock) -> None:
    for _ in range(2):
        server.broken = [httpx.ReadError("reset"), httpx.ReadTimeout("late")]
        study.suggest(2, [{"n": 1}, {"n": 2}, {"n": 3}])
    keys = [request.headers["Idempotency-Key"] for request in server.requests if "suggestions" in request.url.path]
    assert keys == [keys[0]] * 3 + [keys[3]] * 3
    assert keys[0] != keys[3]


def test_pages_of_observations(study: Any, server: FakeStudies) -> None:
    study.observe_many(observations_of(250))
    observations = list(study.observations())
    assert [observation.architecture["n"] for observation in observations] == list(range(250))
    assert sum("observations" in request.url.path and request.method == "GET" for request in server.requests) == 3


@pytest.mark.parametrize("following", ["//elsewhere/", "/v1/jobs/1", "", "/v1/studies/other/observations?after=1"])
def test_the_next_page_is_one_of_the_study(study: Any, server: FakeStudies, following: str) -> None:
    study.observe_many(observations_of(2))
    replacing(server, "/observations", lambda document: document | {"next": following})
    with pytest.raises(UnexpectedResponseError, match="next is not a path of the server"):
        list(study.observations())


def test_pages_end(study: Any, server: FakeStudies) -> None:
    path = f"/v1/studies/{study.id}/observations?after=0&limit=100"
    replacing(server, "/observations", lambda document: document | {"next": path})
    with pytest.raises(UnexpectedResponseError, match="a page is empty, but not the last"):
        list(study.observations())
    server._observe(study.id, observations_of(2))
    with pytest.raises(UnexpectedResponseError, match=r"observation [0-9a-f]{32} came twice"):
        list(study.observations())


def test_more_suggestions_than_requested(study: Any, server: FakeStudies) -> None:
    replacing(server, "/suggestions", lambda document: document | {"suggestions": document["suggestions"] * 2})
    with pytest.raises(UnexpectedResponseError, match="2 suggestions; 1 were requested"):
        study.suggest(1, [{"n": 1}])


def test_deletion_survives_a_broken_connection(study: Any, server: FakeStudies, clock: FakeClock) -> None:
    route, broken = server._route, [httpx.ReadError("reset")]

    def break_once(request: httpx.Request) -> httpx.Response:
        response = route(request)
        if request.method == "DELETE" and broken:
            raise broken.pop()
        return response

    server._route = break_once  # type: ignore[method-assign]
    study.delete()
    study.delete()
    assert (server.studies, broken) == ({}, [])
    with pytest.raises(NotFoundError):
        study.state()


def test_without_retries_a_broken_connection_is_raised(make_client: MakeClient, server: FakeStudies) -> None:
    study = make_client("http://server", max_retry_time=0, transport=server).study("test", space="test")
    server.broken = [httpx.ReadError("reset")]
    with pytest.raises(APIConnectionError):
        study.observe({"n": 1}, 0.5)
    assert study.observe({"n": 1}, 0.5).duplicates == 1
