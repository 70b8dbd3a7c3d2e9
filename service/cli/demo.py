"""`archrank demo`: predict or score architectures with a server of its own, over HTTP."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from common.errors import ArchrankError, InputError
from common.files import read_json
from models import SearchSpace
from service.api.schemas import PredictionResponse, ScoreResponse
from service.cli import tables

EXAMPLES_DIR = Path("examples")
MAX_PRESETS, NUM_SAMPLES = 5, 4
"""Presets of a space, and random architectures, that are shown."""
TIMEOUT_S = 240
"""Timeout of the server's start, and of its response."""


class DemoError(ArchrankError):
    """The server did not start, or sent an error."""


def run_examples(folder: Path) -> None:
    """Predict and rank the architectures of `architectures.json`, whose names are in `names.json`."""
    body, names = read_examples(folder)
    with _client() as client:
        _predict(client, body, names)


def run_space(space: SearchSpace[Any], settings: Mapping[str, Any]) -> None:
    """Predict and rank presets and random architectures of a space; score them if it has no ensemble.

    Args:
        space: the search space.
        settings: settings that the ensemble must have; those of `space` without an ensemble.
    """
    with _client() as client:
        path = f"/v1/spaces/{space.name}"
        named = dict(list(_checked(client.get(path)).json()["presets"].items())[:MAX_PRESETS])
        draw = {"number": NUM_SAMPLES, "seed": 0, "settings": space.settings}
        samples = _checked(client.post(f"{path}/sample", json=draw)).json()["architectures"]
        named |= {f"random {i}": sample for i, sample in enumerate(samples, start=1)}
        body = {"architectures": list(named.values()), "space": space.name, "settings": dict(settings) or None}
        cards = _checked(client.get("/v1/ensembles")).json().values()
        fitting = [
            card for card in cards if card["space"] == space.name and settings.items() <= card["settings"].items()
        ]
        if fitting:
            _predict(client, body, list(named))
        else:
            _score(client, body, list(named))


@contextmanager
def _client() -> Iterator[httpx.Client]:
    """Start a server, and yield a client of it."""
    settings = {"ARCHRANK_SYNC_TIMEOUT": str(TIMEOUT_S)}  # on a slow machine the request would become a job
    with server(settings) as url, httpx.Client(base_url=url, timeout=TIMEOUT_S, trust_env=False) as client:
        yield client


def _predict(client: httpx.Client, body: Mapping[str, Any], names: Sequence[str]) -> None:
    console = Console()
    console.print(f"posting {len(names)} architectures to {client.base_url.join('/v1/predictions')}")
    with console.status("scoring and explaining each"):
        response = _checked(client.post("/v1/predictions", json={**body, "explain": True}))
    document = PredictionResponse.model_validate(response.json())
    table = tables.predictions(document, names)
    table.title = f"{document.ensemble}, on {document.device}, {document.seconds:.1f} s"
    console.print(table)
    console.print(tables.explanation(*tables.ranked(document, names)[0]))


def _score(client: httpx.Client, body: Mapping[str, Any], names: Sequence[str]) -> None:
    console = Console()
    console.print(f"posting {len(names)} architectures to {client.base_url.join('/v1/scores')}")
    with console.status("scoring each"):
        response = _checked(client.post("/v1/scores", json=body))
    document = ScoreResponse.model_validate(response.json())
    table = tables.scores(document, names)
    table.title = f"{document.space}, which has no ensemble, on {document.device}, {document.seconds:.1f} s"
    console.print(table)


def _checked(response: httpx.Response) -> httpx.Response:
    """Return a successful response. Raises `DemoError` for any other."""
    if response.is_error:
        raise DemoError(f"the server answered {response.status_code}: {response.json().get('detail')}")
    return response


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
    # A proxy server named by the environment could not reach this machine's addresses.
    with httpx.Client(base_url=url, timeout=5, trust_env=False) as client:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                response = client.get("/health/ready")
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
