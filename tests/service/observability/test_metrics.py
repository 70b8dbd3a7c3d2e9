"""What a real server says of itself to Prometheus."""

import os
import re
import signal
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from service.app import create_app
from service.observability.metrics import Metrics
from service.settings import Settings
from tests.conftest import ROOT
from tests.real_server import serving
from tests.service.api.test_jobs import BROKEN, submit, wait
from tests.service.conftest import CHEAP, SMALL
from tests.service.workers.conftest import wait_until

Read = dict[tuple[str, frozenset[tuple[str, str]]], float]


def read(client: httpx.Client) -> Read:
    """Every sample, by its name and its labels."""
    response = client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain")
    families = text_string_to_metric_families(response.text)
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


def value(samples: Read, name: str, **labels: str) -> float:
    return samples.get((f"archrank_{name}", frozenset(labels.items())), 0.0)


def test_what_is_asked_is_counted(client: httpx.Client) -> None:
    before = read(client)
    body = {"architectures": [SMALL, SMALL, BROKEN], "proxies": CHEAP, "seed": 4242}
    for _ in range(2):
        assert client.post("/v1/predictions", json=body).status_code == 200
    after = read(client)

    def more(name: str, **labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    asked = {"kind": "predictions", "origin": "request"}
    assert more("http_requests_total", method="POST", route="/v1/predictions", status="200") == 2
    assert more("http_request_duration_seconds_count", method="POST", route="/v1/predictions") == 2
    assert more("architectures_requested_total", **asked) == 6
    assert more("architectures_completed_total", outcome="succeeded", **asked) == 4
    assert more("architectures_completed_total", outcome="invalid", **asked) == 2
    assert more("cache_requests_total", kind="score", result="miss") == len(CHEAP)
    assert more("cache_requests_total", kind="score", result="memory") == len(CHEAP)
    assert more("cache_requests_total", kind="prediction", result="memory") == 1
    assert {name: more("proxy_duration_seconds_count", proxy=name) for name in CHEAP} == dict.fromkeys(CHEAP, 1)
    assert more("scoring_duration_seconds_count") == 1
    assert more("scoring_failures_total", kind="error") == 0


def test_jobs_are_counted_by_state(client: httpx.Client) -> None:
    before = read(client)
    assert wait(client, submit(client, SMALL, BROKEN))["state"] == "done"
    after = read(client)
    assert value(after, "jobs", state="done") == value(before, "jobs", state="done") + 1
    assert value(after, "job_items", state="running") == value(after, "queue_depth") == 0
    answered = {"kind": "predictions", "origin": "job", "outcome": "succeeded"}
    name = "architectures_completed_total"
    assert value(after, name, **answered) == value(before, name, **answered) + 1


def test_clients_make_up_no_labels(client: httpx.Client) -> None:
    before = read(client)
    for i in range(3):
        assert client.get(f"/made/up/{i}").status_code == 404
        assert client.request("PURGE", "/v1/jobs").status_code == 405
        assert client.get(f"/v1/jobs/{i:032}").status_code == 404
    new = {key for key in read(client).keys() - before.keys() if key[0] == "archrank_http_requests_total"}
    made = {tuple(dict(labels)[name] for name in ("method", "route", "status")) for _, labels in new}
    expected = {("GET", "other", "404"), ("other", "/v1/jobs", "405"), ("GET", "/v1/jobs/{id}", "404")}
    assert made <= expected
    samples = read(client)
    for method, route, status in expected:
        assert value(samples, "http_requests_total", method=method, route=route, status=status) >= 3


def test_every_metric_is_documented(client: httpx.Client) -> None:
    documented = set(re.findall(r"^\| `(archrank_\w+)`", (ROOT / "docs" / "service.md").read_text(), re.MULTILINE))
    names = re.findall(r"^# TYPE (archrank_\w+)", client.get("/metrics").text, re.MULTILINE)
    assert documented == set(names)


def test_state_of_backend_and_store(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        samples = read(server.client)
        assert value(samples, "backend_state", state="ready") == 1
        assert value(samples, "backend_state", state="unhealthy") == 0
        assert value(samples, "workers", state="idle") == 1
        assert (value(samples, "store_up"), value(samples, "worker_restarts_total")) == (1, 0)
        for child in server.scorers():
            os.kill(child, signal.SIGKILL)
        wait_until(lambda: value(read(server.client), "worker_restarts_total") == 1)

        for file in tmp_path.iterdir():
            file.unlink()
        samples = read(server.client)
        assert value(samples, "store_up") == 0
        assert not any(name == "archrank_jobs" for name, _ in samples)
        wait_until(lambda: server.client.get("/health/ready").status_code == 503)
        assert "the store cannot be reached" in server.client.get("/health/ready").json()["detail"]


def test_applications_count_apart() -> None:
    first, second = Metrics(), Metrics()
    first.record_http_request("GET", "/health/live", 200, 0.001)
    line = b'archrank_http_requests_total{method="GET",route="/health/live",status="200"} 1.0'
    assert line in first.render()
    assert line not in second.render()
    for _ in range(2):
        create_app(Settings())  # a registry that they shared would refuse the second
