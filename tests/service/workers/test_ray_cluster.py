"""The loss of a node, of which a cluster may learn late."""

import pytest

from service.workers import ray_cluster
from service.workers.ray_cluster import ClusterNode, is_lost


@pytest.mark.parametrize(
    ("seen", "timeout", "expected"),
    [
        ([True], 0.0, False),
        ([False], 0.0, True),
        ([None], 0.0, True),
        ([True, True, False], 60.0, True),
        ([True, True, None], 60.0, True),
        ([True, False], 0.0, False),
    ],
)
def test_loss(seen: list[bool | None], timeout: float, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    states = iter(seen)

    def list_nodes() -> dict[str, ClusterNode]:
        alive = next(states)
        return {} if alive is None else {"node": ClusterNode("node", "127.0.0.1", alive, {})}

    monkeypatch.setattr(ray_cluster, "list_nodes", list_nodes)
    assert is_lost("node", timeout) is expected
