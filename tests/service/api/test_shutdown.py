"""Shutdown of real servers: readiness fails first, running work is finished, and nothing hangs."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pytest

from models.gcn_nas import PENG
from tests.real_server import Server, serving
from tests.service.api.test_jobs import events
from tests.service.conftest import CHEAP, FOUR_LAYERS, SMALL
from tests.service.observability.test_logs import lines
from tests.service.observability.test_metrics import read, value
from tests.service.workers.conftest import wait_until
from tests.waiting import PATIENCE_S


def start_job(server: Server) -> str:
    """Submit a job, and wait until two of its architectures are done."""
    place = server.submit(server.architectures(6), proxies=["synflow", "zen", "grasp"])
    server.wait_until_finished(place, 2)
    return place


def test_a_server_that_stops_responds_until_the_second_signal(tmp_path: Path) -> None:
    with serving(tmp_path, shutdown_delay=10 * PATIENCE_S) as server:
        assert server.client.get("/health/ready").status_code == 200
        server.process.terminate()
        wait_until(lambda: server.client.get("/health/ready").status_code == 503)
        assert server.client.get("/health/ready").json()["detail"] == "the server was told to stop"
        assert server.client.get("/health/live").status_code == 200
        body = {"architectures": [SMALL], "proxies": CHEAP}
        with httpx.Client(base_url=server.client.base_url, timeout=PATIENCE_S) as new_client:
            assert new_client.post("/v1/predictions", json=body).status_code == 200

        def terminate_again() -> bool:
            server.process.terminate()
            return server.process.poll() is not None

        wait_until(terminate_again)
        assert server.process.returncode == -signal.SIGTERM


def test_a_server_stops_after_the_shutdown_delay(tmp_path: Path) -> None:
    with serving(tmp_path, shutdown_delay="1") as server:
        since = monotonic()
        server.process.terminate()
        server.process.wait(PATIENCE_S)
        assert monotonic() - since >= 1


def test_streams_end_and_are_resumed(tmp_path: Path) -> None:
    with serving(tmp_path, shutdown_timeout=10 * PATIENCE_S) as server:
        place = start_job(server)
        seen: list[tuple[int, str, Any]] = []
        with ThreadPoolExecutor(1) as pool:
            reading = pool.submit(lambda: seen.extend(events(server.client, place)))
            with httpx.Client(base_url=server.client.base_url, timeout=PATIENCE_S) as other:
                wait_until(lambda: value(read(other), "event_streams") == 1)
            server.process.terminate()
            reading.result(PATIENCE_S)  # raises unless the response ended properly
        server.process.wait(PATIENCE_S)
    with serving(tmp_path) as server:
        rest = list(events(server.client, place, after=seen[-1][0]))
    numbers = [number for number, _, _ in [*seen, *rest]]
    assert numbers == list(range(1, len(numbers) + 1))
    assert rest[-1][1] == "done"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_running_work_is_finished_after_a_signal_to_the_process_group(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C and service managers signal the whole process group."""
    log = tmp_path / "log"
    with serving(tmp_path, log, shutdown_timeout=PATIENCE_S) as server, ThreadPoolExecutor(1) as pool:
        body = {"architectures": [PENG, FOUR_LAYERS], "proxies": ["grasp", "zen", "synflow"]}
        pending = pool.submit(server.client.post, "/v1/scores", json=body)
        with httpx.Client(base_url=server.client.base_url, timeout=PATIENCE_S) as other:
            wait_until(lambda: value(read(other), "workers", state="busy") == 1)
        os.killpg(server.process.pid, number)
        response = pending.result(PATIENCE_S)
        server.process.wait(PATIENCE_S)
    assert response.status_code == 200
    assert all(score["status"] == "ok" for item in response.json()["scores"] for score in item["scores"].values())
    assert not [line for line in lines(log) if line["level"] not in ("debug", "info")]  # no worker crashed
