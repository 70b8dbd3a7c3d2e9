"""Conversion of the OpenAPI document to Markdown, for `docs/api.md`."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

Json = Mapping[str, Any]
LIMITS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} of them",
    "maxItems": "at most {} of them",
    "pattern": "matches `{}`",
    "format": "{}",
}
HEAD = "<!-- Written by `make openapi` from the program; change the program instead. -->\n"


def render_markdown(document: Json) -> str:
    """Render the paths in the document's order, then the schemas by name."""
    parts = [
        HEAD,
        f"# The HTTP API of {document['info']['title']}\n",
        "[openapi.json](openapi.json) is the OpenAPI document.\n",
    ]
    operations = [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    parts.append(_table(("method and path", "summary"), map(_summary, operations)))
    schemas: Json = document["components"]["schemas"]
    for method, path, operation in operations:
        parts += _operation(f"{method.upper()} {path}", operation, schemas)
    parts.append("## Schemas\n")
    for name in sorted(schemas):
        parts += _schema(name, schemas[name])
    return "\n".join(parts)


def _summary(entry: tuple[str, str, Json]) -> tuple[str, str]:
    method, path, operation = entry
    title = f"{method.upper()} {path}"
    return f"[`{title}`](#{anchor(title)})", _cell(operation.get("description", "").split("\n\n")[0])


def _operation(title: str, operation: Json, schemas: Json) -> Iterator[str]:
    yield f"## `{title}`\n"
    if "description" in operation:
        yield operation["description"] + "\n"
    if parameters := operation.get("parameters"):
        fields = [{"description": parameter.get("description", ""), **parameter["schema"]} for parameter in parameters]
        rows: list[Sequence[str]] = [
            (f"`{parameter['name']}`", parameter["in"], *_field(field, parameter.get("required", False)))
            for parameter, field in zip(parameters, fields, strict=True)
        ]
        yield _table(("parameter", "in", "type", "default", "meaning"), rows)
    if body := operation.get("requestBody"):
        schema = body["content"]["application/json"]["schema"]
        yield f"Body: {_type(schema)}\n"
        for example in schemas.get(_name(schema), {}).get("examples", [])[:1]:
            yield _code(example)
    rows = [
        (status, _cell(response["description"]), _content(response), _headers(response))
        for status, response in operation["responses"].items()
    ]
    yield _table(("status", "description", "body", "headers"), rows)


def _schema(name: str, schema: Json) -> Iterator[str]:
    yield f"### {name}\n"
    if "description" in schema:
        yield schema["description"] + "\n"
    if fields := schema.get("properties"):
        required = schema.get("required", ())
        yield _table(
            ("field", "type", "default", "meaning"),
            [(f"`{name}`", *_field(field, name in required)) for name, field in fields.items()],
        )


def _field(schema: Json, required: bool) -> tuple[str, str, str]:
    """Return the cells of a field: type with limits, default, and meaning."""
    default = "required" if required else f"`{json.dumps(schema['default'])}`" if "default" in schema else ""
    meaning = [
        schema.get("description"),
        *(f"e.g. `{json.dumps(example)}`" for example in schema.get("examples", [])[:1]),
    ]
    return _cell(_limited(schema)), default, _cell(", ".join(filter(None, meaning)))


def _type(schema: Json) -> str:
    if "$ref" in schema:
        return f"[{_name(schema)}](#{anchor(_name(schema))})"
    for keyword in ("anyOf", "oneOf", "allOf"):
        if keyword in schema:
            return " or ".join(map(_limited, schema[keyword]))
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if "enum" in schema:
        return " or ".join(f"`{json.dumps(value)}`" for value in schema["enum"])
    kind = schema.get("type", "any JSON")
    if kind == "array":
        inner: Sequence[Json] = schema.get("prefixItems") or [schema.get("items", {})]
        return f"list of {', '.join(map(_limited, inner))}"
    if kind == "object" and isinstance(values := schema.get("additionalProperties"), dict) and values:
        return f"object of {_limited(values)}"
    return str(kind)


def _limited(schema: Json) -> str:
    limits = ", ".join(_limits(schema))
    return f"{_type(schema)} ({limits})" if limits else _type(schema)


def _limits(schema: Json) -> list[str]:
    if "prefixItems" in schema:  # their number is fixed
        return []
    return [text.format(_number(schema[name])) for name, text in LIMITS.items() if name in schema]


def _number(limit: Any) -> Any:
    return int(limit) if isinstance(limit, float) and limit.is_integer() else limit


def _content(response: Json) -> str:
    return "; ".join(
        " ".join(filter(None, (_type(content["schema"]) if content.get("schema") else "", f"`{media_type}`")))
        for media_type, content in response.get("content", {}).items()
    )


def _headers(response: Json) -> str:
    return "; ".join(
        f"`{name}`: {_cell(header.get('description', ''))}" for name, header in response.get("headers", {}).items()
    )


def _name(schema: Json) -> str:
    return str(schema.get("$ref", "")).rsplit("/", 1)[-1]


def anchor(title: str) -> str:
    """Return the anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _code(example: Any) -> str:
    """Format an example as indented JSON, with innermost lists on one line."""
    text = json.dumps(example, indent=2)
    text = re.sub(r"\[\s*([^\[\]{}]*?)\s*\]", lambda match: f"[{' '.join(match[1].split())}]", text)
    return f"```json\n{text}\n```\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Format a table without its empty columns."""
    filled = list(rows)
    used = [i for i in range(len(head)) if any(row[i] for row in filled)]
    lines = [[head[i] for i in used], ["---"] * len(used), *([row[i] for i in used] for row in filled)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
