"""`archrank demo`: a real server, real HTTP, a ranking."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from common.errors import ArchrankError, InputError
from common.files import read_json
from service.api.schemas import PredictionResponse
from service.cli.tables import explained, predictions, ranked

EXAMPLES = Path("examples")
PATIENCE = 120
"""Seconds that the server may take to start, and to answer."""


class DemoError(ArchrankError):
    """The server did not start, or did not answer as it should."""


def run(examples: Path) -> None:
    """Show how the architectures of `architectures.json` rank, under the names in `names.json`."""
    body, names = _examples(examples)
    console = Console()
    patient = {"ARCHRANK_SYNC_TIMEOUT": str(PATIENCE)}  # on a slow machine it would become a job before
    with server(patient) as url, httpx.Client(base_url=url, timeout=PATIENCE, trust_env=False) as client:
        console.print(f"posting {len(names)} architectures to {url}/v1/predictions")
        with console.status("the service scores and explains each"):
            response = client.post("/v1/predictions", json={**body, "explain": True})
        if response.is_error:
            raise DemoError(f"the server answered {response.status_code}: {response.json().get('detail')}")
        answer = PredictionResponse.model_validate(response.json())
    table = predictions(answer, names)
    table.title = f"{answer.ensemble}, on {answer.device}, {answer.seconds:.1f} s"
    console.print(table)
    console.print(explained(*ranked(answer, names)[0]))


@contextmanager
def server(environment: Mapping[str, str] | None = None, log: Path | None = None) -> Iterator[str]:
    """The URL of a server of its own, with a store of its own, ready to answer; stopped at the end, whatever happens.

    Args:
        environment: settings, e.g. `{"ARCHRANK_NUM_THREADS": "1"}`, on top of this process's own.
        log: what the server says on standard error goes there.
    """
    command = (sys.executable, "-m", "service.cli", "serve", "--host", "127.0.0.1", "--port", "0")
    with (
        tempfile.TemporaryDirectory(prefix="archrank-") as data,
        log.open("w+") if log else tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=_environment(data, environment)
        ) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()  # empty once the process has ended
            if "http://" not in line:
                errors.seek(0)
                raise DemoError(f"the server did not start: {errors.read().strip() or line.strip()}")
            url = line.split()[-1]
            wait_until_ready(url, process)
            yield url
        finally:
            _stop(process)


def _environment(data: str, more: Mapping[str, str] | None) -> dict[str, str]:
    return {**os.environ, "ARCHRANK_DATA_DIR": data, **(more or {})}


def _stop(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    try:
        process.wait(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()


def wait_until_ready(url: str, process: "subprocess.Popen[str]") -> None:
    """Return when the server at the URL is ready. Raises `DemoError` where it takes too long or its process ends."""
    deadline, said = time.monotonic() + PATIENCE, "nothing"
    while time.monotonic() < deadline and process.poll() is None:
        try:
            # Without the environment: a proxy server would not reach this machine's own addresses.
            response = httpx.get(f"{url}/health/ready", timeout=5, trust_env=False)
        except httpx.TransportError as error:
            said = str(error)
        else:
            if response.is_success:
                return
            said = response.json()["detail"]
        time.sleep(0.1)
    raise DemoError(f"the server was not ready within {PATIENCE} s; it said: {said}")


def _examples(folder: Path) -> tuple[dict[str, Any], list[str]]:
    body, names = (read_json(folder / name, name) for name in ("architectures.json", "names.json"))
    if not isinstance(body, dict) or not isinstance(body.get("architectures"), list):
        raise InputError(str(folder / "architectures.json"), body, "an object with a list of architectures")
    number = len(body["architectures"])
    if not isinstance(names, list) or len(names) != number or not all(isinstance(name, str) for name in names):
        raise InputError(str(folder / "names.json"), names, f"{number} names, one an architecture")
    return body, names
