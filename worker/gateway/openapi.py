"""The OpenAPI 3.1 document, made from the table of operations and the pydantic models that check and answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import models_json_schema

import worker
from worker.gateway.operations import Answer, Operation, Parameter

VERSION: Final = "3.1.1"
_REF: Final = "#/components/schemas/{model}"
_SECURITY: Final = "token"


def document(operations: Sequence[Operation]) -> dict[str, Any]:
    """Return the document of `operations`."""
    taken = [kind for operation in operations for kind, _ in operation.bodies.values() if kind is not None]
    given = list({answer.model for operation in operations for answer in operation.answers.values()})
    schemas = _schemas(taken, given)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": VERSION,
        "info": {
            "title": "stagecrew",
            "version": worker.__version__,
            "description": "Hands property photos over to be staged, each exactly once, and tells where they are. Ids "
            "may hold any character: in a path they are percent-encoded, slashes too (`%2F`). Where a proxy on the way "
            "decodes those, use the operations that take ids as query parameters.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{_SECURITY: []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                _SECURITY: {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "One of the gateway's STAGECREW_INTAKE_TOKENS.",
                }
            },
        },
    }


def _schemas(taken: Sequence[Any], given: Sequence[type[BaseModel]]) -> dict[str, Any]:
    _, made = models_json_schema([(model, "serialization") for model in given], ref_template=_REF)
    schemas: dict[str, Any] = dict(made["$defs"])
    for kind in taken:
        schemas |= TypeAdapter(kind).json_schema(ref_template=_REF, mode="validation").get("$defs", {})
    return dict(sorted(schemas.items()))


def _operation(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "description": operation.description,
        "parameters": [
            *(_parameter(parameter, "path") for parameter in operation.in_path),
            *(_parameter(parameter, "query") for parameter in operation.query),
        ],
        "responses": {str(int(status)): _answer(status, answer) for status, answer in operation.answers.items()},
    }
    if operation.bodies:
        described["requestBody"] = {
            "required": True,
            "content": {media_type: _body(kind, example) for media_type, (kind, example) in operation.bodies.items()},
        }
    return described


def _parameter(parameter: Parameter, where: str) -> dict[str, Any]:
    schema = TypeAdapter(parameter.type).json_schema()
    if parameter.default not in (None, ""):
        schema["default"] = parameter.default
    return {
        "name": parameter.name,
        "in": where,
        "required": parameter.required,
        "description": parameter.description,
        "schema": schema,
        "example": TypeAdapter(parameter.type).validate_strings(parameter.example),
    }


def _body(kind: Any, example: str) -> dict[str, Any]:
    if kind is None:
        # JSON Lines are a text to JSON Schema.
        return {"schema": {"type": "string", "description": "One record a line."}, "example": example}
    schema = TypeAdapter(kind).json_schema(ref_template=_REF, mode="validation")
    schema.pop("$defs", None)
    return {"schema": schema, "examples": {"one": {"value": TypeAdapter(Any).validate_json(example)}}}


def _answer(status: HTTPStatus, answer: Answer) -> dict[str, Any]:
    described: dict[str, Any] = {
        "description": answer.description,
        "content": {answer.media_type: {"schema": {"$ref": _REF.format(model=answer.model.__name__)}}},
    }
    header = _HEADERS.get(status)
    if header is not None:
        described["headers"] = {header[0]: {"required": True, "description": header[1], "schema": header[2]}}
    return described


_HEADERS: Final[Mapping[HTTPStatus, tuple[str, str, dict[str, Any]]]] = {
    HTTPStatus.TOO_MANY_REQUESTS: ("Retry-After", "Seconds to wait.", {"type": "integer", "minimum": 1}),
    HTTPStatus.SERVICE_UNAVAILABLE: ("Retry-After", "Seconds to wait.", {"type": "integer", "minimum": 1}),
    HTTPStatus.UNAUTHORIZED: ("WWW-Authenticate", "How to say who you are.", {"type": "string"}),
}
