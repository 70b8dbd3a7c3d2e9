"""Several servers on one PostgreSQL database: one finishes the jobs of another."""

import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.chaos.conftest import Recovered
from tests.real_server import Server, assert_complete, serving, until
from tests.service.storage.postgres import Postgres

NUMBER = 150
HEARTBEAT_TIMEOUT_S = 5


@pytest.fixture
def servers(tmp_path: Path, postgres: Postgres) -> Iterator[tuple[Server, Server]]:
    postgres.execute("CREATE DATABASE shared TEMPLATE migrated")
    try:
        with ExitStack() as stack:
            one, two = (
                stack.enter_context(
                    serving(
                        tmp_path / name,
                        store_url=postgres.url("shared"),
                        heartbeat_timeout=HEARTBEAT_TIMEOUT_S,
                        ready=False,
                    )
                )
                for name in ("one", "two")
            )
            until(lambda: one.client.get("/health/ready").is_success)
            until(lambda: two.client.get("/health/ready").is_success)
            yield one, two
    finally:
        postgres.execute("DROP DATABASE shared WITH (FORCE)")


def under_way(one: Server, two: Server) -> str:
    """Create a job of which both servers hold items."""
    place = one.submit(one.architectures(NUMBER))
    until(lambda: two.job(place)["counts"]["running"] > 64)
    two.wait_until_finished(place, 2)
    return place


def test_one_is_killed(servers: tuple[Server, Server], recovered: Recovered) -> None:
    one, two = servers
    place = under_way(one, two)
    one.kill()
    since, before = time.monotonic(), two.results(place)
    assert_complete(two, place, NUMBER, before)
    recovered(f"one of two servers killed (timeout {HEARTBEAT_TIMEOUT_S} s), until the other had done all", since)


def test_one_is_paused_and_comes_back(servers: tuple[Server, Server], recovered: Recovered) -> None:
    """The other server processes its items; after it resumes, its earlier results do not count."""
    one, two = servers
    place = under_way(one, two)
    one.send(signal.SIGSTOP)
    since, before = time.monotonic(), two.results(place)
    assert_complete(two, place, NUMBER, before)
    recovered(f"one of two servers paused (timeout {HEARTBEAT_TIMEOUT_S} s), until the other had done all", since)
    results = two.results(place)
    one.send(signal.SIGCONT)
    later = one.submit(one.architectures(4, seed=9))
    two.send(signal.SIGSTOP)
    assert_complete(one, later, 4, {})
    assert one.results(place) == results
