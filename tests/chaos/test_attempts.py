"""Servers are killed while they hold many items: only what was being computed then was tried."""

from pathlib import Path

from service.storage import Store
from tests.real_server import serving, until
from tests.service.storage.conftest import url  # noqa: F401

KILLS = 2
NUMBER = 40


def test_what_only_waited_was_not_tried(tmp_path: Path, url: str) -> None:  # noqa: F811
    """A server has one process here, so that one item at a time is begun."""
    settings = {"store_url": url, "heartbeat_timeout": 1}

    def attempts(place: str) -> list[int]:
        """At the items that are not done."""
        with Store.open(url) as store:
            items = store.jobs.items(place.rpartition("/")[2]).items
        return [one.attempts for one in items if one.state in ("queued", "running")]

    with serving(tmp_path, **settings) as server:
        place = server.submit(server.architectures(NUMBER, depth=10), proxies=None)
        until(lambda: 1 in attempts(place))
        assert server.job(place)["counts"]["running"] > 1
        server.kill()
    assert sum(attempts(place)) == 1
    for kills in range(2, KILLS + 1):
        with serving(tmp_path, **settings) as server:
            until(lambda kills=kills: sum(attempts(place)) >= kills or server.finished(place))
            server.kill()
        assert sum(attempts(place)) <= kills
    with serving(tmp_path, **settings) as server:
        until(lambda: server.job(place)["counts"]["running"] > 1)
        assert server.job(place)["counts"]["failed"] == 0
        assert server.client.delete(place).json()["state"] == "cancelled"
