"""`docs/api.md` is complete, and its links are valid."""

import re
from typing import Any

import pytest

from service.api.markdown import render_markdown
from service.app import create_app
from service.settings import Settings


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return create_app(Settings()).openapi()


def test_page_has_all_paths_parameters_responses_and_fields(document: dict[str, Any]) -> None:
    page = render_markdown(document)
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            section = page.split(f"## `{method.upper()} {path}`\n")[1].split("\n## ")[0]
            parameters = [parameter["name"] for parameter in operation.get("parameters", ())]
            for name in [*parameters, *operation["responses"]]:
                assert re.search(rf"^\| `?{name}`? \|", section, flags=re.MULTILINE), (method, path, name)
    for name, schema in document["components"]["schemas"].items():
        section = page.split(f"### {name}\n")[1].split("\n### ")[0]
        for field in schema.get("properties", ()):
            assert f"| `{field}` |" in section, (name, field)


def test_links_lead_to_headings(document: dict[str, Any]) -> None:
    page = render_markdown(document)
    titles = re.findall(r"^#+ (.*)$", page, flags=re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
    links = re.findall(r"\(#([^)]+)\)", page)
    assert links
    assert set(links) <= anchors


def test_types_limits_and_defaults() -> None:
    fields = {
        "many": {"type": "array", "items": {"type": "integer", "minimum": 1}, "maxItems": 3, "description": "a | b"},
        "either": {"anyOf": [{"enum": ["x", 2]}, {"$ref": "#/components/schemas/Other"}, {"type": "null"}]},
        "some": {"type": "number", "exclusiveMinimum": 0.0, "default": 1.5, "examples": [2.5]},
        "named": {"type": "object", "additionalProperties": {"type": "string", "minLength": 2}},
        "exactly": {"const": "y"},
    }
    schemas = {"Thing": {"properties": fields, "required": ["many"]}, "Other": {"description": "Another."}}
    page = render_markdown({"info": {"title": "t"}, "paths": {}, "components": {"schemas": schemas}})
    rows = {line.split(" | ")[0]: line for line in page.splitlines() if line.startswith("| `")}
    assert rows["| `many`"] == "| `many` | list of integer (at least 1) (at most 3 of them) | required | a \\| b |"
    assert rows["| `either`"] == '| `either` | `"x"` or `2` or [Other](#other) or null |  |  |'
    assert rows["| `some`"] == "| `some` | number (above 0) | `1.5` | e.g. `2.5` |"
    assert rows["| `named`"] == "| `named` | object of string (at least 2 characters) |  |  |"
    assert rows["| `exactly`"] == '| `exactly` | `"y"` |  |  |'
