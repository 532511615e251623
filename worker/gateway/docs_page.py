"""The page at `/docs`: the OpenAPI document as one self-contained page of text. No script, nothing from elsewhere."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any


def page(document: Mapping[str, Any]) -> str:
    """Return the page of an OpenAPI document as `openapi.py` makes it; all text is escaped."""
    operations = [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    parts = {
        "title": _text(f"{document['info']['title']} {document['info']['version']}"),
        "description": _prose(document["info"]["description"]),
        "contents": "".join(_entry(method, path, operation) for method, path, operation in operations),
        "operations": "".join(_operation(method, path, operation) for method, path, operation in operations),
        "schemas": "".join(_schema(name, schema) for name, schema in document["components"]["schemas"].items()),
    }
    frame = (files("worker.gateway") / "docs.html").read_text(encoding="utf-8")
    # In one pass, so that nothing in a part can stand for another part.
    return re.sub(r"<!--(\w+)-->", lambda found: parts[found[1]], frame)


def _entry(method: str, path: str, operation: Mapping[str, Any]) -> str:
    name = _text(operation["operationId"])
    return (
        f'<li><a href="#{name}"><b class="{_text(method)}">{_text(method.upper())}</b> <code>{_text(path)}</code></a> '
        f"{_text(operation['summary'])}</li>"
    )


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    head = (
        f'<section id="{_text(operation["operationId"])}"><h2><b class="{_text(method)}">{_text(method.upper())}</b> '
        f"<code>{_text(path)}</code></h2><p><strong>{_text(operation['summary'])}.</strong> "
        f"{_prose(operation['description'])}</p>"
    )
    parts = [head]
    if operation["parameters"]:
        rows = "".join(_parameter(parameter) for parameter in operation["parameters"])
        parts.append(f"<table><tr><th>parameter<th>in<th>what<th>example</tr>{rows}</table>")
    for media_type, body in operation.get("requestBody", {}).get("content", {}).items():
        parts.append(f"<p>Body, <code>{_text(media_type)}</code>: {_kind(body['schema'])}</p>")
        parts.append(f"<pre>{_text(_example(body))}</pre>")
    rows = "".join(_answer(status, found) for status, found in sorted(operation["responses"].items()))
    parts.append(f"<table><tr><th>answer<th>means<th>body</tr>{rows}</table></section>")
    return "".join(parts)


def _parameter(parameter: Mapping[str, Any]) -> str:
    name = _text(parameter["name"])
    asked = f"<code>{name}</code>" + ("" if parameter["required"] else " (may be left out)")
    example = parameter["example"]
    shown = example if isinstance(example, str) else json.dumps(example)
    what = f"{_prose(parameter['description'])} {_limits(parameter['schema'])}"
    return f"<tr><td>{asked}<td>{_text(parameter['in'])}<td>{what}<td><code>{_text(shown)}</code></tr>"


def _answer(status: str, found: Mapping[str, Any]) -> str:
    kinds = ", ".join(_kind(content["schema"]) for content in found["content"].values())
    return f"<tr><td>{_text(status)}<td>{_prose(found['description'])}<td>{kinds}</tr>"


def _schema(name: str, schema: Mapping[str, Any]) -> str:
    parts = [f'<section id="schema-{_text(name)}"><h3>{_text(name)}</h3>']
    if "description" in schema:
        parts.append(f"<p>{_prose(schema['description'])}</p>")
    if "enum" in schema:
        parts.append("<p>" + ", ".join(f"<code>{_text(str(value))}</code>" for value in schema["enum"]) + "</p>")
    if "properties" in schema:
        needed = schema.get("required", [])
        rows = "".join(
            f"<tr><td><code>{_text(field)}</code>{'' if field in needed else ' (may be left out)'}"
            f"<td>{_kind(inner)}<td>{_prose(inner.get('description', ''))} {_limits(inner)}</tr>"
            for field, inner in schema["properties"].items()
        )
        parts.append(f"<table><tr><th>field<th>kind<th>what</tr>{rows}</table>")
    return "".join(parts) + "</section>"


def _kind(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        name = _text(schema["$ref"].rpartition("/")[2])
        return f'<a href="#schema-{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(_kind(inner) for inner in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(f"<code>{_text(str(value))}</code>" for value in schema["enum"])
    kind = schema.get("type", "any value")
    if kind == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), Mapping):
        return f"object of {_kind(schema['additionalProperties'])}"
    return _text(schema.get("format", kind))


def _limits(schema: Mapping[str, Any]) -> str:
    names = {"minimum": "from", "maximum": "to", "minItems": "at least", "maxLength": "at most", "default": "default"}
    said = [f"{word} {schema[name]!r}" for name, word in names.items() if schema.get(name) is not None]
    return f"<small>({_text(', '.join(said))})</small>" if said else ""


def _example(body: Mapping[str, Any]) -> str:
    if "example" in body:
        return str(body["example"])
    return json.dumps(body["examples"]["one"]["value"], indent=2)


def _prose(text: str) -> str:
    """Return text in which what stands in backticks is code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", _text(" ".join(text.split())))


def _text(text: str) -> str:
    return html.escape(text)
