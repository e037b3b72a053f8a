"""Single crashes over HockeyApp's API: those of a user, their attachments, deleting them."""

from __future__ import annotations

from urllib.parse import quote, unquote

from chalice.app import Blueprint, Request, Response

from chalicelib import hockeyapp_json
from chalicelib.downloads import Download
from chalicelib.errors import NotFound
from chalicelib.handlers import hockeyapp_shape as shape
from chalicelib.handlers.common import ANY_TYPE, Incoming, incoming, json_answer, services
from chalicelib.handlers.file_response import FileResponse
from chalicelib.handlers.hockeyapp_access import authorised
from chalicelib.handlers.hockeyapp_errors import hockeyapp_errors
from chalicelib.handlers.public_url import absolute, public_url

routes = Blueprint(__name__)

_APP = "/api/2/apps/{app_id}"
_CRASH = f"{_APP}/crashes/{{crash_id}}"


# --- a user's crashes ----------------------------------------------------


@routes.route(f"{_APP}/crashes/user_search", methods=["GET"], content_types=ANY_TYPE, cors=True)
@hockeyapp_errors
def search_user(app_id: str) -> Response:
    """`query` is the user's id or contact, as their client sent it."""
    request, _ = authorised(_incoming(), app_id, "read")
    return _crashes_of_user(request, app_id, None)


@routes.route(
    f"{_APP}/app_versions/{{version_id}}/crashes/user_search",
    methods=["GET"],
    content_types=ANY_TYPE,
    cors=True,
)
@hockeyapp_errors
def search_user_of_version(app_id: str, version_id: str) -> Response:
    """The same among the crashes of one version."""
    request, _ = authorised(_incoming(), app_id, "read")
    version = services().groups.version(app_id, shape.identifier(version_id))
    return _crashes_of_user(request, app_id, version.version_id)


def _crashes_of_user(request: Incoming, app_id: str, version_id: int | None) -> Response:
    text = request.parameter("query") or ""
    listed = services().user_search.find(app_id, text, shape.paging(request), version_id)
    crashes = [hockeyapp_json.crash(report) for report in listed.entries]
    return json_answer(shape.listing(listed, crashes=crashes))


# --- attachments ---------------------------------------------------------


@routes.route(f"{_CRASH}/attachments", methods=["GET"], content_types=ANY_TYPE, cors=True)
@hockeyapp_errors
def list_attachments(app_id: str, crash_id: str) -> Response:
    """What came with the crash beside its log, each with the URL that gives it."""
    authorised(_incoming(), app_id, "read")
    report_id = _known(app_id, crash_id)
    current = routes.current_request
    assert isinstance(current, Request)
    base = public_url(current, services().settings.base_url)
    path = f"{base}/api/2/apps/{app_id}/crashes/{report_id}/attachments"
    attachments = [
        hockeyapp_json.attachment(sent, f"{path}/{quote(sent.name, safe='')}")
        for sent in services().downloads.attachments(report_id)
    ]
    return json_answer({"attachments": attachments, "status": "success"})


@routes.route(f"{_CRASH}/attachments/{{name}}", methods=["GET"], content_types=ANY_TYPE, cors=True)
@hockeyapp_errors
def get_attachment(app_id: str, crash_id: str, name: str) -> Response:
    """The file; 302 to a link of the store for one that is too large for an answer."""
    authorised(_incoming(), app_id, "read")
    found = _attachment(_known(app_id, crash_id), name)
    if found.url is not None:
        current = routes.current_request
        assert isinstance(current, Request)
        whole = absolute(found.url, current, services().settings.base_url)
        return Response("", status_code=302, headers={"Location": whole})
    return FileResponse(found.data, found.filename)


def _attachment(report_id: int, name: str) -> Download:
    """By its name, which some servers hand on as it stood in the path."""
    try:
        return services().downloads.attachment(report_id, name)
    except NotFound:
        if "%" not in name:
            raise
    return services().downloads.attachment(report_id, unquote(name))


def _known(app_id: str, crash_id: str) -> int:
    """The id of the app's crash, be it processed or waiting."""
    report_id = shape.identifier(crash_id)
    try:
        services().crashes.report(report_id, app_id)
    except NotFound:
        if not services().crashes.is_waiting(report_id, app_id):
            raise
    return report_id


# --- deleting ------------------------------------------------------------


@routes.route(_CRASH, methods=["DELETE"], content_types=ANY_TYPE, cors=True)
@hockeyapp_errors
def delete_crash(app_id: str, crash_id: str) -> Response:
    """The crash goes with its payload and attachments, and every count follows."""
    authorised(_incoming(), app_id, "write")
    if not services().deletion.delete(app_id, [shape.identifier(crash_id)]):
        raise NotFound("crash", crash_id)
    return json_answer({"status": "success"})


def _incoming() -> Incoming:
    request = routes.current_request
    assert isinstance(request, Request)
    return incoming(request)
