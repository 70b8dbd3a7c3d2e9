"""What there is, how well the service is, and the document that describes it all."""

from collections.abc import Iterator
from typing import Any

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


@pytest.fixture(scope="module")
def document(client: httpx.Client) -> Any:
    return client.get("/openapi.json").json()


def operations(document: Any) -> Iterator[tuple[str, str, Any]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for child in node.values():
            yield from references(child)
    elif isinstance(node, list):
        for child in node:
            yield from references(child)


def test_openapi_refers_to_nothing_that_is_missing(document: Any) -> None:
    assert document["openapi"].startswith("3.1")
    found = set(references(document))
    assert found
    for reference in found:
        node = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]


def test_openapi_documents_every_problem(document: Any) -> None:
    for path, method, operation in operations(document):
        errors = {status: answer for status, answer in operation["responses"].items() if status not in ("200", "202")}
        assert "500" in errors
        for answer in errors.values():
            schema = answer["content"]["application/problem+json"]["schema"]
            assert schema == {"$ref": "#/components/schemas/Problem"}
        if method == "post":
            assert {"400", "408", "413", "415", "422", "503"} <= set(errors), path
        assert operation["description"]
        assert operation["operationId"]


@pytest.mark.parametrize("name", ["PredictionRequest", "ScoreRequest"])
def test_examples_of_the_document_are_answered(name: str, document: Any, client: httpx.Client) -> None:
    path = {"PredictionRequest": "/v1/predictions", "ScoreRequest": "/v1/scores"}[name]
    for example in document["components"]["schemas"][name]["examples"]:
        answer = client.post(path, json=example)
        assert answer.status_code == 200
        assert not any("error" in item for item in next(v for v in answer.json().values() if isinstance(v, list)))
