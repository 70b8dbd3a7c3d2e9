"""The store is locked, full or gone for a while: nothing is lost, requests are answered, and on it goes afterwards."""

import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx

from service.storage import database
from tests.chaos.conftest import Recovered
from tests.real_server import CHEAP, Server, assert_complete, assert_told_once, serving, until
from tests.service.storage.postgres import Postgres

NUMBER = 60


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """As by a tool that somebody left open."""
    conn = sqlite3.connect(file, timeout=30, isolation_level=None)
    try:
        conn.execute("BEGIN EXCLUSIVE")
        yield
    finally:
        conn.close()


def predicted(server: Server, seed: int) -> None:
    """Requests are answered, also those for which something is computed."""
    asked = {"architectures": server.architectures(1, seed=seed)}
    for proxies in ([], ["params"]):
        response = server.client.post("/v1/predictions", json={**asked, "proxies": proxies})
        assert response.status_code == 200, response.text
        assert "error" not in response.json()["predictions"][0]


def test_locked_for_longer_than_one_waits(tmp_path: Path, recovered: Recovered) -> None:
    with serving(tmp_path) as server:
        place = server.submit(server.architectures(NUMBER))
        server.at_least(place, 2)

        def post(i: int) -> httpx.Response:
            body = {"architectures": server.architectures(2), "proxies": CHEAP}
            return server.client.post("/v1/jobs", json=body, headers={"Idempotency-Key": f"{i % 4}"})

        with locked(tmp_path / "archrank.db"), ThreadPoolExecutor(8) as pool:
            before = server.results(place)
            answers = list(pool.map(post, range(8)))
            predicted(server, seed=50)
        since = time.monotonic()
        for answer in answers:
            assert answer.status_code == 503
            assert int(answer.headers["Retry-After"]) > 0
            assert "the store is busy" in answer.json()["detail"]
        server.at_least(place, len(before) + 1)
        recovered(f"SQLite locked by somebody for more than {database.BUSY_TIMEOUT_S} s, since it was let go", since)
        again = {post(i).headers["Location"] for i in range(8)}
        assert len(again) == 4
        assert_complete(server, place, NUMBER, before)
        for one in again:
            assert_complete(server, one, 2, {})


def test_disk_is_full(small_disk: Path, recovered: Recovered) -> None:
    subprocess.run(["mount", "-o", "remount,size=12m", small_disk], check=True)
    ballast = small_disk / "ballast"
    with serving(small_disk / "data") as server:
        architectures = server.architectures(NUMBER)
        place = server.submit(architectures)
        server.at_least(place, 2)
        ballast.write_bytes(bytes(shutil.disk_usage(small_disk).free))
        until(lambda: server.client.get("/health/ready").status_code == 503)
        before = server.results(place)
        body = {"architectures": architectures * 20, "proxies": CHEAP}
        refused = server.client.post("/v1/jobs", json=body)
        assert refused.status_code == 503, refused.text
        assert "disk is full" in refused.json()["detail"]
        assert refused.headers["Retry-After"]
        predicted(server, seed=60)
        ballast.unlink()
        since = time.monotonic()
        server.at_least(place, len(before) + 1)
        recovered("disk full, since there was space again", since)
        assert_complete(server, place, NUMBER, before)
        assert server.client.get("/health/ready").is_success
        assert len(server.client.get("/v1/jobs").json()["jobs"]) == 1


def test_postgres_restarted(tmp_path: Path, postgres: Postgres, recovered: Recovered) -> None:
    postgres.execute("CREATE DATABASE away TEMPLATE migrated")
    try:
        with serving(tmp_path, store_url=postgres.url("away"), clean=True) as server:
            place = server.submit(server.architectures(NUMBER))
            server.at_least(place, 2)
            before = server.results(place)
            with ThreadPoolExecutor(1) as pool, httpx.Client(base_url=server.url, timeout=90) as listener:
                stream = Server(server.process, server.url, listener).events_to_the_end(place)
                told = [next(stream)]
                others = pool.submit(list, stream)
                postgres.stop()
                try:
                    until(lambda: server.client.get("/health/ready").status_code == 503)
                    refused = server.client.post("/v1/jobs", json={"architectures": server.architectures(1)})
                    assert (refused.status_code, "Retry-After" in refused.headers) == (503, True)
                    predicted(server, seed=70)
                finally:
                    postgres.start()
                since = time.monotonic()
                until(lambda: server.client.get(place).is_success and server.finished(place) > len(before))
                recovered("PostgreSQL stopped, since it was started again", since)
                assert_told_once(told + others.result(), NUMBER)
            assert_complete(server, place, NUMBER, before)
    finally:
        postgres.execute("DROP DATABASE away WITH (FORCE)")


def test_events_go_on_where_they_were_cut_off(tmp_path: Path) -> None:
    """A client that is cut off again and again is told everything once."""
    with serving(tmp_path) as server:
        place = server.submit(server.architectures(20))
        assert_told_once(list(server.events_to_the_end(place, most=7)), 20)
