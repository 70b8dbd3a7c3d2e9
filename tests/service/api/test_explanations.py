"""What moved a prediction, which edits raise it, and how probably one architecture beats another, over HTTP."""

import httpx
import pytest

from models import get_space
from tests.service.api.test_predictions import WRONG
from tests.service.conftest import ARCHITECTURES, CHEAP, SIX, SMALL, Post


@pytest.mark.parametrize(("proxies", "explained"), [([], "structure"), (CHEAP, "structure"), (None, "stacked")])
def test_base_and_points_are_the_prediction(proxies: list[str] | None, explained: str, post: Post) -> None:
    answer = post("/v1/predictions", architectures=[SMALL], proxies=proxies, explain=True)
    (item,) = answer["predictions"]
    explanation = item["explanation"]
    assert explanation["combiner"] == explained == item["combiner"]
    total = explanation["base"] + sum(reason["points"] for reason in explanation["reasons"]) / 100
    assert total == pytest.approx(item["accuracy"], abs=1e-6)
    parts = [reason["part"] for reason in explanation["reasons"]]
    assert len(set(parts)) == len(parts)
    assert {"4 layers", "layers[0] (L4, L2, S)", "layers[3] (L, L4n, S, T)"} <= set(parts)
    sizes = [abs(reason["points"]) for reason in explanation["reasons"]]
    assert sizes == sorted(sizes, reverse=True)


def test_an_edit_does_what_it_says(post: Post) -> None:
    (item,) = post("/v1/predictions", architectures=[SMALL], proxies=[], explain=True)["predictions"]
    best = item["edits"][0]
    layers = [list(row) for row in SMALL["layers"]]
    row, module = layers[best["edit"]["layer"]], best["edit"]["module"]
    if best["edit"]["action"] == "add":
        row.append(module)
    else:
        row.remove(module)
    (edited,) = post("/v1/predictions", architectures=[{"layers": layers}], proxies=[])["predictions"]
    assert edited["accuracy"] == best["accuracy"]
    assert 100 * (edited["accuracy"] - item["accuracy"]) == best["points"]
    space = get_space("gcn-nas")
    assert space.parse(layers) in list(space.neighbors(space.parse(SMALL)))


def test_a_combiner_that_only_orders_is_explained_by_structure(post: Post) -> None:
    (item,) = post("/v1/predictions", architectures=[SMALL], combiner="mean", proxies=CHEAP, explain=True)[
        "predictions"
    ]
    assert (item["combiner"], item["explanation"]["combiner"]) == ("mean", "structure")


def test_probabilities_are_in_the_order_posted_and_leave_out_what_cannot_be_read(post: Post) -> None:
    answer = post("/v1/predictions", architectures=[SMALL, WRONG, SIX, SMALL], proxies=[], compare=True)
    beats, items = answer["beats"], answer["predictions"]
    assert beats[1] == [None] * 4
    assert [row[1] for row in beats] == [None] * 4
    assert beats[0][0] == beats[0][3] == 0.5
    assert beats[0][2] + beats[2][0] == pytest.approx(1)
    assert (beats[0][2] > 0.5) == (items[0]["accuracy"] > items[2]["accuracy"])


@pytest.mark.parametrize("field", ["explain", "compare"])
def test_options_are_true_or_false(field: str, client: httpx.Client) -> None:
    response = client.post("/v1/predictions", json={"architectures": ARCHITECTURES, field: "yes"})
    assert response.status_code == 422
    assert field in response.json()["detail"]
