"""`POST /v1/predictions` and `/v1/scores`."""

import math
from typing import Any

import httpx
import pytest

from models import get_space
from tests.service.conftest import ARCHITECTURES, CHEAP, SIX, SMALL, Post, without_costs


def width(item: Any) -> float:
    return float(item["interval"]["high"] - item["interval"]["low"])


WRONG: dict[str, Any] = {"space": "gcn-nas", "layers": [["L5"], ["S"], ["S"], ["S"]]}


def test_results_are_in_the_order_of_the_request(post: Post) -> None:
    response = post("/v1/predictions", architectures=ARCHITECTURES, proxies=CHEAP)
    space = get_space("gcn-nas")
    assert [item["fingerprint"] for item in response["predictions"]] == [
        space.parse(architecture).fingerprint for architecture in ARCHITECTURES
    ]
    assert [space.parse(item["architecture"]) for item in response["predictions"]] == [
        space.parse(architecture) for architecture in ARCHITECTURES
    ]


def test_fields_of_a_prediction(post: Post) -> None:
    response = post("/v1/predictions", architectures=[SMALL])
    (item,) = response["predictions"]
    assert 0 < item["accuracy"] < 1
    assert 0 <= item["percentile"] <= 1
    assert item["rank"] == 1
    assert item["combiner"]
    assert item["combiners"]
    assert item["interval"]["low"] < item["accuracy"] < item["interval"]["high"]
    assert item["interval"]["level"] == 0.9
    assert all(estimate["interval"]["low"] < estimate["interval"]["high"] for estimate in item["combiners"].values())
    assert (item["warnings"], item["interval_scale"]) == ([], 1.0)
    assert (item["explanation"], item["suggested_mutations"], response["win_probability"]) == (None, None, None)
    assert response["device"] in ("cpu", "cuda")
    assert response["seconds"] > 0
    assert response["probe_batch"]["shapes"][0][1] == 3
    for score in item["scores"].values():
        assert score["status"] == "ok"
        assert score["error"] is None
        assert math.isfinite(score["value"])
        assert score["seconds"] >= 0


def test_proxies_default_to_those_of_the_ensemble(post: Post, client: httpx.Client) -> None:
    response = post("/v1/predictions", architectures=[SMALL], proxies=None)
    manifest = client.get(f"/v1/ensembles/{response['ensemble']}").json()
    assert list(response["predictions"][0]["scores"]) == sorted(
        manifest["proxies"], key=list(manifest["proxies"]).index
    )


def test_ranks_follow_accuracy_and_ties_share_a_rank(post: Post) -> None:
    response = post("/v1/predictions", architectures=[SMALL, SIX, SMALL, *ARCHITECTURES[1:3]], proxies=[])
    items = response["predictions"]
    assert items[0] == items[2]
    for item in items:
        assert item["rank"] == 1 + sum(other["accuracy"] > item["accuracy"] for other in items)


def test_structure_alone_builds_no_network(post: Post) -> None:
    response = post("/v1/predictions", architectures=ARCHITECTURES, proxies=[])
    assert all(item["scores"] == {} and 0 < item["accuracy"] < 1 for item in response["predictions"])


def test_a_malformed_architecture_does_not_affect_the_others(post: Post) -> None:
    alone = post("/v1/predictions", architectures=[SMALL, SIX], proxies=CHEAP)["predictions"]
    mixed = post("/v1/predictions", architectures=[SMALL, WRONG, SIX], proxies=CHEAP)["predictions"]
    assert without_costs([mixed[0], mixed[2]]) == without_costs(alone)
    assert list(mixed[1]) == ["error"]
    error = mixed[1]["error"]
    assert error["status"] == 422
    assert error["errors"] == [
        {
            "field": "architectures[1].layers[0][0]",
            "value": "'L5'",
            "allowed": "one of L, L4n, L4, L3, L2, S, T, ST",
        }
    ]


def test_three_notations_of_an_architecture_are_equal(post: Post) -> None:
    arch = get_space("gcn-nas").parse(SMALL)
    mask = [[int(cell) for cell in row] for row in arch.mask]
    weights = [[0.12 if cell else 0.08 for cell in row] for row in mask]
    forms = [SMALL, {"space": "gcn-nas", "mask": mask}, {"weights": weights}]
    first, *others = post("/v1/predictions", architectures=forms, proxies=CHEAP)["predictions"]
    assert others == [first, first]


def test_every_combiner_can_be_selected(post: Post) -> None:
    offered = post("/v1/predictions", architectures=[SMALL])["predictions"][0]["combiners"]
    available = [name for name, estimate in offered.items() if estimate is not None]
    assert available
    for name in available:
        item = post("/v1/predictions", architectures=[SMALL], combiner=name)["predictions"][0]
        assert item["combiner"] == name
        assert item["accuracy"] == item["combiners"][name]["accuracy"]


def test_another_seed_changes_scores_and_warns(post: Post) -> None:
    usual = post("/v1/predictions", architectures=[SMALL], proxies=CHEAP)["predictions"][0]
    other = post("/v1/predictions", architectures=[SMALL], proxies=CHEAP, seed=12345)["predictions"][0]
    assert other["scores"]["nwot"]["value"] != usual["scores"]["nwot"]["value"]
    assert any("seed 12345" in warning for warning in other["warnings"])
    assert not any("seed" in warning for warning in usual["warnings"])
    assert width(other) >= 2 * width(usual) * (1 - 1e-6)


def test_an_architecture_outside_the_reference_set_has_a_warning(post: Post) -> None:
    unusual = {"space": "gcn-nas", "layers": [["L"], ["S"], ["S"], ["S"]]}
    item, usual = post("/v1/predictions", architectures=[unusual, SMALL], proxies=[])["predictions"]
    assert any("layers[0]" in warning for warning in item["warnings"])
    assert any("the ensemble was fitted on" in warning for warning in item["warnings"])
    assert item["interval_scale"] >= 2
    assert width(item) > width(usual)


def test_scores_are_those_of_the_prediction(post: Post) -> None:
    predicted = post("/v1/predictions", architectures=[SMALL, SIX], proxies=CHEAP)["predictions"]
    scored = post("/v1/scores", architectures=[SMALL, SIX], proxies=CHEAP)["scores"]
    assert without_costs([item["scores"] for item in scored]) == without_costs([item["scores"] for item in predicted])


def test_scores_default_to_the_default_proxies(post: Post, client: httpx.Client) -> None:
    cards = client.get("/v1/proxies").json()
    names = [card["name"] for card in cards if card["default"]]
    (item,) = post("/v1/scores", architectures=[SMALL])["scores"]
    assert list(item["scores"]) == names
    assert 0 < len(names) < len(cards)


def test_sampled_architectures_can_be_posted(post: Post, client: httpx.Client) -> None:
    sample = client.post("/v1/spaces/gcn-nas/sample", json={"number": 5, "seed": 3, "fixed": {"depth": 6}}).json()
    items = post("/v1/predictions", **sample, proxies=[])["predictions"]
    assert [item["architecture"] for item in items] == sample["architectures"]
    assert (
        client.post("/v1/spaces/gcn-nas/sample", json={"number": 5, "seed": 3, "fixed": {"depth": 6}}).json() == sample
    )


@pytest.mark.parametrize("path", ["/v1/predictions", "/v1/scores"])
def test_max_architectures(path: str, client: httpx.Client) -> None:
    many = client.post("/v1/spaces/gcn-nas/sample", json={"number": 65}).json()["architectures"]
    assert client.post(path, json={"architectures": many[:64], "proxies": []}).status_code == 200
    refused = client.post(path, json={"architectures": many, "proxies": []})
    assert refused.status_code == 422
    assert "1 to 64" in refused.json()["detail"]
