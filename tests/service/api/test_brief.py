"""`detail: brief` of predictions and of jobs."""

from typing import Any

import httpx
import pytest

from service.api.schemas import PredictionResponse
from tests.service.api.test_jobs import results, submit, wait
from tests.service.conftest import ARCHITECTURES, CHEAP, SMALL, Post

WRONG: dict[str, Any] = {"space": "gcn-nas", "layers": [["L5"]]}
FIELDS = ("accuracy", "interval", "ranking_score")


def shortened(item: Any, *fields: str) -> Any:
    return {"error": item["error"]} if "error" in item else {name: item[name] for name in (*FIELDS, *fields)}


@pytest.mark.parametrize("proxies", [[], CHEAP])
def test_brief_predictions_are_parts_of_full_ones(proxies: list[str], post: Post) -> None:
    body = {"architectures": [*ARCHITECTURES, WRONG, SMALL], "proxies": proxies, "compare": True}
    full, brief = (post("/v1/predictions", **body, detail=detail) for detail in ("full", "brief"))
    assert brief["predictions"] == [shortened(item, "rank") for item in full["predictions"]]
    assert "error" in brief["predictions"][-2]
    without = ("predictions", "seconds")
    assert {k: v for k, v in brief.items() if k not in without} == {k: v for k, v in full.items() if k not in without}


def test_full_is_the_default(client: httpx.Client) -> None:
    body = {"architectures": ARCHITECTURES, "proxies": []}
    client.post("/v1/predictions", json=body)  # from now on each prediction is cached
    default, full = (client.post("/v1/predictions", json={**body, **more}).content for more in ({}, {"detail": "full"}))
    documents = [PredictionResponse.model_validate_json(content) for content in (default, full)]
    assert [default, full] == [document.model_dump_json().encode() for document in documents]
    assert documents[0].predictions == documents[1].predictions


def test_only_brief_requests_without_networks_may_be_large(client: httpx.Client) -> None:
    limits = client.get("/v1/limits").json()
    many = client.post("/v1/spaces/gcn-nas/sample", json={"number": 300}).json()["architectures"]
    body = {"architectures": many, "proxies": [], "detail": "brief"}
    response = client.post("/v1/predictions", json=body)
    assert response.status_code == 200
    predictions = response.json()["predictions"]
    assert len(predictions) == 300
    order = sorted(predictions, key=lambda item: -item["ranking_score"])
    assert [item["rank"] for item in order] == sorted(item["rank"] for item in predictions)
    parts = client.post("/v1/predictions", json={**body, "architectures": many[-64:]}).json()["predictions"]
    assert [shortened(item) for item in parts] == [shortened(item) for item in predictions[-64:]]
    for other in ({"proxies": CHEAP}, {"proxies": None}, {"detail": "full"}):
        refused = client.post("/v1/predictions", json={**body, **other})
        assert refused.status_code == 422
        assert f"1 to {limits['max_architectures']} " in refused.json()["detail"]
    too_many = {**body, "architectures": [SMALL] * (limits["max_brief_architectures"] + 1)}
    assert client.post("/v1/predictions", json=too_many).status_code == 422


@pytest.mark.parametrize(("path", "more"), [("/v1/predictions", {"explain": True}), ("/v1/jobs", {"explain": True})])
def test_brief_explanations_are_refused(path: str, more: dict[str, Any], client: httpx.Client) -> None:
    response = client.post(path, json={"architectures": [SMALL], "proxies": [], "detail": "brief", **more})
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "explain"


def test_unknown_details_are_refused(client: httpx.Client) -> None:
    for detail in ("short", None, True):
        assert client.post("/v1/predictions", json={"architectures": [SMALL], "detail": detail}).status_code == 422
    scores = {"architectures": [SMALL], "kind": "scores", "proxies": ["params"], "detail": "brief"}
    assert client.post("/v1/jobs", json=scores).status_code == 422


def test_brief_jobs_and_brief_results_of_full_jobs(client: httpx.Client) -> None:
    architectures = [*ARCHITECTURES, WRONG]
    full, brief = (submit(client, *architectures, proxies=[], detail=detail) for detail in ("full", "brief"))
    assert [wait(client, place)["detail"] for place in (full, brief)] == ["full", "brief"]
    expected = {position: shortened(item) for position, item in results(client, full).items()}
    assert results(client, brief) == expected
    first = client.get(f"{full}/results?limit=3&detail=brief").json()
    rest = client.get(first["next"]).json()
    assert {item["position"]: item["result"] for item in (*first["results"], *rest["results"])} == expected
    assert client.get(brief).json()["counts"] == client.get(full).json()["counts"] | {"cached": 4}


def test_scores_have_no_brief_results(client: httpx.Client) -> None:
    place = submit(client, SMALL, kind="scores")
    assert wait(client, place)["detail"] == "full"
    assert client.get(f"{place}/results?detail=brief").status_code == 422
