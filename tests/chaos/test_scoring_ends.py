"""A worker is killed, hangs, or has no memory: its task is retried, and only poison fails."""

import json
import os
import resource
import signal
import time
from pathlib import Path

from tests.chaos.conftest import Recovered
from tests.real_server import Server, assert_complete, serving, until

NUMBER = 40


def under_way(server: Server) -> tuple[str, int]:
    """Create a job, wait for two results, and return its path and the worker."""
    place = server.submit(server.architectures(NUMBER))
    server.wait_until_finished(place, 2)
    (worker,) = server.workers()
    return place, worker


def test_killed(tmp_path: Path, recovered: Recovered) -> None:
    with serving(tmp_path) as server:
        place, worker = under_way(server)
        before, since = server.results(place), time.monotonic()
        os.kill(worker, signal.SIGKILL)
        server.wait_until_finished(place, server.finished(place) + 1)
        recovered("worker killed", since)
        assert_complete(server, place, NUMBER, before)
        assert server.workers() != [worker]


def test_hung(tmp_path: Path, recovered: Recovered) -> None:
    with serving(tmp_path, task_timeout=5) as server:
        place, worker = under_way(server)
        os.kill(worker, signal.SIGSTOP)
        before, since = server.results(place), time.monotonic()
        until(lambda: worker not in server.workers())
        server.wait_until_finished(place, server.finished(place) + 1)
        recovered("worker hung, with a timeout of 5 s", since)
        assert_complete(server, place, NUMBER, before)


def test_out_of_memory(tmp_path: Path, recovered: Recovered) -> None:
    """The next allocation that needs memory of the system fails."""
    with serving(tmp_path) as server:
        place, worker = under_way(server)
        resource.prlimit(worker, resource.RLIMIT_AS, (1, resource.RLIM_INFINITY))
        before, since = server.results(place), time.monotonic()
        large = server.architectures(3, depth=10)
        second = server.submit(large, proxies=None)
        until(lambda: worker not in server.workers())
        server.wait_until_finished(place, len(before) + 1)
        recovered("worker out of memory", since)
        assert_complete(server, place, NUMBER, before)
        assert_complete(server, second, len(large), {})


def test_poison(tmp_path: Path, recovered: Recovered) -> None:
    """An architecture kills its worker at every attempt."""
    with serving(tmp_path / "sample") as server:
        architectures = server.architectures(12)
    with serving(tmp_path, module="tests.chaos.poison", POISON=json.dumps(architectures[5])) as server:
        since = time.monotonic()
        place = server.submit(architectures)
        results = assert_complete(server, place, len(architectures), {}, failed=1)
        recovered("poison failed alone after two attempts, all others finished", since)
        assert "tried 2 times" in results[5]["error"]["detail"]
        assert server.client.get("/health/ready").is_success


def test_none_can_be_started_for_a_while(tmp_path: Path, recovered: Recovered) -> None:
    """Architectures stay queued while no process can be started."""
    with serving(tmp_path) as server:
        place, worker = under_way(server)
        before = server.results(place)
        limit = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
        used = len(os.listdir(f"/proc/{server.process.pid}/fd"))
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (used, limit[1]))
        os.kill(worker, signal.SIGKILL)
        until(lambda: server.client.get("/health/ready").status_code == 503)
        assert not server.workers()
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, limit)
        since = time.monotonic()
        server.wait_until_finished(place, server.finished(place) + 1)
        recovered("no process could be spawned for a while (no file descriptors)", since)
        assert_complete(server, place, NUMBER, before)
