"""`archrank demo`: predict the example architectures with a server of its own, over HTTP."""

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
from service.cli.tables import explanation, predictions, ranked

EXAMPLES_DIR = Path("examples")
TIMEOUT_S = 120
"""Timeout of the server's start, and of its response."""


class DemoError(ArchrankError):
    """The server did not start, or sent an error."""


def run(folder: Path) -> None:
    """Predict and rank the architectures of `architectures.json`, whose names are in `names.json`."""
    body, names = read_examples(folder)
    console = Console()
    settings = {"ARCHRANK_SYNC_TIMEOUT": str(TIMEOUT_S)}  # on a slow machine the request would become a job
    with server(settings) as url, httpx.Client(base_url=url, timeout=TIMEOUT_S, trust_env=False) as client:
        console.print(f"posting {len(names)} architectures to {url}/v1/predictions")
        with console.status("scoring and explaining each"):
            response = client.post("/v1/predictions", json={**body, "explain": True})
        if response.is_error:
            raise DemoError(f"the server answered {response.status_code}: {response.json().get('detail')}")
        document = PredictionResponse.model_validate(response.json())
    table = predictions(document, names)
    table.title = f"{document.ensemble}, on {document.device}, {document.seconds:.1f} s"
    console.print(table)
    console.print(explanation(*ranked(document, names)[0]))


@contextmanager
def server(environment: Mapping[str, str] | None = None, log: Path | None = None) -> Iterator[str]:
    """Run a server with an empty store of its own in a subprocess, and stop it at the end.

    Args:
        environment: settings, e.g. `{"ARCHRANK_NUM_THREADS": "1"}`, on top of this process's environment.
        log: file for the server's standard error.

    Yields:
        URL of the server, which is ready.

    Raises:
        DemoError: the server did not start.
    """
    command = (sys.executable, "-m", "service.cli", "serve", "--host", "127.0.0.1", "--port", "0")
    with (
        tempfile.TemporaryDirectory(prefix="archrank-") as data_dir,
        log.open("w+") if log else tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, "ARCHRANK_DATA_DIR": data_dir, **(environment or {})},
        ) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()  # empty if the process has exited
            if "http://" not in line:
                errors.seek(0)
                raise DemoError(f"the server did not start: {errors.read().strip() or line.strip()}")
            url = line.split()[-1]
            wait_until_ready(url, process)
            yield url
        finally:
            _stop(process)


def _stop(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    try:
        process.wait(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()


def wait_until_ready(url: str, process: "subprocess.Popen[str]") -> None:
    """Wait until a server is ready. Raises `DemoError` if its process exits or it is not ready in time."""
    deadline, detail = time.monotonic() + TIMEOUT_S, "no response"
    while time.monotonic() < deadline and process.poll() is None:
        try:
            # A proxy server named by the environment could not reach this machine's addresses.
            response = httpx.get(f"{url}/health/ready", timeout=5, trust_env=False)
        except httpx.TransportError as error:
            detail = str(error)
        else:
            if response.is_success:
                return
            detail = response.json()["detail"]
        time.sleep(0.1)
    raise DemoError(f"the server was not ready within {TIMEOUT_S} s: {detail}")


def read_examples(folder: Path) -> tuple[dict[str, Any], list[str]]:
    """Read the request's body and the names of its architectures. Raises `InputError` if they do not match."""
    body, names = (read_json(folder / name, name) for name in ("architectures.json", "names.json"))
    if not isinstance(body, dict) or not isinstance(body.get("architectures"), list):
        raise InputError(str(folder / "architectures.json"), body, "an object with a list of architectures")
    number = len(body["architectures"])
    if not isinstance(names, list) or len(names) != number or not all(isinstance(name, str) for name in names):
        raise InputError(str(folder / "names.json"), names, f"{number} names, one per architecture")
    return body, names
