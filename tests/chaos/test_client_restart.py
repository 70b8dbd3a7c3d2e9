"""A client in a separate environment ranks a thousand architectures while its server is killed and restarted."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.conftest import Recovered, Tell
from tests.real_server import serving, until
from tests.waiting import PATIENCE_S

ROOT = Path(__file__).resolve().parents[2]
CLIENT_PYTHON = ROOT / ".venv" / "client" / "bin" / "python"
"""Environment with nothing but the client, created by `make test`."""
NUMBER, PROXY = 1000, "params"
SCRIPT = """
import json, sys
from archrank_client import Client

with Client(sys.argv[1]) as client:
    architectures = client.sample(int(sys.argv[2]), depth=4, seed=5)
    ranked = client.rank(architectures, proxies=[sys.argv[3]])
print(json.dumps([[one.rank, one.position, one.result.fingerprint,
    {name: score.seconds for name, score in one.result.scores.items()}] for one in ranked]))
for name in ("torch", "numpy", "models", "proxies", "ensemble", "service"):
    assert name not in sys.modules, name
"""


@pytest.fixture
def python(tell: Tell) -> tuple[list[str], dict[str, str]]:
    """Command and environment of a Python with the client."""
    if CLIENT_PYTHON.exists():
        tell("its own", "environment of the client that ranks a thousand")
        return [str(CLIENT_PYTHON), "-I"], dict(os.environ)
    tell("this one", "environment of the client that ranks a thousand: .venv/client is not there")
    return [sys.executable], os.environ | {"PYTHONPATH": str(ROOT / "client")}


def test_ranks_a_thousand_over_a_restart(
    tmp_path: Path, python: tuple[list[str], dict[str, str]], recovered: Recovered
) -> None:
    command, environment = python
    with serving(tmp_path, num_workers=2) as server:
        client = subprocess.Popen(
            [*command, "-c", SCRIPT, server.url, str(NUMBER), PROXY],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=tmp_path,
        )
        try:
            jobs = until(lambda: server.client.get("/v1/jobs").json()["jobs"] or None)
            (place,) = [f"/v1/jobs/{job['id']}" for job in jobs]
            wait_for_half(server.events(place))
            before = server.results(place)
            server.send(signal.SIGKILL)
            server.process.wait(PATIENCE_S)
            since = time.monotonic()
            assert client.poll() is None
            with serving(tmp_path, port=server.client.base_url.port or 0, num_workers=2) as again:
                again.wait_until_finished(place, len(before) + 1)
                recovered("server killed while a client ranked a thousand, and started again", since)
                out, errors = client.communicate(timeout=PATIENCE_S)
                assert client.returncode == 0, errors
                assert again.client.get("/v1/jobs").json()["jobs"][1:] == []
                after = again.results(place)
        finally:
            client.kill()
            client.communicate()
    assert NUMBER // 2 <= len(before) < NUMBER
    assert {position: after[position] for position in before} == before  # none is computed again
    assert_ranked(json.loads(out), after)


def wait_for_half(events: Iterator[tuple[int, str, Any]]) -> None:
    """Wait until half of the job is finished."""
    next(data for _, kind, data in events if kind == "item" and data["completion"] >= NUMBER // 2)


def assert_ranked(ranked: list[Any], results: dict[int, Any]) -> None:
    """The client has all results, in order and as the server computed them."""
    assert sorted(position for _, position, _, _ in ranked) == list(range(NUMBER))
    for _, position, fingerprint, seconds in ranked:
        result = results[position]
        assert fingerprint == result["fingerprint"]
        assert seconds == {name: score["seconds"] for name, score in result["scores"].items()}
    accuracies = [results[position]["accuracy"] for _, position, _, _ in ranked]
    assert accuracies == sorted(accuracies, reverse=True)
    assert [rank for rank, *_ in ranked] == [1 + sum(b > a for b in accuracies) for a in accuracies]
