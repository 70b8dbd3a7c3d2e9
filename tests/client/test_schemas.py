"""The client's documents agree with `docs/openapi.json` field by field."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from archrank_client import schemas
from pydantic import BaseModel

from tests.conftest import ROOT

Schema = dict[str, Any]
OPENAPI: Schema = json.loads((ROOT / "docs" / "openapi.json").read_text())
DOCUMENTS: dict[str, type[BaseModel]] = {
    "Problem": schemas.Problem,
    "PredictionResponse": schemas.PredictionResponse,
    "ScoreResponse": schemas.ScoreResponse,
    "ValidationResponse": schemas.ValidationResponse,
    "JobStatus": schemas.JobStatus,
    "JobList": schemas.JobList,
    "JobResults": schemas.JobResults[schemas.Prediction | schemas.Scores],
    "EnsembleCard": schemas.Ensemble,
    "Limits": schemas.Limits,
    "Sample": schemas.Sample,
}
"""The client's documents by the server's names of them."""
NOT_IN_CLIENT = {
    "PredictionResponse": {"win_probability", "ensemble", "ensemble_hash", "device", "probe_batch", "seconds"},
    "ScoreResponse": {"device", "probe_batch", "seconds"},
    "EnsembleCard": {"created_by", "settings", "batch", "batch_fingerprint", "features", "method"},
}
"""Fields that the client keeps without a type."""
Difference = tuple[str, str]
"""Path and kind of a difference."""


def differences(server: Schema, client: Schema, definitions: Schema, path: str = "") -> list[Difference]:
    """Compare two schemas: every server document has to be valid for the client, and neither has more fields.

    Args:
        server: schema in the OpenAPI document.
        client: schema of the client's document.
        definitions: definitions of the client's schema.
        path: path of both, for the result.
    """
    found: list[Difference] = []
    for option in alternatives(server, OPENAPI["components"]["schemas"]):
        candidates: list[list[Difference]] = [
            compare(option, other, definitions, path) for other in alternatives(client, definitions)
        ]
        closest: list[Difference] = min(candidates, key=len)
        found += closest
    return found


def alternatives(schema: Schema, definitions: Schema) -> Iterator[Schema]:
    """Yield the alternatives of a schema, with references resolved."""
    if "$ref" in schema:
        yield from alternatives(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    elif "anyOf" in schema:
        for option in schema["anyOf"]:
            yield from alternatives(option, definitions)
    else:
        yield schema


def compare(server: Schema, client: Schema, definitions: Schema, path: str) -> list[Difference]:
    """Compare two schemas without alternatives."""
    types = {kind.get("type", "string" if "enum" in kind else "any") for kind in (server, client)}
    if len(types) > 1 and not (server.get("type") == "integer" and client.get("type") == "number"):
        return [(path, f"{server.get('type')} for {client.get('type')}")] * 100  # no candidate of `differences`
    if server.get("format") != client.get("format"):
        return [(path, f"format {server.get('format')} for {client.get('format')}")]
    if "array" in types:
        items = server.get("prefixItems") or [server["items"]]
        return [found for item in items for found in differences(item, client["items"], definitions, f"{path}[]")]
    if "object" not in types:
        return []
    properties, known = server.get("properties"), client.get("properties")
    if properties is None:
        return compare_values(server, client, definitions, path)
    if known is None:  # a mapping
        values = client["additionalProperties"]
        return [
            found
            for name, field in properties.items()
            for found in differences(field, values, definitions, f"{path}.{name}")
        ]
    found = [(f"{path}.{name}", "not in the client") for name in properties.keys() - known.keys()]
    found += [(f"{path}.{name}", "not on the server") for name in known.keys() - properties.keys()]
    optional = set(client.get("required", [])) - set(server.get("required", []))
    found += [(f"{path}.{name}", "optional on the server") for name in optional & properties.keys()]
    for name in properties.keys() & known.keys():
        found += differences(properties[name], known[name], definitions, f"{path}.{name}")
    return found


def compare_values(server: Schema, client: Schema, definitions: Schema, path: str) -> list[Difference]:
    """Compare the values of two mappings."""
    values, known = server.get("additionalProperties", True), client.get("additionalProperties", True)
    if "properties" in client:
        return [(path, "mapping for fields")]
    if known is True:
        return []
    return [(path, "any value")] if values is True else differences(values, known, definitions, f"{path}.*")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_fields_agree(name: str) -> None:
    client = DOCUMENTS[name].model_json_schema()
    server = OPENAPI["components"]["schemas"][name]
    expected = {(f".{field}", "not in the client") for field in NOT_IN_CLIENT.get(name, ())}
    if name == "JobResults":  # one type of predictions, ranked or not
        expected.add((".results[].result.rank", "not on the server"))
    assert set(differences(server, client, client.get("$defs", {}))) == expected


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"accuracy": {"type": "string"}}, "string for number"),
        ({"new": {"type": "string"}}, "not in the client"),
        ({"interval": None}, "not on the server"),
    ],
)
def test_a_difference_is_noticed(change: dict[str, Any], difference: str) -> None:
    server = OPENAPI["components"]["schemas"]["Estimate"]
    properties = {name: field for name, field in {**server["properties"], **change}.items() if field is not None}
    client = schemas.Estimate.model_json_schema()
    found = differences({**server, "properties": properties}, client, client.get("$defs", {}))
    assert {kind for _, kind in found} == {difference}
