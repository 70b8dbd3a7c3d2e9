"""Real servers that tests kill, starve and stop, and what must hold of their jobs afterwards."""

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

PATIENCE = 90
"""Seconds after which a recovery that has not happened counts as none."""
CHEAP = ["params", "nwot"]
T = TypeVar("T")


@dataclass
class Server:
    """A server process, and a client of it."""

    process: "subprocess.Popen[str]"
    url: str
    client: httpx.Client

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        """As `kill -9` does."""
        self.send(signal.SIGKILL)
        self.process.wait(PATIENCE)

    def scorers(self) -> list[int]:
        """Process ids of those that score."""
        return [child for child in _children(self.process.pid) if b"spawn_main" in _command(child)]

    def architectures(self, n: int, seed: int = 1, depth: int = 4) -> list[Any]:
        """Different ones."""
        query = {"n": n, "depth": depth, "seed": seed}
        found: list[Any] = self.client.get("/v1/spaces/gcn-nas/sample", params=query).json()["architectures"]
        return found

    def submit(self, architectures: Sequence[Any], key: str | None = None, **more: Any) -> str:
        """Where the job is."""
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
        """How many of a job's architectures are."""
        counts = self.job(place)["counts"]
        return int(counts["done"] + counts["failed"])

    def at_least(self, place: str, number: int) -> int:
        """Wait until so many are finished."""
        return until(lambda: n if (n := self.finished(place)) >= number else None)

    def results(self, place: str, limit: int = 500) -> dict[int, Any]:
        """By position, so far; each once."""
        found: dict[int, Any] = {}
        following: str | None = f"{place}/results?limit={limit}"
        while following:
            page = self.client.get(following).json()
            for one in page["results"]:
                assert one["position"] not in found
                found[one["position"]] = one["result"]
            following = page["next"] if page["results"] else None
        return found

    def events(self, place: str, after: int = 0) -> Iterator[tuple[int, str, Any]]:
        """Of one connection."""
        with self.client.stream("GET", f"{place}/events", headers={"Last-Event-ID": str(after)}) as stream:
            yield from told(stream.iter_lines())

    def events_to_the_end(self, place: str, most: int | None = None) -> Iterator[tuple[int, str, Any]]:
        """Of as many connections as it takes; each is cut off by the server, or here after so many events."""
        last, kind, deadline = 0, "", time.monotonic() + PATIENCE
        while kind != "done" and time.monotonic() < deadline:
            try:
                for event in islice(self.events(place, after=last), most):
                    last, kind, _ = event
                    yield event
            except httpx.TransportError:
                time.sleep(0.1)

    def memory(self) -> float:
        """Resident, of the server's own process, in MB."""
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
    """A server on this data folder; killed at the end, which is how most of these tests end anyway.

    Args:
        data: its data folder.
        log: its standard error is added to it.
        module: what is run.
        port: a free one where 0.
        ready: whether to wait until it is.
        clean: end with SIGTERM instead.
        settings: environment variables; in lower case without `ARCHRANK_`.
    """
    command = (sys.executable, "-m", module, "serve", "--host", "127.0.0.1", "--port", str(port))
    given = {f"ARCHRANK_{name.upper()}" if name.islower() else name: str(value) for name, value in settings.items()}
    env = (
        os.environ | {"ARCHRANK_DATA_DIR": str(data), "ARCHRANK_NUM_THREADS": "1", "ARCHRANK_NUM_WORKERS": "1"} | given
    )
    with (
        log.open("a") if log else nullcontext() as errors,
        # In a group of its own, which a test may send signals to.
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=env, process_group=0
        ) as process,
    ):
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[-1]
            if ready:
                wait_until_ready(url, process)
            with httpx.Client(base_url=url, timeout=PATIENCE, trust_env=False) as client:
                yield Server(process, url, client)
            if clean:
                process.terminate()
                process.wait(PATIENCE)
        finally:
            process.kill()


def told(lines: Iterable[str]) -> Iterator[tuple[int, str, Any]]:
    """Parse a stream of events: id, kind and data of each."""
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if line and name:  # a comment has no name
            fields[name] = value
        elif not line and fields:
            yield int(fields["id"]), fields["event"], json.loads(fields["data"])
            fields = {}


def until(found: Callable[[], T | None]) -> T:
    """The first that is neither None nor False."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if (one := found()) is not None and one is not False:
            return one
        time.sleep(0.02)
    raise AssertionError("it did not happen")


def assert_complete(server: Server, place: str, number: int, before: dict[int, Any], failed: int = 0) -> dict[int, Any]:
    """The job ends with all its results, each once; those of before are as they were, seconds and all."""
    job = until(lambda: found if (found := server.job(place))["finished"] else None)
    assert (job["state"], job["counts"]["done"], job["counts"]["failed"]) == ("done", number - failed, failed)
    results = server.results(place)
    assert sorted(results) == list(range(number))
    assert {position: results[position] for position in before} == before
    assert_told_once(list(server.events(place)), number)
    return results


def assert_told_once(events: list[tuple[int, str, Any]], number: int) -> None:
    """No event is missing or told again, and each architecture has one."""
    assert [event for event, _, _ in events] == list(range(1, len(events) + 1))
    assert [kind for _, kind, _ in events][-1] == "done"
    assert sorted(data["position"] for _, kind, data in events if kind == "item") == list(range(number))


def _children(pid: int) -> list[int]:
    if sys.platform != "linux":
        pytest.skip("children are found by /proc")
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sorted({int(child) for task in tasks for child in (task / "children").read_text().split()})


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
