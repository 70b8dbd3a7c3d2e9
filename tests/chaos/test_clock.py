"""The wall clock jumps while a job runs: orders and durations do not depend on it."""

import os
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest

from tests.real_server import Server, assert_complete, serving

NUMBER = 60


def faketime() -> str:
    """Path of libfaketime."""
    paths = [os.environ.get("LIBFAKETIME", ""), *map(str, Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))]
    library = next((path for path in paths if Path(path).is_file()), None)
    return library or pytest.skip("libfaketime is not installed")


def wall_clock(server: Server) -> datetime:
    return parsedate_to_datetime(server.client.get("/health/live").headers["Date"])


@pytest.mark.parametrize("days", [1, -1])
def test_jump_mid_job(tmp_path: Path, days: int) -> None:
    offset = tmp_path / "offset"
    offset.write_text("+0")
    clock: dict[str, Any] = {
        "LD_PRELOAD": faketime(),
        "FAKETIME_TIMESTAMP_FILE": offset,
        "FAKETIME_NO_CACHE": 1,
        "FAKETIME_DONT_FAKE_MONOTONIC": 1,
    }
    # Jobs are kept for an hour, and a forward jump makes all finished ones older than that.
    with serving(tmp_path / "data", result_retention=3600, **clock) as server:
        started = wall_clock(server)
        place = server.submit(server.architectures(NUMBER), key="once")
        server.wait_until_finished(place, 2)
        before = server.results(place)
        offset.write_text(f"{days:+d}d")
        results = assert_complete(server, place, NUMBER, before)
        passed = wall_clock(server) - started
        assert abs(passed - timedelta(days=days)) < timedelta(hours=1), "the clock did not jump"
        job = server.job(place)
        assert abs(datetime.fromisoformat(job["finished_at"]) - started - timedelta(days=days)) < timedelta(hours=1)
        scores = [score for result in results.values() for score in result["scores"].values()]
        assert all(0 <= score["seconds"] < 3600 for score in scores)
        offset.write_text("+0")
        assert server.submit(server.architectures(NUMBER), key="once") == place
        later = server.submit(server.architectures(3, seed=8))
        assert_complete(server, later, 3, {})
        listed = [f"/v1/jobs/{job['id']}" for job in server.client.get("/v1/jobs").json()["jobs"]]
        assert listed == [later, place]
