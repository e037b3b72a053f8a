"""Uploads in two steps: ask for a signed form, then put the dump straight into the store."""

from __future__ import annotations

from chalice.app import Blueprint, Request, Response

from chalicelib import clock
from chalicelib.errors import FormatError, InvalidRequest
from chalicelib.formats import bounded_json
from chalicelib.formats.text import storable
from chalicelib.handlers.common import (
    ANY_TYPE,
    TELLS_OF_LARGE_BODIES,
    incoming,
    json_answer,
    services,
)
from chalicelib.handlers.hockeyapp_errors import hockeyapp_errors
from chalicelib.handlers.public_url import absolute, path_prefix
from chalicelib.minidump_payload import MAX_NAME_CHARS

routes = Blueprint(__name__)

_UPLOADS = "/api/2/apps/{app_id}/uploads"
TELLS_OF_LARGE_BODIES.add(_UPLOADS)


@routes.route(_UPLOADS, methods=["POST"], content_types=ANY_TYPE, cors=True)
@hockeyapp_errors
def begin_upload(app_id: str) -> Response:
    """201 with the form to send the dump in; like every crash post, it needs no token.

    The body is `{"filename": TEXT, "size": BYTES, "annotations": {NAME: TEXT}}`; all may be left
    out. With a size, the form takes a dump of at most that size.
    """
    app = services().accounts.app(app_id)
    current = routes.current_request
    assert isinstance(current, Request)
    told = _object(incoming(current, with_form=False).body)
    annotations = _annotations(told.get("annotations"))
    filename = told.get("filename")
    if filename is not None:
        if not isinstance(filename, str):
            raise InvalidRequest({"filename": ["must be text"]})
        annotations.setdefault("filename", storable(filename)[:MAX_NAME_CHARS])
    services().intake.require_open(app.app_id)
    begun = services().uploads.begin(app.app_id, _size(told.get("size")), annotations)
    answer = {
        "upload_id": begun.upload_id,
        "url": absolute(begun.form.url, current, services().settings.base_url),
        "method": begun.form.method,
        "fields": dict(begun.form.fields),
        "expires_at": clock.to_wire(begun.expires_at),
    }
    prefix = path_prefix(current, services().settings.base_url)
    location = f"{prefix}/api/2/apps/{app.app_id}/uploads/{begun.upload_id}"
    return json_answer(answer, 201, headers={"Location": location})


@routes.route(f"{_UPLOADS}/{{upload_id}}", methods=["GET"], content_types=ANY_TYPE, cors=True)
@hockeyapp_errors
def get_upload(app_id: str, upload_id: str) -> Response:
    """How far an upload is, for whoever knows its id: 128 bits that only its sender was told."""
    services().accounts.app(app_id)
    found = services().uploads.state(app_id, upload_id)
    return json_answer({"state": found.state, "crash_id": found.crash_id, "reason": found.reason})


def _object(body: bytes) -> dict[str, object]:
    if not body.strip():
        return {}
    try:
        return bounded_json.read_object(body.decode("utf-8", "replace").strip())[0]
    except FormatError as error:
        raise InvalidRequest({"body": [str(error)]}) from error


def _size(size: object) -> int | None:
    if size is None:
        return None
    if isinstance(size, bool) or not isinstance(size, int) or size <= 0:
        raise InvalidRequest({"size": ["must be a number of bytes above 0"]})
    return size


def _annotations(said: object) -> dict[str, str]:
    if said is None:
        return {}
    if not isinstance(said, dict):
        raise InvalidRequest({"annotations": ["must be an object"]})
    annotations: dict[str, str] = {}
    for name, value in said.items():
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise InvalidRequest({"annotations": ["must be texts or numbers"]})
        annotations[storable(name)] = storable(str(value))
    return annotations
