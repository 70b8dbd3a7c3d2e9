"""`POST /v1/architectures/validate`."""

from typing import Any

import httpx

from models import get_space
from models.gcn_nas import PENG
from tests.service.conftest import ARCHITECTURES, SMALL, Post


def test_validations_are_those_of_the_space(post: Post, client: httpx.Client) -> None:
    validations = post("/v1/architectures/validate", architectures=ARCHITECTURES)["validations"]
    space = get_space("gcn-nas")
    scores = client.post("/v1/scores", json={"architectures": [SMALL], "proxies": ["flops"]}).json()
    shapes = tuple(map(tuple, scores["probe_batch"]["shapes"]))
    for text, validation in zip(ARCHITECTURES, validations, strict=True):
        arch = space.parse(text)
        cost = space.cost(arch, shapes)
        assert validation == {
            "architecture": space.to_json(arch),
            "fingerprint": arch.fingerprint,
            "stratum": arch.depth,
            "stratum_label": "number of layers",
            "parameters": cost.params,
            "flops": cost.flops,
            "warnings": space.warnings(arch),
        }


def test_flops_and_parameters_are_those_of_the_proxies(post: Post) -> None:
    (validation,) = post("/v1/architectures/validate", architectures=[SMALL])["validations"]
    (item,) = post("/v1/scores", architectures=[SMALL], proxies=["flops", "params"])["scores"]
    assert validation["flops"] == item["scores"]["flops"]["value"]
    assert validation["parameters"] == item["scores"]["params"]["value"]


def test_errors_are_in_the_place_of_their_architecture(post: Post) -> None:
    malformed: Any = {"layers": [["L2", "L5"]]}
    validations = post("/v1/architectures/validate", architectures=[malformed, PENG, "x"])["validations"]
    assert [set(validation) == {"error"} for validation in validations] == [True, False, True]
    assert validations[0]["error"]["instance"] == "#/architectures/0"
    assert validations[0]["error"]["errors"][0]["field"].startswith("architectures[0]")
    (only,) = post("/v1/architectures/validate", architectures=[malformed])["validations"]
    assert only["error"]["status"] == 422


def test_an_architecture_outside_the_reference_set_has_a_warning(post: Post) -> None:
    unusual = {"layers": [["L"], ["S"], ["T"], ["ST"]]}
    (validation,) = post("/v1/architectures/validate", architectures=[unusual])["validations"]
    assert any("layers[0]" in warning for warning in validation["warnings"])


def test_max_architectures(client: httpx.Client) -> None:
    limit = client.get("/v1/limits").json()["max_architectures"]
    assert client.post("/v1/architectures/validate", json={"architectures": [SMALL] * limit}).status_code == 200
    refused = client.post("/v1/architectures/validate", json={"architectures": [SMALL] * (limit + 1)})
    assert refused.status_code == 422
    assert f"1 to {limit}" in refused.json()["detail"]
