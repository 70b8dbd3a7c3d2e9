"""Several servers on one PostgreSQL: what one leaves half done, another finishes."""

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
SECONDS = 5


@pytest.fixture
def servers(tmp_path: Path, postgres: Postgres) -> Iterator[tuple[Server, Server]]:
    postgres.execute("CREATE DATABASE shared TEMPLATE migrated")
    try:
        with ExitStack() as stack:
            one, two = (
                stack.enter_context(
                    serving(tmp_path / name, store_url=postgres.url("shared"), heartbeat_timeout=SECONDS, ready=False)
                )
                for name in ("one", "two")
            )
            for server in (one, two):
                until(lambda server=server: server.client.get("/health/ready").is_success)
            yield one, two
    finally:
        postgres.execute("DROP DATABASE shared WITH (FORCE)")


def under_way(one: Server, two: Server) -> str:
    """A job that both have items of."""
    place = one.submit(one.architectures(NUMBER))
    until(lambda: two.job(place)["counts"]["running"] > 64)
    two.at_least(place, 2)
    return place


def test_one_is_killed(servers: tuple[Server, Server], recovered: Recovered) -> None:
    one, two = servers
    place = under_way(one, two)
    one.kill()
    since, before = time.monotonic(), two.results(place)
    assert_complete(two, place, NUMBER, before)
    recovered(f"one of two servers killed (heartbeat_timeout = {SECONDS}), until the other had done all", since)


def test_one_is_paused_and_comes_back(servers: tuple[Server, Server], recovered: Recovered) -> None:
    """What it was at is done by the other; it is heard again, but not its results of before."""
    one, two = servers
    place = under_way(one, two)
    one.send(signal.SIGSTOP)
    since, before = time.monotonic(), two.results(place)
    assert_complete(two, place, NUMBER, before)
    recovered(f"one of two servers paused (heartbeat_timeout = {SECONDS}), until the other had done all", since)
    results = two.results(place)
    one.send(signal.SIGCONT)
    later = one.submit(one.architectures(4, seed=9))
    two.send(signal.SIGSTOP)
    assert_complete(one, later, 4, {})
    assert one.results(place) == results
