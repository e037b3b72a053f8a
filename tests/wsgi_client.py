"""Requests to the app in this process, over the same WSGI layer that the server uses.

Every answer has to be as the OpenAPI document says, whatever a test asks for.
"""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app import app
from infra.wsgi import WsgiApp
from tests.described import problem


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


_application = WsgiApp(app, 20_000_000)


def request(
    method: str,
    path: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    *,
    chunked: bool = False,
    application: WsgiApp = _application,
) -> Answer:
    path_info, _, query = path.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path_info,
        "QUERY_STRING": query,
        "wsgi.input": io.BytesIO(body),
        "SERVER_PROTOCOL": "HTTP/1.1",
    }
    if chunked:
        environ["HTTP_TRANSFER_ENCODING"] = "chunked"
    else:
        environ["CONTENT_LENGTH"] = str(len(body))
    for name, value in (headers or {}).items():
        key = name.upper().replace("-", "_")
        environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
    told: list[Any] = []
    parts = application(environ, lambda status, sent: told.extend((status, sent)))
    status, sent = told
    answer = Answer(int(status.split()[0]), {k.lower(): v for k, v in sent}, b"".join(parts))
    if application is _application:
        told_wrong = problem(method, path_info, answer.status, answer.headers, answer.body)
        assert told_wrong is None, told_wrong
    return answer


def get(path: str, token: str | None = None) -> Answer:
    return request("GET", path, headers={"X-HockeyAppToken": token} if token else None)


def multipart(
    fields: Mapping[str, bytes | str], files: Mapping[str, bytes] | None = None
) -> tuple[bytes, dict[str, str]]:
    """A form body and its headers, as curl -F writes them."""
    boundary = f"----{uuid.uuid4().hex}"
    out = io.BytesIO()
    everything = [(name, None, value) for name, value in fields.items()]
    everything += [(name, f"{name}.dat", value) for name, value in (files or {}).items()]
    for name, filename, value in everything:
        data = value.encode() if isinstance(value, str) else value
        named = f'; filename="{filename}"' if filename else ""
        out.write(f"--{boundary}\r\n".encode())
        out.write(f'Content-Disposition: form-data; name="{name}"{named}\r\n\r\n'.encode())
        out.write(data + b"\r\n")
    out.write(f"--{boundary}--\r\n".encode())
    return out.getvalue(), {"Content-Type": f"multipart/form-data; boundary={boundary}"}


def post_form(
    path: str,
    fields: Mapping[str, bytes | str],
    files: Mapping[str, bytes] | None = None,
    **more: str,
) -> Answer:
    body, headers = multipart(fields, files)
    return request("POST", path, body, headers | {k.replace("_", "-"): v for k, v in more.items()})
