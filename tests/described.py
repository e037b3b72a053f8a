"""Whether an answer is as the OpenAPI document says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import jsonschema_rs

from app import app
from chalicelib.openapi.document import document
from infra.router import Router

DOCUMENT = document(app.routes)
_ROUTER = Router(DOCUMENT["paths"])


def problem(
    method: str, path: str, status: int, headers: Mapping[str, str], body: bytes
) -> str | None:
    """What the document does not say of an answer; None when it is as declared.

    Header names are in lower case.
    """
    found = _ROUTER.find(path)
    route = found[0] if found else None
    operation = (
        DOCUMENT["paths"].get(route, {}).get(("GET" if method == "HEAD" else method).lower())
    )
    if operation is None:
        return None  # the server's own answers: 404, 405, a preflight
    responses = operation["responses"]
    where = f"{method} {route}: {status}"
    answer = responses.get(str(status), responses.get("default"))
    if answer is None:
        return f"{where} is not declared, but {', '.join(responses)}: {body[:300]!r}"
    content = answer.get("content", {})
    if "default" in responses or method == "HEAD":
        return None
    kind = headers.get("content-type", "").partition(";")[0].strip()
    if not content:
        return f"{where} has a body: {body[:300]!r}" if body else None
    if kind not in content:
        return f"{where} is {kind!r}, not of {', '.join(content)}"
    if kind != "application/json":
        return None
    validator = _validator(str(route), method, str(status))
    try:
        validator.validate(json.loads(body))
    except jsonschema_rs.ValidationError as error:
        at = "/".join(map(str, error.instance_path))
        return f"{where} is not of its schema at /{at}: {error.message[:500]}"
    return None


@cache
def _validator(route: str, method: str, status: str) -> Any:
    verb = "get" if method == "HEAD" else method.lower()
    answer = DOCUMENT["paths"][route][verb]["responses"][status]
    schema = answer["content"]["application/json"]["schema"]
    whole = {**schema, "components": DOCUMENT["components"]}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
