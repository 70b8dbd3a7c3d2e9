"""Jobs over HTTP against a real server: no result is lost or computed twice."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from models.gcn_nas import PENG
from tests.real_server import parse_events, until
from tests.service.conftest import CHEAP, FOUR_LAYERS, SIX, SMALL, without_costs
from tests.waiting import PATIENCE_S

BROKEN = {"space": "gcn-nas", "layers": [["L5"]]}


def submit(client: httpx.Client, *architectures: Any, key: str | None = None, **more: Any) -> str:
    headers = {} if key is None else {"Idempotency-Key": key}
    response = client.post("/v1/jobs", json={"architectures": architectures, "proxies": CHEAP, **more}, headers=headers)
    assert response.status_code == 202, response.text
    place: str = response.headers["location"]
    assert place.endswith(response.json()["id"])
    return place


def wait(client: httpx.Client, place: str) -> Any:
    """Wait for the end of a job, and return its status."""
    return until(lambda: job if (job := client.get(place).json())["finished_at"] else None)


def results(client: httpx.Client, place: str, limit: int = 2) -> dict[int, Any]:
    """Results of all pages by position."""
    results: dict[int, Any] = {}
    following: str | None = f"{place}/results?limit={limit}"
    while following:
        page = client.get(following).json()
        for item in page["results"]:
            assert item["position"] not in results
            results[item["position"]] = item["result"]
        following = page["next"]
    return results


def events(client: httpx.Client, place: str, after: int = 0) -> Iterator[tuple[int, str, Any]]:
    with client.stream("GET", f"{place}/events", headers={"Last-Event-ID": str(after)}) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        yield from parse_events(stream.iter_lines())


def test_results_of_a_job_are_those_of_a_request(client: httpx.Client) -> None:
    architectures = [SMALL, BROKEN, SIX, SMALL, FOUR_LAYERS]
    place = submit(client, *architectures)
    job = wait(client, place)
    assert job["state"] == "done"
    assert {name: job["counts"][name] for name in ("total", "done", "failed")} == {"total": 5, "done": 4, "failed": 1}
    assert (job["progress"], job["eta_seconds"]) == (1.0, None)
    assert job["created_at"] <= job["started_at"] <= job["finished_at"] < job["expires_at"]
    response = client.post("/v1/predictions", json={"architectures": architectures, "proxies": CHEAP}).json()
    items = results(client, place)
    for position, expected in enumerate(response["predictions"]):
        expected.pop("rank", None)
        assert without_costs(items[position]) == without_costs(expected)


def test_jobs_with_scores_and_explanations(client: httpx.Client) -> None:
    scored = submit(client, SMALL, kind="scores", seed=3)
    explained = submit(client, SMALL, proxies=[], explain=True, combiner="ridge")
    assert wait(client, scored)["kind"] == "scores"
    assert set(results(client, scored)[0]["scores"]) == set(CHEAP)
    wait(client, explained)
    item = results(client, explained)[0]
    assert item["combiner"] == "ridge"
    assert item["explanation"]["attributions"]


def test_events_are_sent_once_and_resume(client: httpx.Client) -> None:
    place = submit(client, SMALL, SIX, BROKEN)
    received = list(events(client, place))
    assert [number for number, _, _ in received] == list(range(1, len(received) + 1))
    kinds = [kind for _, kind, _ in received]
    assert kinds[0] == "created"
    assert kinds[-1] == "done"
    assert kinds.count("item") == 3
    assert list(events(client, place, after=2)) == received[2:]


def test_no_content_after_the_last_event(client: httpx.Client) -> None:
    place = submit(client, SMALL)
    last = list(events(client, place))[-1][0]
    for after in (last, last + 1, 2**31 - 1):
        assert client.get(f"{place}/events", headers={"Last-Event-ID": str(after)}).status_code == 204


def test_a_stream_after_a_future_event_ends_with_the_job(client: httpx.Client) -> None:
    many = client.post("/v1/spaces/gcn-nas/sample", json={"number": 3, "seed": 8, "fixed": {"depth": 10}}).json()[
        "architectures"
    ]
    place = submit(client, *many, proxies=None)
    received = list(events(client, place, after=2**31 - 1))
    assert not received or received[-1][1] == "done"
    assert client.get(place).json()["state"] == "done"


def test_the_same_idempotency_key_returns_the_same_job(client: httpx.Client) -> None:
    first, again = submit(client, SMALL, key="once"), submit(client, SMALL, key="once")
    assert first == again
    other = client.post("/v1/jobs", json={"architectures": [SIX]}, headers={"Idempotency-Key": "once"})
    assert other.status_code == 409
    assert other.json()["errors"][0]["field"] == "Idempotency-Key"


def test_a_cancelled_job_keeps_its_results(client: httpx.Client) -> None:
    many = client.post("/v1/spaces/gcn-nas/sample", json={"number": 40, "seed": 5, "fixed": {"depth": 10}}).json()[
        "architectures"
    ]
    place = submit(client, SMALL, *many, proxies=None)
    job = client.delete(place).json()
    assert job["state"] == "cancelled"
    assert client.delete(place).json()["state"] == "cancelled"
    assert len(results(client, place)) == job["counts"]["done"] + job["counts"]["failed"]
    assert list(events(client, place))[-1][1] == "cancelled"


def test_a_cancelled_job_is_not_continued(client: httpx.Client) -> None:
    sample = client.post("/v1/spaces/gcn-nas/sample", json={"number": 61, "seed": 7, "fixed": {"depth": 4}}).json()[
        "architectures"
    ]
    cancelled, other = submit(client, *sample[:60], proxies=["nwot"]), submit(client, sample[60], proxies=["nwot"])
    client.delete(cancelled)
    assert wait(client, other)["state"] == "done"
    cached = [
        client.post("/v1/scores", json={"architectures": [architecture], "proxies": ["nwot"]}).json()["scores"][0][
            "cached"
        ]
        for architecture in sample[:60]
    ]
    assert sum(cached) < 30  # some had started before the cancellation


def test_a_request_is_not_delayed_by_a_job(client: httpx.Client) -> None:
    many = client.post("/v1/spaces/gcn-nas/sample", json={"number": 30, "seed": 6, "fixed": {"depth": 10}}).json()[
        "architectures"
    ]
    place = submit(client, *many, proxies=None)
    response = client.post("/v1/predictions", json={"architectures": [PENG], "proxies": ["params"], "seed": 77})
    assert response.status_code == 200
    assert client.get(place).json()["state"] in ("queued", "running")
    client.delete(place)


def test_jobs_are_listed_newest_first(client: httpx.Client) -> None:
    first, second = submit(client, SMALL), submit(client, SIX)
    listed = [f"/v1/jobs/{job['id']}" for job in client.get("/v1/jobs", params={"limit": 2}).json()["jobs"]]
    assert listed == [second, first]


@pytest.mark.parametrize(
    ("prefer", "status"),
    [("wait=0", 202), ("respond-async, wait=0; x", 202), (f"wait={PATIENCE_S:.0f}", 200), ("wait=soon", 200)],
)
def test_a_request_waits_as_long_as_it_prefers(client: httpx.Client, prefer: str, status: int) -> None:
    seed = 1000 + len(prefer)  # not cached yet
    body = {"architectures": [SMALL], "proxies": ["nwot"], "seed": seed}
    response = client.post("/v1/scores", json=body, headers={"Prefer": prefer})
    assert response.status_code == status, response.text
    if status == 202:
        wait(client, response.headers["location"])
        assert set(results(client, response.headers["location"])[0]["scores"]) == {"nwot"}
