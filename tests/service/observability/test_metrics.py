"""Metrics of a real server."""

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
from tests.real_server import serving, until
from tests.service.api.test_jobs import BROKEN, submit, wait
from tests.service.conftest import CHEAP, SMALL
from tests.service.workers.conftest import wait_until

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def read(client: httpx.Client) -> Samples:
    """Scrape the metrics: value by name and labels of the sample."""
    response = client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain")
    families = text_string_to_metric_families(response.text)
    samples = (sample for family in families for sample in family.samples)
    return {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples.get((f"archrank_{name}", frozenset(labels.items())), 0.0)


def idle(client: httpx.Client) -> Samples:
    """Scrape the metrics when the work of earlier tests on this server has ended."""

    def poll() -> Samples | None:
        samples = read(client)
        items = [value(samples, "job_items", state=state) for state in ("queued", "running")]
        busy = value(samples, "workers", state="busy")
        return None if any((*items, busy, value(samples, "queue_depth"))) else samples

    return until(poll)


def test_what_is_asked_is_counted(client: httpx.Client) -> None:
    before = idle(client)
    body = {"architectures": [SMALL, SMALL, BROKEN], "proxies": CHEAP, "seed": 4242}
    for _ in range(2):
        assert client.post("/v1/predictions", json=body).status_code == 200
    after = read(client)

    def increase(name: str, **labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    labels = {"kind": "predictions", "origin": "request"}
    assert increase("http_requests_total", method="POST", route="/v1/predictions", status="200") == 2
    assert increase("http_request_duration_seconds_count", method="POST", route="/v1/predictions") == 2
    assert increase("architectures_requested_total", **labels) == 6
    assert increase("architectures_completed_total", outcome="succeeded", **labels) == 4
    assert increase("architectures_completed_total", outcome="invalid", **labels) == 2
    assert increase("cache_requests_total", kind="score", result="miss") == len(CHEAP)
    assert increase("cache_requests_total", kind="score", result="memory") == len(CHEAP)
    assert increase("cache_requests_total", kind="prediction", result="memory") == 1
    assert {name: increase("proxy_duration_seconds_count", proxy=name) for name in CHEAP} == dict.fromkeys(CHEAP, 1)
    assert increase("scoring_duration_seconds_count") == 1
    assert increase("scoring_failures_total", kind="error") == 0


def test_jobs_are_counted_by_state(client: httpx.Client) -> None:
    before = idle(client)
    assert wait(client, submit(client, SMALL, BROKEN))["state"] == "done"
    after = read(client)
    assert value(after, "jobs", state="done") == value(before, "jobs", state="done") + 1
    assert value(after, "job_items", state="running") == value(after, "queue_depth") == 0
    labels = {"kind": "predictions", "origin": "job", "outcome": "succeeded"}
    name = "architectures_completed_total"
    assert value(after, name, **labels) == value(before, name, **labels) + 1


def test_clients_make_up_no_labels(client: httpx.Client) -> None:
    read(client)  # a server's first reading of its metrics counts after its own answer
    before = read(client)
    for i in range(3):
        assert client.get(f"/made/up/{i}").status_code == 404
        assert client.request("PURGE", "/v1/jobs").status_code == 405
        assert client.get(f"/v1/jobs/{i:032}").status_code == 404
    new = {key for key in read(client).keys() - before.keys() if key[0] == "archrank_http_requests_total"}
    labels = {tuple(dict(pairs)[name] for name in ("method", "route", "status")) for _, pairs in new}
    expected = {("GET", "other", "404"), ("other", "/v1/jobs", "405"), ("GET", "/v1/jobs/{id}", "404")}
    assert labels <= expected
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
        for child in server.workers():
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
        create_app(Settings())  # a shared registry would reject the second
