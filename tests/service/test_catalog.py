"""What there is, and how well the service is."""

import httpx
import pytest

from models import get_space
from proxies import proxy_versions


def test_spaces(client: httpx.Client) -> None:
    assert client.get("/v1/spaces").json() == {"gcn-nas": get_space("gcn-nas").describe()}


def test_proxies(client: httpx.Client) -> None:
    cards = client.get("/v1/proxies").json()
    assert {card["name"]: card["version"] for card in cards} == proxy_versions()
    assert all(card["source"] and card["direction"] in (1, -1) for card in cards)


def test_ensembles(client: httpx.Client) -> None:
    cards = client.get("/v1/ensembles").json()
    assert "gcn-nas-ntu" in cards
    for name, card in cards.items():
        assert client.get(f"/v1/ensembles/{name}").json() == card
        assert card["space"] == "gcn-nas"
        assert card["benchmark"]["architectures"] > 0
        assert set(card["measured"]) == {*card["combiners"], *card["baselines"]}
        assert card["measured"]["structure"]["spearman"]["mean"] > card["measured"]["depth"]["spearman"]["mean"]
        assert card["limits"]


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_health(path: str, client: httpx.Client) -> None:
    assert client.get(path).json() == {"status": "ok"}


def test_docs(client: httpx.Client) -> None:
    assert client.get("/docs").status_code == 200
