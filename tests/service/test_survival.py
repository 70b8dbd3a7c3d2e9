"""Real servers, killed while they work: no finished result is lost or made twice, and the job is finished."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.demo import wait_until_ready
from tests.service.test_jobs import events, results, submit, wait

NUMBER = 6


@contextmanager
def serving(
    data: Path, log: Path | None = None, **settings: str
) -> Iterator[tuple["subprocess.Popen[str]", httpx.Client]]:
    """A server in a process group of its own, and a client; `log`: where its standard error goes."""
    command = (sys.executable, "-m", "service.cli", "serve", "--host", "127.0.0.1", "--port", "0")
    env = {**os.environ, "ARCHRANK_DATA_FOLDER": str(data), "ARCHRANK_THREADS": "1", "ARCHRANK_PROCESSES": "1"}
    env |= {f"ARCHRANK_{name.upper()}": value for name, value in settings.items()}
    with (
        (log or Path(os.devnull)).open("a") as stderr,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=stderr, text=True, env=env, process_group=0
        ) as process,
    ):
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[-1]
            wait_until_ready(url, process)
            with httpx.Client(base_url=url, timeout=60) as client:
                yield process, client
        finally:
            process.kill()


def started(client: httpx.Client) -> str:
    """A job with two of its architectures done."""
    sample = client.get("/v1/spaces/gcn-nas/sample", params={"n": NUMBER, "depth": 4, "seed": 1}).json()
    place = submit(client, *sample["architectures"], proxies=["synflow", "zen", "grasp"], key="a week")
    while client.get(place).json()["counts"]["done"] < 2:
        time.sleep(0.05)
    return place


def finished(client: httpx.Client, place: str, before: dict[int, Any], since: float) -> None:
    job = wait(client, place)
    print(f"{NUMBER} done {time.monotonic() - since:.1f} s after")  # noqa: T201  # with `pytest -s`
    assert (job["state"], job["counts"]["done"], job["counts"]["failed"]) == ("done", NUMBER, 0)
    after = results(client, place)
    assert sorted(after) == list(range(NUMBER))
    assert {position: after[position] for position in before} == before  # seconds and all: not computed again
    numbers = [number for number, _, _ in events(client, place)]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=lambda how: how.name)
def test_job_goes_on_after_the_server_was_ended(tmp_path: Path, how: signal.Signals) -> None:
    with serving(tmp_path) as (process, client):
        place = started(client)
        before = results_so_far(client, place)
        process.send_signal(how)
        process.wait(30)
    since = time.monotonic()
    with serving(tmp_path) as (_, client):
        sample = client.get("/v1/spaces/gcn-nas/sample", params={"n": NUMBER, "depth": 4, "seed": 1}).json()
        repeated = submit(client, *sample["architectures"], proxies=["synflow", "zen", "grasp"], key="a week")
        assert repeated == place  # whose answer may have been lost
        finished(client, place, before, since)


def test_job_goes_on_after_its_process_was_killed(tmp_path: Path) -> None:
    with serving(tmp_path) as (process, client):
        place = started(client)
        before, since = results_so_far(client, place), time.monotonic()
        for child in children(process.pid):
            os.kill(child, signal.SIGKILL)
        finished(client, place, before, since)


def results_so_far(client: httpx.Client, place: str) -> dict[int, Any]:
    return {one["position"]: one["result"] for one in client.get(f"{place}/results").json()["results"]}


def children(pid: int) -> list[int]:
    """Processes that score for the server."""
    if sys.platform != "linux":
        pytest.skip("children are found by /proc")
    tasks = Path(f"/proc/{pid}/task").iterdir()
    found = {int(child) for task in tasks for child in (task / "children").read_text().split()}
    return [child for child in found if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]
