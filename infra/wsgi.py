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

from infra.router import Router

_log = logging.getLogger(__name__)
_READ_BYTES = 256 * 1024
_STATUS = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}

StartResponse = Callable[..., Any]


class BodyTooLarge(Exception):
    """The client sent more than the server takes."""


class WsgiApp:
    """Turns each request into an API Gateway event (REST, Lambda proxy) and the answer back."""

    def __init__(self, app: Chalice, max_body_bytes: int) -> None:
        self._app = app
        self._router = Router(app.routes)
        self._methods = {route: frozenset(entries) for route, entries in app.routes.items()}
        self._cors = {
            route: next((e.cors for e in entries.values() if e.cors), None)
            for route, entries in app.routes.items()
        }
        self._max_body_bytes = max_body_bytes

    def __call__(self, environ: Mapping[str, Any], start_response: StartResponse) -> list[bytes]:
        try:
            status, headers, body = self._answer(environ)
        except Exception:  # whatever breaks, the client gets an answer
            _log.exception("%s %s", environ.get("REQUEST_METHOD"), environ.get("PATH_INFO"))
            status, headers, body = _message(500, "internal error")
        if environ["REQUEST_METHOD"] == "HEAD":
            body = b""
        else:
            headers.append(("Content-Length", str(len(body))))
        start_response(_STATUS.get(status, f"{status} Unknown"), headers)
        return [body]

    def _answer(self, environ: Mapping[str, Any]) -> tuple[int, list[tuple[str, str]], bytes]:
        path = _path(environ)
        found = self._router.find(path)
        if found is None:
            return _message(404, f"there is nothing at {path[:200]}")
        route, variables = found
        method = str(environ["REQUEST_METHOD"])
        wanted = "GET" if method == "HEAD" else method
        if wanted not in self._methods[route]:
            if wanted == "OPTIONS" and self._cors[route] is not None:
                return self._preflight(route)
            allowed = ", ".join(sorted(self._methods[route]))
            return _message(405, f"use {allowed}", [("Allow", allowed)])
        try:
            body = _body(environ, self._max_body_bytes)
        except BodyTooLarge:
            return _message(413, f"the body is larger than {self._max_body_bytes} bytes")
        event = _event(environ, path, route, wanted, variables, body)
        return _response(self._app(event, None))

    def _preflight(self, route: str) -> tuple[int, list[tuple[str, str]], bytes]:
        """What API Gateway's own OPTIONS method answers for a route with CORS."""
        cors = self._cors[route]
        assert cors is not None
        headers = [(name, str(value)) for name, value in cors.get_access_control_headers().items()]
        methods = ",".join(sorted({*self._methods[route], "OPTIONS"}))
        return 200, [*headers, ("Access-Control-Allow-Methods", methods)], b""


def _path(environ: Mapping[str, Any]) -> str:
    """The path as the client wrote it: WSGI decodes it, and a decoded slash is no separator."""
    raw = environ.get("RAW_URI") or environ.get("REQUEST_URI")
    if raw:
        return str(raw).partition("?")[0]
    return quote(str(environ.get("PATH_INFO", "/")).encode("latin-1"), safe="/%:@!$&'()*+,;=~")


def _body(environ: Mapping[str, Any], limit_bytes: int) -> bytes:
    """The body, of a known length or chunked, at most `limit_bytes` of it."""
    length = str(environ.get("CONTENT_LENGTH") or "")
    if length.isdigit():
        if int(length) > limit_bytes:
            raise BodyTooLarge
        return bytes(environ["wsgi.input"].read(int(length))) if int(length) else b""
    if not environ.get("HTTP_TRANSFER_ENCODING"):
        return b""
    parts: list[bytes] = []
    size = 0
    while part := environ["wsgi.input"].read(_READ_BYTES):
        size += len(part)
        if size > limit_bytes:
            raise BodyTooLarge
        parts.append(part)
    return b"".join(parts)


def _event(
    environ: Mapping[str, Any],
    path: str,
    route: str,
    method: str,
    variables: dict[str, str],
    body: bytes,
) -> dict[str, Any]:
    headers = {
        name[5:].replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    if environ.get("CONTENT_TYPE"):
        headers["content-type"] = environ["CONTENT_TYPE"]
    query: dict[str, list[str]] = {}
    if text := environ.get("QUERY_STRING"):
        for name, value in parse_qsl(text, keep_blank_values=True, max_num_fields=1000):
            query.setdefault(name, []).append(value)
    return {
        "resource": route,
        "path": path,
        "httpMethod": method,
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
        "multiValueQueryStringParameters": query or None,
        "pathParameters": variables,
        "stageVariables": None,
        "requestContext": {
            "resourcePath": route,
            "httpMethod": method,
            "path": path,
            "protocol": environ.get("SERVER_PROTOCOL", "HTTP/1.1"),
            "identity": {"sourceIp": environ.get("REMOTE_ADDR", "")},
        },
        "body": base64.b64encode(body).decode("ascii"),
        "isBase64Encoded": True,
    }


def _response(answer: Mapping[str, Any]) -> tuple[int, list[tuple[str, str]], bytes]:
    body = answer.get("body") or ""
    if answer.get("isBase64Encoded"):
        data = base64.b64decode(body)
    else:
        data = body if isinstance(body, bytes) else str(body).encode()
    headers = [(name, str(value)) for name, value in (answer.get("headers") or {}).items()]
    for name, values in (answer.get("multiValueHeaders") or {}).items():
        headers.extend((name, str(value)) for value in values)
    return int(answer["statusCode"]), headers, data


def _message(
    status: int, text: str, headers: Iterable[tuple[str, str]] = ()
) -> tuple[int, list[tuple[str, str]], bytes]:
    body = json.dumps({"message": text}).encode()
    return status, [("Content-Type", "application/json"), *headers], body
