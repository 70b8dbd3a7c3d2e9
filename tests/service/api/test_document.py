"""Contract of every operation and every example of the OpenAPI document."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema_rs
import pytest
from fastapi.routing import APIRoute

from service.api.routes import ROUTERS

ROUTES = [
    (route.path, method.lower())
    for router in ROUTERS
    for route in router.routes
    if isinstance(route, APIRoute)
    for method in sorted(route.methods or ())
]
EXAMPLES = {
    "ScoreRequest": ("/v1/scores", 200),
    "PredictionRequest": ("/v1/predictions", 200),
    "JobRequest": ("/v1/jobs", 202),
    "ValidationRequest": ("/v1/architectures/validate", 200),
    "SampleRequest": ("/v1/spaces/gcn-nas/sample", 200),
    "MutationRequest": ("/v1/spaces/gcn-nas/mutate", 200),
    "StudyRequest": ("/v1/studies", 201),
    "StudyImport": ("/v1/studies/import", 201),
    "ObservationsRequest": ("/v1/studies/{id}/observations", 200),
    "StudyPredictionRequest": ("/v1/studies/{id}/predictions", 200),
    "SuggestionRequest": ("/v1/studies/{id}/suggestions", 200),
}


@pytest.fixture(scope="module")
def document(client: httpx.Client) -> Any:
    return client.get("/openapi.json").json()


@pytest.fixture
def study(client: httpx.Client) -> Iterator[str]:
    """Id of a study; at the end all studies are deleted, so that examples can be created again."""
    body = {"name": "of-the-examples", "space": "gcn-nas", "sources": []}
    yield client.post("/v1/studies", json=body).json()["id"]
    for each in client.get("/v1/studies").json()["studies"]:
        client.delete(f"/v1/studies/{each['id']}")


def nodes(node: Any) -> Iterator[dict[str, Any]]:
    """Yield all objects of the document."""
    if isinstance(node, dict):
        yield node
    if isinstance(node, dict | list):
        for child in node.values() if isinstance(node, dict) else node:
            yield from nodes(child)


def test_openapi_lists_exactly_the_routes(document: Any) -> None:
    assert sorted(ROUTES) == sorted((path, method) for path, methods in document["paths"].items() for method in methods)
    names = [node["operationId"] for node in nodes(document) if "operationId" in node]
    assert len(names) == len(set(names)) == len(ROUTES)
    assert all(re.fullmatch("[a-z]+(_[a-z]+)*", name) for name in names)


@pytest.mark.parametrize(("path", "method"), ROUTES)
def test_openapi_describes_every_operation(path: str, method: str, document: Any) -> None:
    operation = document["paths"][path][method]
    assert operation["summary"]
    assert operation["description"]
    assert operation["tags"]
    assert all(parameter["schema"] for parameter in operation.get("parameters", ()))
    responses = operation["responses"]
    assert all(response["description"] for response in responses.values())
    problems = {status: response for status, response in responses.items() if int(status) >= 400}
    for response in problems.values():
        schema = response["content"]["application/problem+json"]["schema"]
        assert schema == {"$ref": "#/components/schemas/Problem"}
    expected = {"500"}
    if "{" in path:
        expected |= {"404", "422"}
    if operation.get("parameters"):
        expected |= {"422"}
    if "jobs" in path:
        expected |= {"503"}
    if "requestBody" in operation:
        expected |= {"400", "408", "413", "415", "422", "503"}
        assert operation["requestBody"]["required"]
    assert set(problems) >= expected
    if "202" in responses:
        assert responses["202"]["headers"]["Location"]["required"]


def test_openapi_references_are_defined(document: Any) -> None:
    assert document["openapi"].startswith("3.1")
    references = {node["$ref"] for node in nodes(document) if isinstance(node.get("$ref"), str)}
    assert references
    for reference in references:
        node = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]


def test_examples_match_their_schema(document: Any) -> None:
    with_examples = [node for node in nodes(document["components"]) if isinstance(node.get("examples"), list)]
    assert len(with_examples) > len(EXAMPLES)
    for schema in with_examples:
        validator = jsonschema_rs.Draft202012Validator({**schema, "components": document["components"]})
        for example in schema["examples"]:
            validator.validate(example)


def test_every_request_has_an_example(document: Any) -> None:
    bodies = [node["requestBody"]["content"]["application/json"] for node in nodes(document) if "requestBody" in node]
    assert {body["schema"]["$ref"].rsplit("/", 1)[1] for body in bodies} == set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_of_requests_succeed(name: str, document: Any, client: httpx.Client, study: str) -> None:
    path, status = EXAMPLES[name]
    path = path.format(id=study)
    examples = document["components"]["schemas"][name]["examples"]
    assert examples
    for example in examples:
        response = client.post(path, json=example)
        assert response.status_code == status, response.text
        assert "#/architectures/" not in response.text
