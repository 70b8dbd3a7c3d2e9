"""What there is, and how well the service is."""

from collections import Counter

import httpx
import numpy as np
import pytest

from models import get_space
from proxies import proxy_versions
from service.settings import Settings
from tests.service.conftest import SMALL, Post


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


def test_population_is_what_percentiles_are_taken_in(client: httpx.Client, post: Post) -> None:
    for name, card in client.get("/v1/ensembles").json().items():
        population = client.get(f"/v1/ensembles/{name}/population").json()
        assert population["number"] == card["benchmark"]["architectures"]
        assert set(population["combiners"]) == set(card["combiners"])
        for held_out in population["combiners"].values():
            assert held_out["accuracy"] == sorted(held_out["accuracy"])
            assert Counter(map(str, held_out["layers"])) == card["benchmark"]["by_depth"]
        assert set(population["proxies"]) == set(card["proxies"])
        for quantiles in population["proxies"].values():
            assert len(quantiles) == 101
            assert quantiles == sorted(quantiles)
    (item,) = post("/v1/predictions", architectures=[SMALL], proxies=[])["predictions"]
    for name, estimate in item["combiners"].items():
        if estimate is not None:
            accuracies = np.array(population["combiners"][name]["accuracy"])
            below, upto = (accuracies < estimate["accuracy"]).mean(), (accuracies <= estimate["accuracy"]).mean()
            assert estimate["percentile"] == pytest.approx(50 * (below + upto))


def test_limits_are_those_of_the_settings(client: httpx.Client) -> None:
    known, limits = Settings.model_fields, client.get("/v1/limits").json()
    assert limits == {
        "architectures": known["max_architectures"].default,
        "job_architectures": known["max_job_architectures"].default,
        "body_bytes": known["max_body_bytes"].default,
        "job_body_bytes": known["max_job_body_bytes"].default,
        "wait_seconds": known["sync_timeout"].default,
        "page": 1000,
        "sample": 1000,
        "keep_hours": known["result_retention"].default / 3600,
        "rate": None,
        "jobs": known["max_active_jobs"].default,
        "share": 1.0,
    }
    for path in (f"/v1/spaces/gcn-nas/sample?n={limits['sample']}", f"/v1/jobs?limit={limits['page']}"):
        assert client.get(path).status_code == 200
        assert client.get(path.replace("=1000", "=1001")).status_code == 422


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_health(path: str, client: httpx.Client) -> None:
    assert client.get(path).json() == {"status": "ok"}
