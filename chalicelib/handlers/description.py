"""What the service says of itself: OpenAPI's document, and a page of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from chalice.app import Blueprint, Request, Response

from chalicelib.handlers.common import ANY_TYPE, services
from chalicelib.handlers.public_url import public_url

routes = Blueprint(__name__)


@routes.route("/openapi.json", methods=["GET"], content_types=ANY_TYPE, cors=True)
def openapi() -> Response:
    """This document, with the URL that the request came by as its server."""
    body = json.dumps(_described(), ensure_ascii=False)
    return Response(
        body,
        status_code=200,
        headers={"Content-Type": "application/json; charset=utf-8", "Cache-Control": "no-cache"},
    )


@routes.route("/docs", methods=["GET"], content_types=ANY_TYPE)
def docs() -> Response:
    """The document as a page, with the syntax of searches; it works without scripts and fetches
    nothing."""
    from chalicelib.openapi import page  # noqa: PLC0415 - only for whoever looks

    headers: dict[str, str | list[str]] = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": page.CONTENT_SECURITY_POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }
    return Response(page.html(_described()), status_code=200, headers=headers)


def _described() -> dict[str, Any]:
    request = routes.current_request
    assert isinstance(request, Request)
    base = public_url(request, services().settings.base_url)
    return {**_document(), "servers": [{"url": base}]}


@lru_cache(maxsize=1)
def _document() -> Mapping[str, Any]:
    """Made once in a process, by whoever asks first."""
    from chalicelib.openapi.document import document  # noqa: PLC0415

    return document(routes.current_app.routes)
