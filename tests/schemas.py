"""Holds a completion message against the schema that users have of it, and against nothing but that."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from worker.sinks.document import FOLDER


@cache
def _validator(kind: str) -> Draft202012Validator:
    file = FOLDER / f"{kind}.schema.json"
    assert file.exists(), f"{kind} has no schema: add it to worker/sinks/schemas.py and run `make docs`"
    schema = _closed(json.loads(file.read_text("utf-8")))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def _closed(schema: Any) -> Any:
    """Return the schema with no room for fields that it does not name: each field that is sent is documented."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(value) for name, value in schema.items()}
    return closed | {"additionalProperties": False} if isinstance(schema.get("properties"), dict) else closed


def hold(event: Mapping[str, Any]) -> None:
    """Fail when a message is not as its schema says, or says more."""
    troubles = [f"{error.json_path}: {error.message}" for error in _validator(event["type"]).iter_errors(event)]
    assert troubles == [], f"{event['type']}: {troubles}"
