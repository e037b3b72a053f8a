"""The OpenAPI 3.1 document of the app: its registered routes, and what is declared of them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chalicelib.openapi import doors, security
from chalicelib.openapi.declared import Answer, Body, Door, Operation, Parameter
from chalicelib.openapi.shared_shapes import BUSY_GATEWAY

Routes = Mapping[str, Mapping[str, Any]]
"""Chalice's `routes`: by path and method the entry with the view."""

_HANDLERS = "chalicelib.handlers."
_VARIABLE = re.compile(r"\{(\w+)\}")
_TITLE = "Crashbucket"
_VERSION = "2"
_ABOUT = "\n\n".join(
    [
        "Takes crashes from the SDKs and uploaders that apps already ship, puts those that share a "
        "cause into one bucket, and answers the APIs that came with them.",
        "Uploading a crash needs no credentials. Elsewhere a token (of `crashbucket token create`, "
        "or of a sign-in) is good at every API and in either header: `X-HockeyAppToken: TOKEN`, "
        "`Authorization: Bearer TOKEN`, `Authorization: Token TOKEN`.",
        "A slash at the end of a path does not matter. `HEAD` is answered wherever `GET` is by the "
        "embedded server, and `OPTIONS` where a browser may ask from another site. Bodies may be "
        "sent with `Content-Encoding: gzip` or `deflate`.",
    ]
)


_ANYWHERE = {503: BUSY_GATEWAY}  # where a door says nothing of it


@dataclass(frozen=True, slots=True)
class Declared:
    """A route with what is declared of its view: the door, and None where nothing is."""

    path: str
    method: str
    name: str
    view: Callable[..., Any]
    door: Door | None
    operation: Operation | None


def walk(routes: Routes) -> Iterator[Declared]:
    """Every route of the app, with its declaration."""
    known = {name: door for door in doors.ALL for name in door.views}
    for path, methods in routes.items():
        for method, entry in methods.items():
            view = entry.view_function
            name = f"{view.__module__.removeprefix(_HANDLERS)}.{view.__name__}"
            door = known.get(name)
            operation = door.views[name] if door else None
            yield Declared(path, method, name, view, door, operation)


def document(routes: Routes) -> dict[str, Any]:
    """The whole document, but for `servers`, which each request knows for itself."""
    paths: dict[str, dict[str, Any]] = {}
    taken: set[str] = set()
    for route in walk(routes):
        shaped = _operation(route)
        shaped["operationId"] = _unique(route, taken)
        taken.add(shaped["operationId"])
        paths.setdefault(route.path, {})[route.method.lower()] = shaped
    schemas = {name: schema for door in doors.ALL for name, schema in door.schemas.items()}
    return {
        "openapi": "3.1.0",
        "info": {"title": _TITLE, "version": _VERSION, "description": _ABOUT},
        "tags": [_tag(door) for door in doors.ALL],
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": dict(security.SCHEMES)},
    }


def _tag(door: Door) -> dict[str, Any]:
    told: dict[str, Any] = {"name": door.name, "description": door.description}
    return told if door.url is None else {**told, "externalDocs": {"url": door.url}}


def _operation(route: Declared) -> dict[str, Any]:
    summary, description = _said(route.view)
    shaped: dict[str, Any] = {"summary": summary or route.name}
    if description:
        shaped["description"] = description
    variables = [_variable(route.door, name) for name in _VARIABLE.findall(route.path)]
    operation = route.operation
    if route.door is None or operation is None:
        shaped["parameters"] = [_parameter(each) for each in variables]
        return {**shaped, "responses": {"default": {"description": "not described"}}}
    shaped["tags"] = [route.door.name]
    if operation.deprecated:
        shaped["deprecated"] = True
    shaped["security"] = security.requirement(operation.security, operation.scope)
    parameters = [_parameter(each) for each in (*variables, *operation.parameters)]
    if parameters:
        shaped["parameters"] = parameters
    if operation.body is not None:
        shaped["requestBody"] = _body(operation.body)
    shaped["responses"] = {
        str(status): _answer(answer)
        for status, answer in sorted({**_ANYWHERE, **operation.answers}.items())
    }
    return shaped


def _said(view: Callable[..., Any]) -> tuple[str, str]:
    """Summary and description: a docstring's first sentence, and the rest of it."""
    paragraphs = (inspect.getdoc(view) or "").split("\n\n")
    first = " ".join(paragraphs[0].split())
    # The first line where it is short; else as far as its first stop.
    sentence, stop, rest = first.partition(". ")
    summary = f"{sentence}{stop.strip()}".rstrip(".")
    return summary, "\n\n".join(part for part in (rest, *paragraphs[1:]) if part)


def _unique(route: Declared, taken: set[str]) -> str:
    """The view's name; with the method and path where a view answers several."""
    plain = route.name.replace(".", "_")
    if plain not in taken:
        return plain
    slug = re.sub(r"\W+", "_", route.path).strip("_")
    return f"{plain}_{route.method.lower()}_{slug}"


def _variable(door: Door | None, name: str) -> Parameter:
    known = (door.variables if door else {}).get(name)
    return known or Parameter(name, "", {"type": "string"}, "path", required=True)


def _parameter(parameter: Parameter) -> dict[str, Any]:
    shaped: dict[str, Any] = {
        "name": parameter.name,
        "in": parameter.where,
        "required": parameter.required or parameter.where == "path",
        "schema": dict(parameter.schema),
    }
    if parameter.description:
        shaped["description"] = parameter.description
    if parameter.examples:
        shaped["examples"] = {
            f"{parameter.name}-{place}": {"summary": said, "value": value}
            for place, (said, value) in enumerate(parameter.examples, 1)
        }
    return shaped


def _content(content: Mapping[str, Any], example: Any) -> dict[str, Any]:
    shaped: dict[str, Any] = {kind: {"schema": dict(schema)} for kind, schema in content.items()}
    if example is not None:
        next(iter(shaped.values()))["example"] = example
    return shaped


def _body(body: Body) -> dict[str, Any]:
    shaped: dict[str, Any] = {
        "required": body.required,
        "content": _content(body.content, body.example),
    }
    return {**shaped, "description": body.description} if body.description else shaped


def _answer(answer: Answer) -> dict[str, Any]:
    shaped: dict[str, Any] = {"description": answer.description}
    if answer.headers:
        shaped["headers"] = {
            name: {"description": told, "schema": {"type": "string"}}
            for name, told in answer.headers.items()
        }
    if answer.content:
        shaped["content"] = _content(answer.content, answer.example)
    return shaped


def undeclared(routes: Routes) -> Sequence[str]:
    """Routes of which nothing is declared: `METHOD PATH (MODULE.VIEW)`."""
    return [f"{r.method} {r.path} ({r.name})" for r in walk(routes) if r.operation is None]
