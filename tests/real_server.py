"""Server processes for tests, and invariants of their jobs."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from service.cli.demo import wait_until_ready
from tests.waiting import PATIENCE_S, PATIENT_SERVER

CHEAP = ["params", "nwot"]
ENSEMBLES = Path(__file__).parent / "data" / "ensembles"
"""Folder with the default ensemble alone. A server tests each that it loads: most of its start."""
LEAN = PATIENT_SERVER | {"ARCHRANK_NUM_WORKERS": "1", "ARCHRANK_ENSEMBLES_DIR": str(ENSEMBLES)}
"""Settings of a patient server that starts fast."""
T = TypeVar("T")


@dataclass
class Server:
    """A server process and an HTTP client.

    Attributes:
        process: the process.
        url: base URL of the server.
        client: client of the server.
    """

    process: "subprocess.Popen[str]"
    url: str
    client: httpx.Client

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        """Send SIGKILL and wait for the end of the process."""
        self.send(signal.SIGKILL)
        self.process.wait(PATIENCE_S)

    def workers(self) -> list[int]:
        """Process ids of the workers."""
        return [child for child in _children(self.process.pid) if b"spawn_main" in _command(child)]

    def architectures(self, n: int, seed: int = 1, depth: int = 4) -> list[Any]:
        """Sample distinct architectures."""
        body = {"number": n, "seed": seed, "fixed": {"depth": depth}}
        architectures: list[Any] = self.client.post("/v1/spaces/gcn-nas/sample", json=body).json()["architectures"]
        return architectures

    def submit(self, architectures: Sequence[Any], key: str | None = None, **more: Any) -> str:
        """Create a job and return its path."""
        headers = {} if key is None else {"Idempotency-Key": key}
        body = {"architectures": architectures, "proxies": CHEAP, **more}
        response = self.client.post("/v1/jobs", json=body, headers=headers)
        assert response.status_code == 202, response.text
        return response.headers["location"]

    def job(self, place: str) -> Any:
        response = self.client.get(place)
        assert response.status_code == 200, response.text
        return response.json()

    def finished(self, place: str) -> int:
        """Number of a job's finished architectures."""
        counts = self.job(place)["counts"]
        return int(counts["done"] + counts["failed"])

    def wait_until_finished(self, place: str, number: int) -> int:
        """Wait until a number of architectures is finished."""
        return until(lambda: n if (n := self.finished(place)) >= number else None)

    def results(self, place: str, limit: int = 500) -> dict[int, Any]:
        """Results so far, by position; no position occurs twice."""
        results: dict[int, Any] = {}
        following: str | None = f"{place}/results?limit={limit}"
        while following:
            page = self.client.get(following).json()
            for item in page["results"]:
                assert item["position"] not in results
                results[item["position"]] = item["result"]
            following = page["next"] if page["results"] else None
        return results

    def events(self, place: str, after: int = 0) -> Iterator[tuple[int, str, Any]]:
        """Events of one connection, after the event with id `after`."""
        with self.client.stream("GET", f"{place}/events", headers={"Last-Event-ID": str(after)}) as stream:
            yield from parse_events(stream.iter_lines())

    def all_events(self, place: str, max_per_connection: int | None = None) -> Iterator[tuple[int, str, Any]]:
        """Events until the job is done, over several connections of at most `max_per_connection` events each."""
        last, kind, deadline = 0, "", time.monotonic() + PATIENCE_S
        while kind != "done" and time.monotonic() < deadline:
            try:
                for event in islice(self.events(place, after=last), max_per_connection):
                    last, kind, _ = event
                    yield event
            except httpx.TransportError:
                time.sleep(0.1)

    def memory(self) -> float:
        """Resident memory of the server process in MB."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextmanager
def serving(
    data: Path,
    log: Path | None = None,
    *,
    module: str = "service.cli",
    port: int = 0,
    ready: bool = True,
    clean: bool = False,
    **settings: Any,
) -> Iterator[Server]:
    """Start a server with the default ensemble, and kill it at the end.

    Args:
        data: data directory of the server.
        log: file that its standard error is appended to.
        module: module that is run.
        port: port of the server; a free one if 0.
        ready: wait until the server is ready.
        clean: end the server with SIGTERM instead of SIGKILL.
        settings: environment variables; lower-case names are prefixed with `ARCHRANK_`.
    """
    command = (sys.executable, "-m", module, "serve", "--host", "127.0.0.1", "--port", str(port))
    variables = {f"ARCHRANK_{name.upper()}" if name.islower() else name: str(value) for name, value in settings.items()}
    env = os.environ | LEAN | {"ARCHRANK_DATA_DIR": str(data)} | variables
    with (
        log.open("a") if log else nullcontext() as errors,
        # In its own process group, so that a test may signal the whole group.
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=env, process_group=0
        ) as process,
    ):
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[-1]
            if ready:
                wait_until_ready(url, process)
            with httpx.Client(base_url=url, timeout=PATIENCE_S, trust_env=False) as client:
                yield Server(process, url, client)
            if clean:
                process.terminate()
                process.wait(PATIENCE_S)
        finally:
            process.kill()


def parse_events(lines: Iterable[str]) -> Iterator[tuple[int, str, Any]]:
    """Parse server-sent events into id, kind and data."""
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if line and name:  # a comment has no name
            fields[name] = value
        elif not line and fields:
            yield int(fields["id"]), fields["event"], json.loads(fields["data"])
            fields = {}


def until(poll: Callable[[], T | None]) -> T:
    """Poll until the result is neither None nor False, and return it."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if (result := poll()) is not None and result is not False:
            return result
        time.sleep(0.02)
    raise AssertionError("the condition was not met in time")


def assert_complete(server: Server, place: str, number: int, before: dict[int, Any], failed: int = 0) -> dict[int, Any]:
    """Assert that the job ends with every result once, and that the results `before` are unchanged."""
    job = until(lambda: status if (status := server.job(place))["finished_at"] else None)
    assert (job["state"], job["counts"]["done"], job["counts"]["failed"]) == ("done", number - failed, failed)
    results = server.results(place)
    assert sorted(results) == list(range(number))
    assert {position: results[position] for position in before} == before
    assert_events_complete(list(server.events(place)), number)
    return results


def assert_events_complete(events: list[tuple[int, str, Any]], number: int) -> None:
    """Assert that no event is missing or repeated, and that each architecture has one."""
    assert [event for event, _, _ in events] == list(range(1, len(events) + 1))
    assert [kind for _, kind, _ in events][-1] == "done"
    assert sorted(data["position"] for _, kind, data in events if kind == "item") == list(range(number))


def _children(pid: int) -> list[int]:
    if sys.platform != "linux":
        pytest.skip("children are listed by /proc")
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sorted({int(child) for task in tasks for child in (task / "children").read_text().split()})


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
