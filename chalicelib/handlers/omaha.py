"""The omaha-server door: crash posts without credentials, reading with them."""

from __future__ import annotations

from chalice.app import Blueprint, Request, Response

from chalicelib.access import Access
from chalicelib.downloads import Kind
from chalicelib.errors import NotFound
from chalicelib.handlers import omaha_posts as posts
from chalicelib.handlers import omaha_shape as shape
from chalicelib.handlers.basic_auth import access_of
from chalicelib.handlers.common import (
    ANY_TYPE,
    TELLS_OF_LARGE_BODIES,
    incoming,
    json_answer,
    services,
    text_answer,
)
from chalicelib.handlers.file_response import FileResponse
from chalicelib.handlers.hockeyapp_shape import identifier
from chalicelib.handlers.minidump_posts import dump_request
from chalicelib.handlers.omaha_errors import method_not_allowed, omaha_errors
from chalicelib.handlers.omaha_pages import envelope, page_asked, require_page
from chalicelib.handlers.public_url import absolute, public_url

routes = Blueprint(__name__)

_POST = "/service/crash_report"
_CRASHES = "/api/crash_report"
TELLS_OF_LARGE_BODIES.add(_POST)
_NOT_POST = ["GET", "PUT", "PATCH", "DELETE"]
_NOT_GET = ["POST", "PUT", "PATCH", "DELETE"]


# --- posting crashes -----------------------------------------------------


@routes.route(_POST, methods=["POST"], content_types=ANY_TYPE, cors=True)
@omaha_errors
def post_crash() -> Response:
    """A form with `upload_file_minidump`, `appid`, `userid` and anything else: the bare id."""
    return text_answer(str(posts.receive(dump_request(_request()))))


@routes.route(_POST, methods=_NOT_POST, content_types=ANY_TYPE)
def post_crash_only() -> Response:
    """405: crashes are posted."""
    return method_not_allowed(_request().method, "POST")


# --- downloads, by the links that the API gives -------------------------------


@routes.route(f"{_POST}/{{crash_id}}/minidump", methods=["GET"], content_types=ANY_TYPE)
@omaha_errors
def download_minidump(crash_id: str) -> Response:
    """The minidump of a crash, by the link that the API gave."""
    return _download(identifier(crash_id), "minidump")


@routes.route(f"{_POST}/{{crash_id}}/archive", methods=["GET"], content_types=ANY_TYPE)
@omaha_errors
def download_archive(crash_id: str) -> Response:
    """The archive that a crash came in, by the link that the API gave."""
    return _download(identifier(crash_id), "archive")


def _download(crash_id: int, kind: Kind) -> Response:
    """What a link gives to whoever has it; 302 to the store for what is large."""
    services().links.check(shape.download_path(crash_id, kind), incoming(_request()).query)
    found = services().downloads.open(crash_id, kind)
    if found.url is not None:
        whole = absolute(found.url, _request(), services().settings.base_url)
        return Response("", status_code=302, headers={"Location": whole})
    return FileResponse(found.data, found.filename)


# --- reading -------------------------------------------------------------


@routes.route(_CRASHES, methods=["GET"], content_types=ANY_TYPE)
@omaha_errors
def list_crashes() -> Response:
    """The crashes of every app that the caller may read, oldest first."""
    current = _request()
    request = incoming(current)
    access = _reader(current)
    paging = page_asked(request)
    apps = [app.app_id for app in services().accounts.apps() if access.opens(app.app_id)]
    listed = services().all_crashes.oldest_first(apps, paging)
    require_page(listed)
    companions = services().all_crashes.companions(listed.entries)
    base = _base(current)
    return json_answer(
        envelope(
            listed,
            f"{base}{_CRASHES}/",
            request.query,
            [shape.crash(report, companions[report.report_id], base) for report in listed.entries],
        )
    )


@routes.route(f"{_CRASHES}/{{crash_id}}", methods=["GET"], content_types=ANY_TYPE)
@omaha_errors
def get_crash(crash_id: str) -> Response:
    """One crash, with its stacks; of one that waits to be processed what is known already."""
    current = _request()
    access = _reader(current)
    report_id = identifier(crash_id)
    try:
        report = services().crashes.report(report_id)
    except NotFound:
        received = services().crashes.unprocessed(report_id)
        if not access.opens(received.app_id):
            raise
        return json_answer(shape.unprocessed(report_id, received, _base(current)))
    if not access.opens(report.app_id):
        raise NotFound("crash", crash_id)
    companions = services().all_crashes.companions([report])[report_id]
    stacktrace = None
    if companions.has_dump:
        received = services().crashes.payload(report_id)
        stacktrace = shape.stacktrace(services().reader.report(received))
    return json_answer(shape.crash(report, companions, _base(current), stacktrace))


@routes.route(_CRASHES, methods=_NOT_GET, content_types=ANY_TYPE)
@omaha_errors
def list_crashes_only() -> Response:
    """405: the list can only be read."""
    return _read_only()


@routes.route(f"{_CRASHES}/{{crash_id}}", methods=_NOT_GET, content_types=ANY_TYPE)
@omaha_errors
def get_crash_only(crash_id: str) -> Response:  # noqa: ARG001 - the path has it
    """405: a crash can only be read."""
    return _read_only()


def _read_only() -> Response:
    """Who may not read learns no more than that, as in the original."""
    current = _request()
    _reader(current)
    return method_not_allowed(current.method, "GET, HEAD")


# --- helpers -------------------------------------------------------------


def _request() -> Request:
    request = routes.current_request
    assert isinstance(request, Request)
    return request


def _reader(current: Request) -> Access:
    access = access_of(incoming(current))
    access.require("read")
    return access


def _base(current: Request) -> str:
    return public_url(current, services().settings.base_url)
