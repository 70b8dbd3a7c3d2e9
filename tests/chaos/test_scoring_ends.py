"""The process that scores dies, hangs, or has no memory: its architecture is tried again, and only poison fails."""

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
    """A job with two of its architectures finished, and the process that scores."""
    place = server.submit(server.architectures(NUMBER))
    server.at_least(place, 2)
    (scorer,) = server.scorers()
    return place, scorer


def test_killed(tmp_path: Path, recovered: Recovered) -> None:
    with serving(tmp_path) as server:
        place, scorer = under_way(server)
        before, since = server.results(place), time.monotonic()
        os.kill(scorer, signal.SIGKILL)
        server.at_least(place, server.finished(place) + 1)
        recovered("scoring process killed", since)
        assert_complete(server, place, NUMBER, before)
        assert server.scorers() != [scorer]


def test_hung(tmp_path: Path, recovered: Recovered) -> None:
    with serving(tmp_path, task_timeout=5) as server:
        place, scorer = under_way(server)
        os.kill(scorer, signal.SIGSTOP)
        before, since = server.results(place), time.monotonic()
        until(lambda: scorer not in server.scorers())
        server.at_least(place, server.finished(place) + 1)
        recovered("scoring process hung, with a deadline of 5 s", since)
        assert_complete(server, place, NUMBER, before)


def test_out_of_memory(tmp_path: Path, recovered: Recovered) -> None:
    """Its next allocation that the system has to serve fails."""
    with serving(tmp_path) as server:
        place, scorer = under_way(server)
        resource.prlimit(scorer, resource.RLIMIT_AS, (1, resource.RLIM_INFINITY))
        before, since = server.results(place), time.monotonic()
        large = server.architectures(3, depth=10)
        second = server.submit(large, proxies=None)
        until(lambda: scorer not in server.scorers())
        server.at_least(place, len(before) + 1)
        recovered("scoring process out of memory", since)
        assert_complete(server, place, NUMBER, before)
        assert_complete(server, second, len(large), {})


def test_poison(tmp_path: Path, recovered: Recovered) -> None:
    """An architecture that kills its process, every time."""
    with serving(tmp_path / "sample") as server:
        architectures = server.architectures(12)
    with serving(tmp_path, module="tests.chaos.poison", POISON=json.dumps(architectures[5])) as server:
        since = time.monotonic()
        place = server.submit(architectures)
        results = assert_complete(server, place, len(architectures), {}, failed=1)
        recovered("poison failed alone after two tries, all others finished", since)
        assert "tried 2 times" in results[5]["error"]["detail"]
        assert server.client.get("/health/ready").is_success


def test_none_can_be_started_for_a_while(tmp_path: Path, recovered: Recovered) -> None:
    """What no process could be had for is not the architectures' fault: they wait."""
    with serving(tmp_path) as server:
        place, scorer = under_way(server)
        before = server.results(place)
        limit = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
        used = len(os.listdir(f"/proc/{server.process.pid}/fd"))
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (used, limit[1]))
        os.kill(scorer, signal.SIGKILL)
        until(lambda: server.client.get("/health/ready").status_code == 503)
        assert not server.scorers()
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, limit)
        since = time.monotonic()
        server.at_least(place, server.finished(place) + 1)
        recovered("no process could be spawned for a while (no file descriptors)", since)
        assert_complete(server, place, NUMBER, before)
