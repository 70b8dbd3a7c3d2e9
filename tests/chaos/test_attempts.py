"""Servers are killed while they hold many items: only the running one counts as attempted."""

from pathlib import Path
from typing import Any

from service.storage import Store
from tests.real_server import serving, until
from tests.service.storage.conftest import get_items, url  # noqa: F401

NUMBER = 40


def test_only_running_items_are_attempted(tmp_path: Path, url: str) -> None:  # noqa: F811
    """The server has one worker, so that it attempts one item at a time."""
    settings: dict[str, Any] = {"store_url": url, "heartbeat_timeout": 1}

    def attempts(place: str) -> list[int]:
        """Attempts at unfinished items."""
        with Store.open(url) as store:
            items = get_items(store, place.rpartition("/")[2])
        return [item.attempts for item in items if item.state in ("queued", "running")]

    with serving(tmp_path, **settings) as server:
        place = server.submit(server.architectures(NUMBER, depth=10), proxies=None)
        until(lambda: 1 in attempts(place))
        assert server.job(place)["counts"]["running"] > 1
        server.kill()
    assert sum(attempts(place)) == 1
    with serving(tmp_path, **settings) as server:
        until(lambda: sum(attempts(place)) >= 2 or server.finished(place))
        server.kill()
    assert sum(attempts(place)) <= 2
    with serving(tmp_path, **settings) as server:
        until(lambda: server.job(place)["counts"]["running"] > 1)
        assert server.job(place)["counts"]["failed"] == 0
        assert server.client.delete(place).json()["state"] == "cancelled"
