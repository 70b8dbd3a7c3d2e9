"""Search spaces, ensembles, proxies, limits and health over HTTP."""

from collections import Counter

import httpx
import numpy as np
import pytest

from models import capabilities, get_space, space_names
from proxies import proxy_names, proxy_versions
from service.settings import Settings
from tests.service.conftest import SMALL, Post
from tests.waiting import PATIENCE_S

GENERIC = {"name", "origin", "capabilities", "settings", "presets", "schema", "stratum_label", "ensembles"}
"""Fields of a card that every space has."""


def test_spaces(client: httpx.Client) -> None:
    cards = client.get("/v1/spaces").json()
    assert list(cards) == space_names()
    for name, card in cards.items():
        space = get_space(name)
        assert client.get(f"/v1/spaces/{name}").json() == card
        assert card["capabilities"] == list(capabilities(space))
        assert (card["settings"], card["schema"]) == (space.settings, space.json_schema())
        assert card["presets"] == dict(space.presets)
        assert card.items() >= {key: value for key, value in space.describe().items() if key not in GENERIC}.items()
    assert cards["gcn-nas"]["ensembles"][0] == "gcn-nas-ntu"
    assert (cards["gcn-nas"]["origin"], cards["gcn-nas"]["stratum_label"]) == ("built in", "number of layers")


@pytest.mark.parametrize("name", space_names())
def test_samples_are_distinct_and_seeded(name: str, post: Post) -> None:
    path = f"/v1/spaces/{name}/sample"
    sample = post(path, number=20, seed=3)["architectures"]
    space = get_space(name)
    assert len({space.parse(architecture) for architecture in sample}) == 20
    assert post(path, number=20, seed=3)["architectures"] == sample
    assert post(path, number=20, seed=4)["architectures"] != sample


def test_mutations_are_those_of_the_space(post: Post) -> None:
    space = get_space("gcn-nas")
    mutants = post("/v1/spaces/gcn-nas/mutate", architecture=SMALL, number=5, seed=1)["architectures"]
    assert mutants == post("/v1/spaces/gcn-nas/mutate", architecture=SMALL, number=5, seed=1)["architectures"]
    assert len({space.parse(mutant) for mutant in mutants}) == 5
    rng = np.random.default_rng(1)
    assert mutants[0] == space.to_json(space.mutate(space.parse(SMALL), rng))


def test_proxies(client: httpx.Client) -> None:
    cards = client.get("/v1/proxies").json()
    assert {card["name"]: card["version"] for card in cards} == proxy_versions(proxy_names())
    assert [card["name"] for card in cards if card["default"]] == list(proxy_versions())
    assert all(card["source"] and card["direction"] in (1, -1) for card in cards)


def test_ensembles(client: httpx.Client) -> None:
    cards = client.get("/v1/ensembles").json()
    assert "gcn-nas-ntu" in cards
    for name, card in cards.items():
        assert client.get(f"/v1/ensembles/{name}").json() == card
        assert card["space"] in space_names()
        assert card["benchmark"]["size"] > 0
        assert set(card["metrics"]) == {*card["combiners"], *card["baselines"]}
        rho = {row: card["metrics"][row]["spearman"]["mean"] for row in card["metrics"]}
        without_scores = "structure" if "structure" in card["combiners"] else "rank_trees"
        assert rho[without_scores] > max(rho[row] for row in card["baselines"])
        assert card["limitations"]


def test_percentiles_refer_to_the_reference_set(client: httpx.Client, post: Post) -> None:
    for name, card in client.get("/v1/ensembles").json().items():
        reference_set = client.get(f"/v1/ensembles/{name}/reference-set").json()
        assert reference_set["size"] == card["benchmark"]["size"]
        assert set(reference_set["combiners"]) == set(card["combiners"])
        for held_out in reference_set["combiners"].values():
            assert held_out["accuracy"] == sorted(held_out["accuracy"])
            assert Counter(map(str, held_out["strata"])) == card["benchmark"]["by_stratum"]
        assert set(reference_set["proxies"]) == set(card["proxies"])
        for quantiles in reference_set["proxies"].values():
            assert len(quantiles) == 101
            assert quantiles == sorted(quantiles)
    document = post("/v1/predictions", architectures=[SMALL], proxies=[])
    reference_set = client.get(f"/v1/ensembles/{document['ensemble']}/reference-set").json()
    (item,) = document["predictions"]
    for name, estimate in item["combiners"].items():
        if estimate is not None:
            accuracies = np.array(reference_set["combiners"][name]["accuracy"])
            below = (accuracies < estimate["accuracy"]).mean()
            not_above = (accuracies <= estimate["accuracy"]).mean()
            assert estimate["percentile"] == pytest.approx((below + not_above) / 2)


def test_limits_are_those_of_the_settings(client: httpx.Client) -> None:
    fields, limits = Settings.model_fields, client.get("/v1/limits").json()
    assert limits == {
        "max_architectures": fields["max_architectures"].default,
        "max_brief_architectures": fields["max_brief_architectures"].default,
        "max_job_architectures": fields["max_job_architectures"].default,
        "max_body_bytes": fields["max_body_bytes"].default,
        "max_job_body_bytes": fields["max_job_body_bytes"].default,
        "sync_timeout": PATIENCE_S,
        "max_page_size": 1000,
        "max_sample_size": 1000,
        "result_retention": fields["result_retention"].default,
        "requests_per_minute": None,
        "max_active_jobs": fields["max_active_jobs"].default,
        "queue_share": 1.0,
        "max_studies": fields["max_studies"].default,
        "max_study_observations": fields["max_study_observations"].default,
    }
    sample_size, page_size = limits["max_sample_size"], limits["max_page_size"]
    assert client.get(f"/v1/jobs?limit={page_size}").status_code == 200
    assert client.get(f"/v1/jobs?limit={page_size + 1}").status_code == 422
    assert client.post("/v1/spaces/gcn-nas/sample", json={"number": sample_size}).status_code == 200
    assert client.post("/v1/spaces/gcn-nas/sample", json={"number": sample_size + 1}).status_code == 422


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_health(path: str, client: httpx.Client) -> None:
    assert client.get(path).json() == {"status": "ok"}
