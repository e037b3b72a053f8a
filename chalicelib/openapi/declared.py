"""What the code alone cannot tell about a route: parameters, bodies, answers, who may ask.

Each door has a module that declares it for its views; `document` walks the app's routes and
puts the two together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from chalicelib.access import Scope

Schema: TypeAlias = Mapping[str, Any]
"""A JSON Schema (2020-12), as OpenAPI 3.1 takes it."""

Security: TypeAlias = Sequence[str]
"""Names of security schemes, of which one is needed; with an empty name none is."""

JSON = "application/json"
PLAIN = "text/plain"
XML = "text/xml"
HTML = "text/html"
BYTES = "application/octet-stream"
FORM = "multipart/form-data"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a query, a path or a header; `examples` are values that work."""

    name: str
    description: str
    schema: Schema
    where: Literal["query", "path", "header"] = "query"
    required: bool = False
    examples: Sequence[tuple[str, Any]] = ()
    """Each with what it does."""


@dataclass(frozen=True, slots=True)
class Body:
    """A request's body, by content type; `example` is one of the first type."""

    content: Mapping[str, Schema]
    description: str = ""
    required: bool = True
    example: Any = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A response; headers with what they say. No content: an empty body."""

    description: str
    content: Mapping[str, Schema] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    example: Any = None


Answers: TypeAlias = Mapping[int, Answer]


@dataclass(frozen=True, slots=True)
class Operation:
    """What is declared of a view; its summary is the first sentence of the view's docstring."""

    answers: Answers
    parameters: Sequence[Parameter] = ()
    body: Body | None = None
    security: Security = ()
    scope: Scope | None = None
    """What the credentials have to cover, where any are asked for."""
    deprecated: bool = False


@dataclass(frozen=True, slots=True)
class Door:
    """An API: its name, what it is, and its views as `MODULE.VIEW` below the handlers."""

    name: str
    description: str
    views: Mapping[str, Operation]
    schemas: Mapping[str, Schema]
    """Components that its shapes refer to by name."""
    variables: Mapping[str, Parameter] = field(default_factory=dict)
    """What variables of paths are, at this door."""
    url: str | None = None
    """Where the API that it speaks was described by its makers."""


# --- shapes --------------------------------------------------------------

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
INTEGER: Schema = {"type": "integer"}
COUNT: Schema = {"type": "integer", "minimum": 0}
FLAG: Schema = {"type": "boolean"}
URL: Schema = {"type": "string", "format": "uri"}
FILE: Schema = {"type": "string", "format": "binary"}
ANYTHING: Schema = {}
OBJECT: Schema = {"type": "object"}
TIME: Schema = {"type": "string", "format": "date-time"}
"""With its zone: `2012-04-26T09:18:03Z`."""
DAY: Schema = {"type": "string", "format": "date"}
TEXTS: Schema = {"type": "array", "items": {"type": "string"}}
ID: Schema = {"type": "integer", "minimum": 1, "maximum": 2**53 - 1}
"""A report, a group, a version: in time order, and a double holds it."""


def record(
    required: Mapping[str, Schema] | None = None,
    optional: Mapping[str, Schema] | None = None,
    **more: Schema,
) -> Schema:
    """An object with exactly these properties: those in `optional` may be left out."""
    needed = {**(required or {}), **more}
    return {
        "type": "object",
        "properties": {**needed, **(optional or {})},
        "required": list(needed),
        "additionalProperties": False,
    }


def fields(**known: Schema) -> Schema:
    """What a client may send: all may be left out, and others are let pass."""
    return {"type": "object", "properties": known}


def open_record(**needed: Schema) -> Schema:
    """An object with these properties and any others."""
    return {"type": "object", "properties": needed, "required": list(needed)}


def array(of: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": of, **more}


def mapping(of: Schema) -> Schema:
    """An object of which the keys are data."""
    return {"type": "object", "additionalProperties": of}


def either(*schemas: Schema) -> Schema:
    return {"anyOf": list(schemas)}


def nullable(schema: Schema) -> Schema:
    kind = schema.get("type")
    if isinstance(kind, str) and "enum" not in schema:
        return {**schema, "type": [kind, "null"]}
    return either(schema, {"type": "null"})


def const(value: Any) -> Schema:
    return {"const": value}


def words(*known: Any) -> Schema:
    return {"enum": list(known)}


def described(schema: Schema, text: str) -> Schema:
    return {**schema, "description": text}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


# --- answers -------------------------------------------------------------


def json(description: str, schema: Schema, *, example: Any = None, **headers: str) -> Answer:
    """JSON; headers are named with underscores."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Answer(description, {JSON: schema}, named, example)


def text(description: str, example: str | None = None) -> Answer:
    return Answer(description, {PLAIN: TEXT}, example=example)
