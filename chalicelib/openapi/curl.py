"""A line for curl that asks for an operation."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from chalicelib.openapi.samples import sample

Node = Mapping[str, Any]

_FORM = "multipart/form-data"
_CREDENTIALS = {
    "HockeyAppToken": "-H 'X-HockeyAppToken: TOKEN'",
    "Bearer": "-H 'Authorization: Bearer TOKEN'",
    "Token": "-H 'Authorization: Token TOKEN'",
    "Basic": "-u EMAIL:PASSWORD",
}


def curl(document: Node, method: str, path: str, operation: Node) -> str:
    """One line, with words in capitals where the reader's own values belong."""
    parts = ["curl"]
    if method not in {"GET", "POST"} or (method == "POST" and "requestBody" not in operation):
        parts.append(f"-X {method}")
    ways = [name for way in operation.get("security", []) for name in way]
    if ways:
        parts.append(_CREDENTIALS[ways[0]])
    parts += _body(document, operation.get("requestBody"))
    base = str(document["servers"][0]["url"])
    parts.append(shlex.quote(base + _path(path, operation) + _query(operation)))
    return " ".join(parts)


def _path(path: str, operation: Node) -> str:
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "path":
            name = parameter["name"]
            value = _first(parameter) or name.upper()
            path = path.replace(f"{{{name}}}", quote(str(value), safe=":"))
    return path


def _query(operation: Node) -> str:
    pairs = [
        f"{each['name']}={quote(str(value))}"
        for each in operation.get("parameters", [])
        if each["in"] == "query" and (value := _first(each)) is not None
    ]
    return f"?{'&'.join(pairs)}" if pairs else ""


def _first(parameter: Node) -> Any:
    examples = list(parameter.get("examples", {}).values())
    return examples[0]["value"] if examples else None


def _body(document: Node, body: Node | None) -> list[str]:
    if body is None:
        return []
    kind, content = next(iter(body["content"].items()))
    schema = content["schema"]
    example = content.get("example")
    known = schema.get("properties", {})
    if kind in {_FORM, "application/x-www-form-urlencoded"}:
        said = example or dict.fromkeys(_shown(schema))
        option = "-F" if kind == _FORM else "--data-urlencode"
        return [
            f"{option} {shlex.quote(f'{name}={_value(known.get(name, {}), value)}')}"
            for name, value in said.items()
        ]
    if kind == "application/json":
        value = example if example is not None else sample(document, schema)
        written = json.dumps(value, ensure_ascii=False)
        return [f"-H 'Content-Type: application/json' -d {shlex.quote(written)}"] if value else []
    return [f"-H 'Content-Type: {kind}' --data-binary @FILE"]


def _shown(schema: Node) -> list[str]:
    """The fields that must be there; else the first."""
    return list(schema.get("required") or list(schema.get("properties", {}))[:1])


def _value(schema: Node, value: Any) -> str:
    if value is not None:
        return str(value)
    return "@FILE" if schema.get("format") == "binary" else "..."
