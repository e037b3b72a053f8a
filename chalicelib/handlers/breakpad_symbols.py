"""The door of Breakpad's sym_upload, in both of its protocols.

Symbols change what an app's crashes show, so a token (or a user) with the
scope `upload` is needed. The first protocol has no place for one: it goes into
the URL, `?key=TOKEN`; the second has its `-k`.

Source: Breakpad's `sym_upload.cc`, `symbol_upload.cc`,
`symbol_collector_client.cc`. Its client finds what it needs in our JSON by
regular expressions that want exactly one blank after each colon.
"""

from __future__ import annotations

import json
import re

from chalice.app import Blueprint, Request, Response

from chalicelib.errors import (
    CrashbucketError,
    Forbidden,
    FormatError,
    InvalidRequest,
    NotFound,
    PayloadTooLarge,
    TryAgain,
    Unauthenticated,
)
from chalicelib.handlers.answering import answering
from chalicelib.handlers.basic_auth import access_of
from chalicelib.handlers.common import (
    ANY_TYPE,
    TELLS_OF_LARGE_BODIES,
    Incoming,
    incoming,
    services,
    text_answer,
)
from chalicelib.handlers.minidump_posts import symbols_request
from chalicelib.handlers.public_url import public_url
from chalicelib.records import App

routes = Blueprint(__name__)

_APP = "/breakpad/{app_id}"
_FIRST = f"{_APP}/symbols"
_STATUS = f"{_APP}/v1/symbols/{{debug_file}}/{{build}}"
_ACTION = f"{_APP}/v1/{{action}}"
_UPLOAD = f"{_APP}/v1/uploads/{{upload}}"
TELLS_OF_LARGE_BODIES.update({_FIRST, _UPLOAD})

# API Gateway's variables are whole parts of a path: the verb behind the colon comes with them.
_CHECK = ":checkStatus"
_CREATE = "uploads:create"
_COMPLETE = ":complete"

# The body of `:complete` is nearly JSON: `{ symbol_id: {debug_file: "x", debug_id: "y" }, ... }`.
_DEBUG_FILE = re.compile(r'\bdebug_file"?\s{0,9}:\s{0,9}"([^"]{1,1000})"')
_MAX_COMPLETE_BYTES = 10_000


# --- the first protocol: one form --------------------------------------------


def _told(error: CrashbucketError) -> tuple[int, str]:
    """Status and message of what a client can do something about."""
    match error:
        case Unauthenticated():
            return 401, str(error)
        case Forbidden():
            return 403, str(error)
        case NotFound():
            return 404, str(error)
        case InvalidRequest() | FormatError():
            return 400, str(error)
        case PayloadTooLarge():
            return 413, str(error)
        case TryAgain():
            return 503, str(error)
    raise error


def _as_text(error: CrashbucketError) -> Response:
    status, message = _told(error)
    return text_answer(message, status)


_plain_errors = answering(_as_text)


@routes.route(_FIRST, methods=["POST"], content_types=ANY_TYPE)
@_plain_errors
def upload_symbols(app_id: str) -> Response:
    """A form with `symbol_file`; what it says beside the file stands in the file too. 200."""
    request = symbols_request(_request())
    app = _allowed(request, app_id)
    part = request.form.get("symbol_file")
    if part is None or not part.data:
        raise InvalidRequest({"symbol_file": ["is missing: send the symbols as this file"]})
    name = request.form.text("debug_file") or part.filename or "file"
    added = services().symbols.add(part.data, app_id=app.app_id, filename=name)
    lines = (
        f"{'stored' if entry.is_new else 'known'}: {entry.file.debug_file} {entry.file.debug_id}"
        for entry in added
    )
    return text_answer("\n".join(lines))


# --- the second: ask, create, put, complete ----------------------------------


def _as_json(error: CrashbucketError) -> Response:
    status, message = _told(error)
    return _json({"error": {"code": status, "message": message}}, status)


_json_errors = answering(_as_json)
"""Answer as Google's APIs do, whose protocol it is: `{"error": {"code", "message"}}`."""


@routes.route(_STATUS, methods=["GET"], content_types=ANY_TYPE)
@_json_errors
def check_status(app_id: str, debug_file: str, build: str) -> Response:
    """`DEBUG_ID:checkStatus`: whether the app may use symbols of that name and build."""
    app = _allowed(incoming(_request()), app_id)
    if not build.endswith(_CHECK):
        raise NotFound("action", build)
    debug_id = build.removesuffix(_CHECK).replace("-", "").upper()
    name = debug_file.strip()
    has_build = services().symbols.has_build
    is_known = any(has_build(scope, debug_id, name) for scope in (app.app_id, None))
    return _json({"status": "FOUND" if is_known else "MISSING"})


@routes.route(_ACTION, methods=["POST"], content_types=ANY_TYPE)
@_json_errors
def create_upload(app_id: str, action: str) -> Response:
    """`uploads:create`: where to put a file, by whoever has the URL, within the hour."""
    current = _request()
    app = _allowed(incoming(current, with_form=False), app_id)
    if action != _CREATE:
        raise NotFound("action", action)
    key = services().symbol_uploads.open(app.app_id)
    base = public_url(current, services().settings.base_url)
    url = f"{base}/breakpad/{app.app_id}/v1/uploads/{key}"
    return _json({"uploadUrl": url, "uploadKey": key})


@routes.route(_UPLOAD, methods=["PUT"], content_types=ANY_TYPE)
@_json_errors
def put_symbols(app_id: str, upload: str) -> Response:
    """The file, as the body; the key in the URL says that its sender may."""
    data = symbols_request(_request(), with_form=False).body
    if not data:
        raise InvalidRequest({"body": ["is empty: send the symbol file as the body"]})
    services().symbol_uploads.put(app_id, upload, data)
    return _json({})


@routes.route(_UPLOAD, methods=["POST"], content_types=ANY_TYPE)
@_json_errors
def complete_upload(app_id: str, upload: str) -> Response:
    """`KEY:complete`: `OK`, or `DUPLICATE_DATA` when the very same file was there."""
    request = incoming(_request(), with_form=False)
    app = _allowed(request, app_id)
    if not upload.endswith(_COMPLETE):
        raise NotFound("action", upload)
    said = request.body[:_MAX_COMPLETE_BYTES].decode("utf-8", "replace")
    found = _DEBUG_FILE.search(said)
    name = found[1].strip() if found else ""
    key = upload.removesuffix(_COMPLETE)
    added = services().symbol_uploads.complete(app.app_id, key, name or "file")
    is_new = any(entry.is_new for entry in added)
    return _json({"result": "OK" if is_new else "DUPLICATE_DATA"})


# --- helpers -------------------------------------------------------------


def _allowed(request: Incoming, app_id: str) -> App:
    """The app, once the caller may upload for it; who may not learns not whether it exists."""
    key = request.query.get("key")
    access = services().accounts.authenticate(key) if key else access_of(request)
    if not access.opens(app_id):
        raise NotFound("app", app_id)
    app = services().accounts.app(app_id)
    access.require("upload")
    return app


def _json(body: object, status: int = 200) -> Response:
    return text_answer(json.dumps(body), status, "application/json; charset=utf-8")


def _request() -> Request:
    request = routes.current_request
    assert isinstance(request, Request)
    return request
