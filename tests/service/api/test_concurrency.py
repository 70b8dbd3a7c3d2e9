"""Concurrent clients do not affect each other; requests beyond a full queue get a `Retry-After`."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from models.gcn_nas import PENG
from service.cli.demo import server
from tests.real_server import LEAN
from tests.service.api.test_http import HEAD, connect, gauge
from tests.service.conftest import ARCHITECTURES, CHEAP, SMALL, without_costs
from tests.service.workers.conftest import wait_until
from tests.waiting import PATIENCE_S

BODIES: list[dict[str, Any]] = [
    {"architectures": [architecture], "proxies": proxies, "seed": seed}
    for architecture in ARCHITECTURES
    for proxies, seed in ((CHEAP, 0), (["synflow", "zen"], 0), (["nwot"], 1), ([], 0))
]


def test_concurrent_requests_get_the_responses_of_single_requests(url: str, client: httpx.Client) -> None:
    def post(body: dict[str, Any]) -> Any:
        response = httpx.post(f"{url}/v1/predictions", json=body, timeout=PATIENCE_S)
        return without_costs(response.raise_for_status().json())

    alone = [without_costs(client.post("/v1/predictions", json=body).json()) for body in BODIES]
    with ThreadPoolExecutor(len(BODIES)) as pool:
        together = list(pool.map(post, BODIES))
    assert together == alone


def test_server_responds_while_it_scores(url: str, client: httpx.Client) -> None:
    with ThreadPoolExecutor(1) as pool:
        busy = pool.submit(
            httpx.post, f"{url}/v1/scores", json={"architectures": [PENG], "seed": 99}, timeout=PATIENCE_S
        )
        answered = 0
        while not busy.done():
            assert client.get("/health/live").status_code == 200
            answered += 1
            time.sleep(0.05)
        assert busy.result().status_code == 200
    assert answered > 5, "health checks were blocked by the scoring"


@pytest.fixture(scope="module")
def small_queue() -> Iterator[httpx.Client]:
    """Run a server with a queue of one architecture, and return a client of it."""
    with (
        server(LEAN | {"ARCHRANK_QUEUE_SIZE": "1"}) as url,
        httpx.Client(base_url=url, timeout=PATIENCE_S) as client,
    ):
        yield client


def test_full_queue_is_503_and_an_abandoned_request_makes_room(small_queue: httpx.Client) -> None:
    sample = {"number": 64, "fixed": {"depth": 10}}
    many = small_queue.post("/v1/spaces/gcn-nas/sample", json=sample).json()["architectures"]
    content = json.dumps({"architectures": many}).encode()
    small = {"architectures": [SMALL], "proxies": CHEAP}
    with connect(small_queue) as connection:
        connection.sendall(HEAD % (b"scores", b"", len(content)) + content)
        wait_until(lambda: gauge(small_queue, "queue_depth") > 0)
        refused = small_queue.post("/v1/predictions", json=small)
        assert refused.status_code == 503
        assert refused.headers["content-type"] == "application/problem+json"
        assert int(refused.headers["retry-after"]) >= 1
        assert "wait already" in refused.json()["detail"]
    wait_until(lambda: small_queue.post("/v1/predictions", json=small).status_code == 200)
    (last,) = small_queue.post("/v1/scores", json={"architectures": many[-1:], "proxies": ["params"]}).json()["scores"]
    assert not last["cached"]


def test_structure_only_predictions_do_not_wait_for_the_device(small_queue: httpx.Client) -> None:
    with ThreadPoolExecutor(1) as pool:
        busy = pool.submit(small_queue.post, "/v1/scores", json={"architectures": [PENG], "seed": 98})
        wait_until(lambda: gauge(small_queue, "queue_depth") > 0)
        response = small_queue.post("/v1/predictions", json={"architectures": [SMALL], "proxies": []})
        assert response.status_code == 200
        assert not busy.done()
        assert busy.result().status_code == 200


def test_a_long_request_becomes_a_job() -> None:
    with (
        server(LEAN | {"ARCHRANK_SYNC_TIMEOUT": "0.05"}) as url,
        httpx.Client(base_url=url, timeout=PATIENCE_S) as client,
    ):
        response = client.post("/v1/scores", json={"architectures": [PENG], "proxies": CHEAP})
        assert response.status_code == 202
        place = response.headers["location"]
        while (job := client.get(place).json())["state"] in ("queued", "running"):
            time.sleep(0.1)
        assert (job["kind"], job["state"], job["counts"]["done"]) == ("scores", "done", 1)
        (item,) = client.get(f"{place}/results").json()["results"]
        assert set(item["result"]["scores"]) == set(CHEAP)
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)
