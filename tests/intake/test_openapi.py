"""The document says what the routes do: none without the other, and what is sent by it is answered as it says."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from config.rotation import LiveAccounts
from config.settings import Settings, load_settings
from tests.intake.conftest import TOKEN, FakeControl, Served, as_lines, record, serving
from worker.gateway import intake
from worker.gateway.operations import AsSent
from worker.gateway.state import Gateway

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
#: Cases an operation and mode; the order of a run is always the same.
CASES = 25


def document(served: Served) -> dict[str, Any]:
    """Return the document as anybody gets it."""
    found: dict[str, Any] = served.client.get("/v1/openapi.json", headers={"Authorization": ""}).json()
    return found


def test_every_route_is_in_the_document_and_nothing_else_is(served: Served) -> None:
    routes = intake.routes(
        Gateway(settings=served.settings, live=LiveAccounts(served.settings)), lambda account, store: FakeControl()
    )
    served_paths = {
        (method, route.path) for route in routes if isinstance(route, AsSent) for method in route.endpoint._operations
    }
    described = document(served)
    assert {(method.upper(), path) for path, found in described["paths"].items() for method in found} == served_paths
    assert len({found["operationId"] for path in described["paths"].values() for found in path.values()}) == len(
        served_paths
    )


def test_the_document_is_one_that_openapi_allows(served: Served) -> None:
    schema = schemathesis.openapi.from_dict(document(served))
    schema.validate()
    assert schema.specification.version.startswith("3.1")


def test_every_path_is_tried_with_each_method_that_is_not_there(served: Served) -> None:
    for path, found in document(served)["paths"].items():
        for method in {"GET", "POST", "PUT", "DELETE", "PATCH"} - {name.upper() for name in found}:
            answer = served.client.request(method, re.sub(r"\{\w+\}", "x", path))
            # A path with an id may be another path's too: `/v1/listings/cancel` names a listing.
            assert answer.status_code in {404, 405, 400}, (method, path)


def test_the_examples_of_the_document_are_good(served: Served) -> None:
    content = document(served)["paths"]["/v1/listings"]["post"]["requestBody"]["content"]
    [example] = content["application/json"]["examples"].values()
    assert served.post(example["value"]).status_code == 202
    assert served.lines(content["application/x-ndjson"]["example"].encode()).status_code == 200


def test_every_field_of_a_record_says_what_it_means(served: Served) -> None:
    schemas = document(served)["components"]["schemas"]
    for name in ("Listing", "Photo"):
        assert schemas[name]["additionalProperties"] is False
        assert [field for field, found in schemas[name]["properties"].items() if not found.get("description")] == []


class _Page(HTMLParser):
    """What a page links to, and the ids that are in it."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name in {"href", "src"}:
                self.links.append(value or "")
            if name == "id":
                self.ids.add(value or "")


def test_the_page_tells_every_operation_and_needs_nothing_from_elsewhere(served: Served) -> None:
    answer = served.client.get("/docs", headers={"Authorization": ""})
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    page = _Page()
    page.feed(answer.text)
    described = document(served)
    names = {found["operationId"] for path in described["paths"].values() for found in path.values()}
    assert names <= page.ids
    assert {f"schema-{name}" for name in described["components"]["schemas"]} <= page.ids
    assert {link.removeprefix("#") for link in page.links if link.startswith("#")} <= page.ids, "no link leads nowhere"
    assert {link for link in page.links if not link.startswith("#")} == {"/v1/openapi.json"}
    assert not page.tags & {"script", "img", "link", "iframe"}
    assert "<!--" not in answer.text


@pytest.fixture(scope="module")
def module_redis(redis_server: Any) -> str:
    """The URL of the Redis that all cases share."""
    url: str = redis_server.url
    return url


@pytest.fixture(scope="module")
def running(module_redis: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One gateway for all cases, with photos in every answer's reach."""
    folder = tmp_path_factory.mktemp("output")
    given_settings: Settings = load_settings(
        {
            "STAGECREW_REDIS_URL": module_redis,
            "STAGECREW_STORAGE_URL": folder.as_uri(),
            "STAGECREW_INTAKE_TOKENS": TOKEN,
        }
    )
    control = FakeControl({("listing-1042", "front"): "asked"})
    with serving(given_settings, control=control) as served:
        served.lines(as_lines(record("listing-1042", "front", "back")))
        yield served


OPERATIONS = [
    "enqueue", "listing", "listing_by_query", "photo", "photo_by_query", "regenerate", "regenerate_by_query",
    "cancel_photo", "cancel_listing", "cancel",
]  # fmt: skip


def test_all_operations_are_tried(running: Served) -> None:
    described = document(running)
    names = {found["operationId"] for path in described["paths"].values() for found in path.values()}
    assert names == set(OPERATIONS)


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("name", OPERATIONS)
def test_whatever_is_sent_is_answered_as_the_document_says(running: Served, name: str, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_url(f"{running.client.base_url}/v1/openapi.json")
    operation = schema.find_operation_by_id(name)

    @settings(
        max_examples=CASES, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: Any) -> None:
        case.call_and_validate(headers={"Authorization": f"Bearer {TOKEN}"}, checks=CHECKS)

    check()


@pytest.mark.parametrize(
    ("name", "status"),
    [("listing", 200), ("photo", 200), ("regenerate", 202), ("cancel_photo", 200), ("cancel_listing", 200)],
)
def test_an_answer_about_what_is_there_is_as_the_document_says(running: Served, name: str, status: int) -> None:
    schema = schemathesis.openapi.from_url(f"{running.client.base_url}/v1/openapi.json")
    operation = schema.find_operation_by_id(name)
    ids = {"listing_id": "listing-1042", "photo_id": "front"}
    case = operation.Case(
        path_parameters={found: value for found, value in ids.items() if f"{{{found}}}" in operation.path}
    )
    answer = case.call(headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == status
    case.validate_response(answer, checks=CHECKS)


def test_bytes_that_are_no_request_harm_nobody(running: Served) -> None:
    for nonsense in (
        b"\x16\x03\x01\x02\x00",
        b"GET\r\n\r\n",
        b"POST /v1/listings HTTP/1.1\r\nContent-Length: x\r\n\r\n",
    ):
        with socket.create_connection(running.address) as plain:
            plain.sendall(nonsense)
            plain.shutdown(socket.SHUT_WR)
            assert b"HTTP/1.1 5" not in plain.recv(1000)
    assert running.client.get("/v1/listings/listing-1042").status_code == 200
