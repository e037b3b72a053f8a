"""The OpenAPI document: valid, whole, and true where it tells who may ask."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from openapi_spec_validator import validate

from app import app as application
from chalicelib.bootstrap import Services
from chalicelib.openapi import doors, search_syntax
from chalicelib.openapi.document import document, undeclared
from chalicelib.projects import check_name
from chalicelib.queries import lucene
from tests.described import DOCUMENT, problem
from tests.wsgi_client import get, request

_OPERATIONS = [
    (method.upper(), path, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]


def test_the_document_is_valid_openapi() -> None:
    validate(DOCUMENT)
    assert DOCUMENT["openapi"] == "3.1.0"


def test_every_route_is_in_the_document_and_nothing_else() -> None:
    routes = {(path, method) for path, methods in application.routes.items() for method in methods}
    assert {(path, method) for method, path, _ in _OPERATIONS} == routes


def test_every_route_takes_whatever_content_type_a_client_names() -> None:
    for path, methods in application.routes.items():
        for method, entry in methods.items():
            assert entry.content_types == ["*/*"], f"{method} {path}"


def test_every_route_is_declared_by_its_door() -> None:
    assert undeclared(application.routes) == []


def test_every_declaration_has_a_route() -> None:
    views = {
        f"{entry.view_function.__module__}.{entry.view_function.__name__}"
        for methods in application.routes.values()
        for entry in methods.values()
    }
    declared = {f"chalicelib.handlers.{name}" for door in doors.ALL for name in door.views}
    assert declared == views


def test_every_operation_says_what_it_is_about() -> None:
    for method, path, operation in _OPERATIONS:
        assert " " in operation["summary"], f"{method} {path}: give its view a docstring"


def test_every_variable_of_a_path_is_explained() -> None:
    for method, path, operation in _OPERATIONS:
        for parameter in operation.get("parameters", []):
            assert parameter.get("description"), f"{method} {path}: {parameter['name']}"


def test_no_two_doors_give_one_name_to_two_shapes() -> None:
    names = [name for door in doors.ALL for name in door.schemas]
    assert len(names) == len(set(names))


def test_every_shape_is_used() -> None:
    text = json.dumps(DOCUMENT)
    for name in DOCUMENT["components"]["schemas"]:
        assert f'"#/components/schemas/{name}"' in text, name


def _examples(node: Any, where: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Every written example with its schema: of shapes, parameters, bodies and answers."""
    if isinstance(node, dict):
        schema = node.get("schema", node)
        if isinstance(schema, dict):
            told = node.get("examples", [])
            values = [e["value"] for e in told.values()] if isinstance(told, dict) else told
            for value in [*values, *([node["example"]] if "example" in node else [])]:
                yield where, schema, value
        for name, inner in node.items():
            if name not in {"example", "examples"}:
                yield from _examples(inner, f"{where}/{name}")
    elif isinstance(node, list):
        for place, inner in enumerate(node):
            yield from _examples(inner, f"{where}/{place}")


def test_every_example_fits_its_schema() -> None:
    found = list(_examples(DOCUMENT))
    assert len(found) > 50
    for where, schema, value in found:
        whole = {**schema, "components": DOCUMENT["components"]}
        validator = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
        assert validator.is_valid(value), f"{where}: {value}"


# --- served -------------------------------------------------------------------


def test_the_document_is_served_with_the_address_it_was_asked_at(services: Services) -> None:
    headers = {"Host": "crashes.example.com", "X-Forwarded-Proto": "https"}
    answer = request("GET", "/openapi.json", headers=headers)
    assert answer.status == 200
    assert answer.json == {**DOCUMENT, "servers": [{"url": "https://crashes.example.com"}]}


def test_no_project_can_take_the_place_of_the_document_or_its_page() -> None:
    for name in ("openapi.json", "docs"):
        with pytest.raises(Exception, match=name):
            check_name(name)


def test_a_cold_start_pays_nothing_for_the_document() -> None:
    printing = "import app, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", printing], check=True, capture_output=True, text=True
    )
    assert not [name for name in done.stdout.split() if name.startswith("chalicelib.openapi")]


# --- the check of answers itself ---------------------------------------------------


_HISTOGRAM = "/api/2/apps/x/crashes/histogram"
_JSON = {"content-type": "application/json; charset=utf-8"}
_SOUND = b'{"status": "success", "histogram": [["2012-04-26", 25]]}'


@pytest.mark.parametrize(
    ("status", "headers", "body", "told"),
    [
        (200, _JSON, _SOUND, None),
        (418, _JSON, _SOUND, "not declared"),
        (200, {"content-type": "text/plain"}, _SOUND, "text/plain"),
        (200, _JSON, _SOUND.replace(b"25", b"-1"), "/histogram/0"),
        (200, _JSON, _SOUND.replace(b"04-26", b"04-31"), "/histogram/0"),
        (200, _JSON, _SOUND.replace(b"{", b'{"more": 1, '), "more"),
        (200, _JSON, b'{"status": "success"}', "histogram"),
    ],
)
def test_an_answer_that_is_not_as_declared_is_told(
    status: int, headers: dict[str, str], body: bytes, told: str | None
) -> None:
    found = problem("GET", _HISTOGRAM, status, headers, body)
    assert found is None if told is None else told in (found or "")


def test_a_route_without_a_declaration_is_told_and_still_described() -> None:
    def view() -> None:
        """Something new."""

    class Entry:
        view_function = staticmethod(view)

    routes = {"/new/{thing}": {"GET": Entry()}}
    (told,) = undeclared(routes)
    assert told.startswith("GET /new/{thing} (")
    operation = document(routes)["paths"]["/new/{thing}"]["get"]
    assert operation["summary"] == "Something new"
    assert [each["name"] for each in operation["parameters"]] == ["thing"]


# --- the syntax of searches ---------------------------------------------------------


def test_the_page_about_searches_shows_the_same_syntax() -> None:
    page = Path("docs/search.md").read_text()
    unwrapped = " ".join(page.split())
    for example in search_syntax.EXAMPLES:
        assert search_syntax.table_row(example) in page.splitlines()
    for note in search_syntax.NOTES:
        assert f"- {note}" in unwrapped


def test_every_query_that_is_shown_can_be_searched(services: Services) -> None:
    shown = [query for example in search_syntax.EXAMPLES for query in example.queries]
    assert len(shown) > 25
    for query in shown:
        lucene.parse(query)
    search = DOCUMENT["paths"]["/search"]["get"]
    (q,) = [each for each in search["parameters"] if each["name"] == "q"]
    assert [example["value"] for example in q["examples"].values()] == shown
    assert get("/search?q=ubuntu").status == 200
