"""The Chalice app behind a WSGI server, called as API Gateway would call it."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, quote

from chalice.app import Chalice

from chalicelib.correlation import HEADER, of_client, take_up
from chalicelib.handlers.common import BODY_ABOVE, TELLS_OF_LARGE_BODIES
from infra.router import Router
from infra.signed_links import SignedLinks
from infra.wire import Answer, Refused, body_of, content_length

_log = logging.getLogger(__name__)
_STATUS = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}
_MAX_QUERY_FIELDS = 1000  # far above what any client sends; bounds the work of parsing
_CONTROL = dict.fromkeys((*range(32), 127), " ")

StartResponse = Callable[..., Any]


class WsgiApp:
    """Turns each request into an API Gateway event (REST, Lambda proxy) and the answer back.

    `links` serves what is below `/blobs/`, which on AWS goes to S3 and never
    comes to the app.
    """

    def __init__(self, app: Chalice, max_body_bytes: int, links: SignedLinks | None = None) -> None:
        self._app = app
        self._router = Router(app.routes)
        self._methods = {route: frozenset(entries) for route, entries in app.routes.items()}
        self._cors = {
            route: next((e.cors for e in entries.values() if e.cors), None)
            for route, entries in app.routes.items()
        }
        self._max_body_bytes = max_body_bytes
        self._links = links

    def __call__(self, environ: Mapping[str, Any], start_response: StartResponse) -> list[bytes]:
        request_id = of_client(environ.get("HTTP_X_REQUEST_ID"))
        take_up(request_id)
        try:
            status, headers, body = self._answer(environ, request_id)
        except Refused as refused:
            status, headers, body = _message(refused.status, str(refused))
        except Exception:  # whatever breaks, the client gets an answer
            _log.exception("%s %s", environ.get("REQUEST_METHOD"), environ.get("PATH_INFO"))
            status, headers, body = _message(500, "internal error")
        take_up("")
        if not any(name == HEADER for name, _ in headers):
            headers.append((HEADER, request_id))
        headers.append(("Content-Length", str(len(body))))
        start_response(_STATUS.get(status, f"{status} Unknown"), headers)
        return [b"" if environ.get("REQUEST_METHOD") == "HEAD" else body]

    def _answer(self, environ: Mapping[str, Any], request_id: str) -> Answer:
        path = _path(environ)
        if self._links is not None and path.startswith("/blobs/"):
            return self._links.answer(path, environ)
        found = self._router.find(path)
        if found is None:
            raise Refused(404, f"there is nothing at {path[:200]}")
        route, variables = found
        method = str(environ["REQUEST_METHOD"])
        wanted = "GET" if method == "HEAD" else method
        if wanted not in self._methods[route]:
            if wanted == "OPTIONS" and self._cors[route] is not None:
                return self._preflight(route)
            allowed = ", ".join(sorted(self._methods[route]))
            return _message(405, f"use {allowed}", [("Allow", allowed)])
        told: dict[str, Any] = {}
        try:
            body = body_of(environ, self._max_body_bytes)
        except Refused as refused:
            is_large = refused.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            if not (is_large and route in TELLS_OF_LARGE_BODIES):
                raise
            body, told[BODY_ABOVE] = b"", self._max_body_bytes
        try:
            event = _event(environ, path, route, wanted, variables, body)
        except ValueError:
            return _message(400, "the query has too many parameters")
        event["requestContext"].update(told, requestId=request_id)
        return _response(self._app(event, None))

    def _preflight(self, route: str) -> Answer:
        """What API Gateway's own OPTIONS method answers for a route with CORS."""
        cors = self._cors[route]
        assert cors is not None
        headers = [(name, str(value)) for name, value in cors.get_access_control_headers().items()]
        methods = ",".join(sorted({*self._methods[route], "OPTIONS"}))
        return 200, [*headers, ("Access-Control-Allow-Methods", methods)], b""


def _path(environ: Mapping[str, Any]) -> str:
    """The path as the client wrote it, if the server says; else what WSGI decoded, quoted again.

    Granian does not say, so that behind it `%2F` in a path is a separator.
    """
    raw = environ.get("RAW_URI") or environ.get("REQUEST_URI")
    if raw:
        return str(raw).partition("?")[0]
    decoded = str(environ.get("PATH_INFO") or "/")
    return quote(decoded.encode("latin-1", "replace"), safe="/:@!$&'()*+,;=~")


def _event(
    environ: Mapping[str, Any],
    path: str,
    route: str,
    method: str,
    variables: dict[str, str],
    body: bytes,
) -> dict[str, Any]:
    headers: dict[str, str] = {
        name[5:].replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    if environ.get("CONTENT_TYPE"):
        headers["content-type"] = environ["CONTENT_TYPE"]
    if (length := content_length(environ)) is not None:
        headers["content-length"] = str(length)
    headers.setdefault("x-forwarded-proto", environ.get("wsgi.url_scheme", "http"))
    query = _query(environ.get("QUERY_STRING") or "")
    return {
        "resource": route,
        "path": path,
        "httpMethod": method,
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
        "multiValueQueryStringParameters": query or None,
        "pathParameters": variables or None,
        "stageVariables": None,
        "requestContext": {
            "resourcePath": route,
            "httpMethod": method,
            "path": path,
            "protocol": environ.get("SERVER_PROTOCOL", "HTTP/1.1"),
            "identity": {"sourceIp": environ.get("REMOTE_ADDR", "")},
        },
        # Bytes as they are: API Gateway has to wrap them in base64, this need not.
        "body": body or None,
        "isBase64Encoded": False,
    }


def _query(text: str) -> dict[str, list[str]]:
    query: dict[str, list[str]] = {}
    if text:
        try:
            pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_QUERY_FIELDS)
        except ValueError as error:
            told = f"the query has more than {_MAX_QUERY_FIELDS} fields"
            raise Refused(400, told) from error
        for name, value in pairs:
            query.setdefault(name, []).append(value)
    return query


def _response(answer: Mapping[str, Any]) -> Answer:
    body = answer.get("body") or ""
    if answer.get("isBase64Encoded"):
        data = base64.b64decode(body)
    else:
        data = body if isinstance(body, bytes) else str(body).encode("utf-8", "replace")
    headers = [(name, _plain(value)) for name, value in (answer.get("headers") or {}).items()]
    for name, values in (answer.get("multiValueHeaders") or {}).items():
        headers.extend((name, _plain(value)) for value in values)
    # API Gateway counts the body itself, and so does this.
    headers = [header for header in headers if header[0].lower() != "content-length"]
    return int(answer["statusCode"]), headers, data


def _plain(value: object) -> str:
    """A header's value without what would break the header: control characters, non-ASCII."""
    text = str(value)
    if text.isascii() and text.isprintable():
        return text
    return text.translate(_CONTROL).encode("ascii", "replace").decode("ascii")


def _message(status: int, text: str, headers: Iterable[tuple[str, str]] = ()) -> Answer:
    body = json.dumps({"message": text}).encode()
    return status, [("Content-Type", "application/json"), *headers], body
