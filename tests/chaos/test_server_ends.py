"""The server ends mid-job: no result is lost or computed twice, and the job is finished after the restart."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.chaos.conftest import Recovered
from tests.real_server import CHEAP, assert_complete, serving, until
from tests.waiting import PATIENCE_S

NUMBER = 60


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=lambda how: how.name)
def test_mid_job(tmp_path: Path, how: signal.Signals, recovered: Recovered) -> None:
    with serving(tmp_path) as server:
        architectures = server.architectures(NUMBER)
        place = server.submit(architectures, key="a week")
        server.wait_until_finished(place, 2)
        before = server.results(place)
        server.send(how)
        server.process.wait(PATIENCE_S)
    assert 2 <= len(before) < NUMBER
    since = time.monotonic()
    with serving(tmp_path) as server:
        server.wait_until_finished(place, len(before) + 1)
        recovered(f"server ended by {how.name} mid-job and started again", since)
        assert server.submit(architectures, key="a week") == place  # as if the response had been lost
        assert_complete(server, place, NUMBER, before)


def test_right_after_the_answer(tmp_path: Path, recovered: Recovered) -> None:
    with serving(tmp_path) as server:
        place = server.submit(server.architectures(NUMBER))
        server.kill()
    since = time.monotonic()
    with serving(tmp_path) as server:
        server.wait_until_finished(place, 1)
        recovered("server killed right after it accepted a job, and started again", since)
        assert_complete(server, place, NUMBER, {})


@pytest.mark.parametrize("moment", ["half of it is sent", "it is sent", "it is being written"])
def test_during_a_post(tmp_path: Path, moment: str, recovered: Recovered) -> None:
    """The idempotency key yields one job, accepted or not."""
    with serving(tmp_path) as server:
        architectures = server.architectures(8) * 500
        body = json.dumps({"architectures": architectures, "proxies": CHEAP}).encode()
        log = tmp_path / "archrank.db-wal"
        size = log.stat().st_size
        with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))) as connection:
            connection.sendall(
                b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                b"Idempotency-Key: once\r\nContent-Length: %d\r\n\r\n" % len(body)
            )
            connection.sendall(body[: len(body) // 2] if moment == "half of it is sent" else body)
            if moment == "it is being written":
                until(lambda: log.stat().st_size > size)
            server.kill()
    since = time.monotonic()
    with serving(tmp_path) as server:
        place = server.submit(architectures, key="once")
        recovered(f"server killed during a POST when {moment}; started again, posted again", since)
        assert [f"/v1/jobs/{job['id']}" for job in server.client.get("/v1/jobs").json()["jobs"]] == [place]
        assert_complete(server, place, len(architectures), {})


def test_one_server_per_data_directory(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        assert "another archrank server uses" in _refused(tmp_path)
        assert server.client.get("/health/ready").is_success
        server.kill()
    with serving(tmp_path) as server:  # no lock file has to be removed
        assert server.client.get("/health/ready").is_success


def _refused(data: Path) -> str:
    env = os.environ | {"ARCHRANK_DATA_DIR": str(data)}
    command = (sys.executable, "-m", "service.cli", "serve", "--port", "0")
    completed = subprocess.run(command, capture_output=True, text=True, env=env, timeout=PATIENCE_S)
    assert (completed.returncode, completed.stdout) == (2, "")
    assert len(completed.stderr.splitlines()) == 1
    return completed.stderr
