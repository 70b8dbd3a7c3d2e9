"""Explanations, suggested mutations and win probabilities over HTTP."""

import httpx
import pytest

from models import get_space
from tests.service.api.test_predictions import WRONG
from tests.service.conftest import ARCHITECTURES, CHEAP, SIX, SMALL, Post


@pytest.mark.parametrize(("proxies", "explained"), [([], "structure"), (CHEAP, "structure"), (None, "stacked")])
def test_base_value_and_contributions_add_up_to_the_prediction(
    proxies: list[str] | None, explained: str, post: Post
) -> None:
    response = post("/v1/predictions", architectures=[SMALL], proxies=proxies, explain=True)
    (item,) = response["predictions"]
    explanation = item["explanation"]
    assert explanation["combiner"] == explained == item["combiner"]
    total = explanation["base_value"] + sum(attribution["contribution"] for attribution in explanation["attributions"])
    assert total == pytest.approx(item["accuracy"], abs=1e-6)
    groups = [attribution["feature_group"] for attribution in explanation["attributions"]]
    assert len(set(groups)) == len(groups)
    assert {"4 layers", "layers[0] (L4, L2, S)", "layers[3] (L, L4n, S, T)"} <= set(groups)
    magnitudes = [abs(attribution["contribution"]) for attribution in explanation["attributions"]]
    assert magnitudes == sorted(magnitudes, reverse=True)


def test_a_suggested_mutation_has_its_stated_accuracy(post: Post) -> None:
    (item,) = post("/v1/predictions", architectures=[SMALL], proxies=[], explain=True)["predictions"]
    best = item["suggested_mutations"][0]
    layers = [list(row) for row in SMALL["layers"]]
    row, module = layers[best["mutation"]["layer"]], best["mutation"]["module"]
    if best["mutation"]["action"] == "add":
        row.append(module)
    else:
        row.remove(module)
    (mutated,) = post("/v1/predictions", architectures=[{"layers": layers}], proxies=[])["predictions"]
    assert mutated["accuracy"] == best["accuracy"]
    assert mutated["accuracy"] - item["accuracy"] == pytest.approx(best["accuracy_gain"], abs=1e-15)
    space = get_space("gcn-nas")
    assert space.parse(layers) in list(space.neighbors(space.parse(SMALL)))


def test_a_ranking_combiner_is_explained_by_structure(post: Post) -> None:
    (item,) = post("/v1/predictions", architectures=[SMALL], combiner="mean", proxies=CHEAP, explain=True)[
        "predictions"
    ]
    assert (item["combiner"], item["explanation"]["combiner"]) == ("mean", "structure")


def test_win_probabilities_keep_the_order_and_are_null_for_malformed_architectures(post: Post) -> None:
    response = post("/v1/predictions", architectures=[SMALL, WRONG, SIX, SMALL], proxies=[], compare=True)
    win_probability, items = response["win_probability"], response["predictions"]
    assert win_probability[1] == [None] * 4
    assert [row[1] for row in win_probability] == [None] * 4
    assert win_probability[0][0] == win_probability[0][3] == 0.5
    assert win_probability[0][2] + win_probability[2][0] == pytest.approx(1)
    assert (win_probability[0][2] > 0.5) == (items[0]["accuracy"] > items[2]["accuracy"])


@pytest.mark.parametrize("field", ["explain", "compare"])
def test_options_are_true_or_false(field: str, client: httpx.Client) -> None:
    response = client.post("/v1/predictions", json={"architectures": ARCHITECTURES, field: "yes"})
    assert response.status_code == 422
    assert field in response.json()["detail"]
