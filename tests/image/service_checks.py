"""Requests to the service in a container."""

import json
import math
import random
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
from archrank_client import Client

from tests.image.engine import ImageTestError

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES: list[Any] = json.loads((ROOT / "examples" / "architectures.json").read_text())["architectures"]
START_TIMEOUT_S = 120
PORTS = range(20000, 30000)
"""Ports below those of the system's choice, from which tests that run at the same time take theirs."""


def free_port() -> int:
    """Return a TCP port of the loopback address that is free, and that the system gives to no other program."""
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket() as tried, suppress(OSError):
            tried.bind(("127.0.0.1", port))
            return port
    raise ImageTestError(f"none of the ports {PORTS.start} to {PORTS.stop - 1} is free")


def wait_until_ready(url: str) -> float:
    """Wait until the service is ready, and return the seconds that it took."""
    started, detail = time.monotonic(), "no response"
    while (seconds := time.monotonic() - started) < START_TIMEOUT_S:
        try:
            response = httpx.get(f"{url}/health/ready", timeout=5, trust_env=False)
        except httpx.TransportError as error:
            detail = str(error)
        else:
            if response.is_success:
                return seconds
            detail = response.text
        time.sleep(0.05)
    raise ImageTestError(f"the service was not ready within {START_TIMEOUT_S} s: {detail}")


def check_predictions(client: Client) -> str:
    """Predict an architecture, with the scores of all proxies on its network, and return a summary."""
    (result,) = client.predict(EXAMPLES[:1])
    if not result.ok:
        raise ImageTestError(f"the prediction failed: {result.error}")
    values = {name: score.value for name, score in result.scores.items()}
    if not values or not all(value is not None and math.isfinite(value) for value in values.values()):
        raise ImageTestError(f"a score is not a number: {values}")
    return f"accuracy {result.accuracy:.4f}, {len(values)} scores"


def check_job(client: Client) -> str:
    """Run a job of the example architectures, and return a summary."""
    job = client.submit(EXAMPLES, proxies=["nwot"])
    results = job.results()
    failed = [result for result in results if not result.ok]
    if failed or len(results) != len(EXAMPLES):
        raise ImageTestError(f"the job has {len(results)} results for {len(EXAMPLES)} architectures, {failed} failed")
    return f"{len(results)} architectures, state {job.status().state}"


def keep_busy(client: Client) -> None:
    """Submit a job that is not done when the service stops."""
    client.submit(client.sample(200, seed=0), proxies=["nwot"])
