"""What every door needs: the request's parts, who asks, and answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from chalice.app import Request, Response

from chalicelib import forms
from chalicelib.bootstrap import Services, services
from chalicelib.errors import PayloadTooLarge
from chalicelib.forms import Form
from chalicelib.http_body import inflate

ANY_TYPE = ["*/*"]
"""Content types of a route that takes whatever a client sends."""

BODY_ABOVE = "bodyAbove"
"""In a request's context: its body had more bytes than this limit, and was not handed on."""

TELLS_OF_LARGE_BODIES: set[str] = set()
"""Routes that answer such a request themselves, to name the way that large dumps take. For all
others the server in front does."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request as a door sees it: body inflated and bounded, form parsed."""

    method: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    form: Form

    def header(self, name: str) -> str:
        return self.headers.get(name) or ""

    def parameter(self, name: str) -> str | None:
        """A parameter from the query or, as some clients send it, from the form."""
        value = self.query.get(name)
        if value is None and name in self.form:
            value = self.form.text(name)
        return value

    @property
    def token(self) -> str | None:
        """The token in `X-HockeyAppToken`, `Authorization: Bearer` or `Authorization: Token`, at
        every door alike."""
        direct = self.header("x-hockeyapptoken").strip()
        if direct:
            return direct
        kind, _, value = self.header("authorization").partition(" ")
        return value.strip() or None if kind.lower() in {"bearer", "token"} else None


def incoming(
    request: Request,
    *,
    with_form: bool = True,
    coding_of: Callable[[bytes, str | None], str | None] = lambda _, named: named,
) -> Incoming:
    """The request; without `with_form` its body is no form, whatever its type says (curl -d).

    `coding_of` gives the coding of a body, of which the header names one or none.
    Raises `PayloadTooLarge` or `InvalidRequest` for a body that cannot be taken.
    """
    headers = request.headers
    body = request.raw_body or b""
    if isinstance(body, str):  # a body that API Gateway took for text
        body = body.encode()
    limit = services().settings.max_body_bytes
    too_large = request.context.get(BODY_ABOVE)
    if too_large is not None:
        raise PayloadTooLarge("body", None, int(too_large))
    body = inflate(body, coding_of(body, headers.get("content-encoding")), limit)
    return Incoming(
        method=request.method,
        headers=headers,
        query=dict(request.query_params or {}),
        body=body,
        form=forms.parse(headers.get("content-type"), body) if with_form else Form(),
    )


def json_answer(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(
        json.dumps(body, ensure_ascii=False),
        status_code=status,
        headers={"Content-Type": "application/json; charset=utf-8", **(headers or {})},
    )


def text_answer(
    body: str, status: int = 200, content_type: str = "text/plain; charset=utf-8"
) -> Response:
    headers: dict[str, str | list[str]] = {
        "Content-Type": content_type,
        "X-Content-Type-Options": "nosniff",  # what a stranger wrote is no page, however it looks
    }
    return Response(body, status_code=status, headers=headers)


__all__ = ["ANY_TYPE", "Incoming", "Services", "incoming", "json_answer", "services", "text_answer"]
