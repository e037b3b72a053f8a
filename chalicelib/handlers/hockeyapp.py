"""The HockeyApp door: crash posts without a token, reading with one."""

from __future__ import annotations

from typing import get_args

from chalice.app import Blueprint, Request, Response

from chalicelib import hockeyapp_json
from chalicelib.access import Scope
from chalicelib.errors import FormatError, InvalidRequest, NotFound
from chalicelib.formats import quincy_xml
from chalicelib.formats.text import as_sent
from chalicelib.handlers import crash_posts, plist
from chalicelib.handlers import hockeyapp_shape as shape
from chalicelib.handlers.common import (
    ANY_TYPE,
    TELLS_OF_LARGE_BODIES,
    Incoming,
    incoming,
    json_answer,
    services,
    text_answer,
)
from chalicelib.handlers.hockeyapp_access import authorised
from chalicelib.handlers.hockeyapp_errors import hockeyapp_errors
from chalicelib.handlers.public_url import path_prefix
from chalicelib.payload import MINIDUMP_DOORS
from chalicelib.queries.group_order import Sort
from chalicelib.queries.paging import cut
from chalicelib.records import RESOLVED, App
from chalicelib.report_json import as_json
from chalicelib.report_text import as_text

routes = Blueprint(__name__)

_APPS = "/api/2/apps"
_APP = f"{_APPS}/{{app_id}}"
_VERSION = f"{_APP}/app_versions/{{version_id}}"
_CRASHES = f"{_APP}/crashes"
_UPLOAD = f"{_CRASHES}/upload"
TELLS_OF_LARGE_BODIES.update({_CRASHES, _UPLOAD})
_SORTS: tuple[Sort, ...] = get_args(Sort)


# --- posting crashes -----------------------------------------------------


@routes.route(_UPLOAD, methods=["POST"], content_types=ANY_TYPE, cors=True)
@hockeyapp_errors
def upload_crash(app_id: str) -> Response:
    """A custom crash: `log`, `description`, `attachment0..2`, `userID`, `contact`."""
    app = services().accounts.app(app_id)
    request = _incoming()
    log = crash_posts.log_of_upload(request.form)
    description = request.form.get("description")
    crash_id = crash_posts.receive_log(
        app, log.data, description.data if description else b"", request.form
    )
    return _accepted(request, app, crash_id)


@routes.route(_CRASHES, methods=["POST"], content_types=ANY_TYPE, cors=True)
@hockeyapp_errors
def post_crash(app_id: str) -> Response:
    """What the SDKs post: a form with `raw`, or QuincyKit's XML as part `xml` or as the body."""
    app = services().accounts.app(app_id)
    request = _incoming()
    xml = crash_posts.xml_of(request)
    if xml is not None:
        return _post_quincy(request, app, xml)
    raw = request.form.get("raw") or request.form.get("log")
    if raw is None:
        raise InvalidRequest(
            {"raw": ["is missing: send the log as `raw`, or QuincyKit's XML as `xml`"]}
        )
    description = request.form.get("description")
    crash_id = crash_posts.receive_log(
        app, raw.data, description.data if description else b"", request.form
    )
    return _accepted(request, app, crash_id)


def _post_quincy(request: Incoming, app: App, xml: bytes) -> Response:
    """Refusals are a 400 with a body: anything else makes the SDK send the report for ever."""
    try:
        crashes = quincy_xml.parse(xml)
    except FormatError as error:
        return json_answer({"errors": {"xml": [str(error)]}}, 400)
    for crash in crashes:
        if app.bundle_id and crash.bundleidentifier and crash.bundleidentifier != app.bundle_id:
            told = (
                f"is {crash.bundleidentifier!r} but the app's bundle identifier is "
                f"{app.bundle_id!r}"
            )
            return json_answer({"errors": {"bundleidentifier": [told]}}, 400)
        if not (crash.log or "").strip():
            return json_answer({"errors": {"log": ["must not be empty"]}}, 400)
    services().intake.require_open(app.app_id)
    crash_ids = [crash_posts.receive_quincy(app, crash, request.form) for crash in crashes]
    return _accepted(request, app, crash_ids[0])


def _accepted(request: Incoming, app: App, crash_id: int) -> Response:
    """201 with the document's plist, or JSON for a client that asks for it."""
    current = routes.current_request
    assert isinstance(current, Request)
    prefix = path_prefix(current, services().settings.base_url)
    location = f"{prefix}{_APPS}/{app.app_id}/crashes/{crash_id}"
    if "application/json" in request.header("accept"):
        return json_answer(
            {"id": crash_id, "status": "success"}, 201, headers={"Location": location}
        )
    return plist.plist_answer(
        str(crash_id), plist.QUEUED, plist.FEEDBACK_DELAY_MS, 201, location=location
    )


# --- reading -------------------------------------------------------------


@routes.route(_APPS, methods=["GET"], content_types=ANY_TYPE, cors=True)
@hockeyapp_errors
def list_apps() -> Response:
    """The apps that the token opens."""
    access = services().accounts.authenticate(_incoming().token)
    access.require("read")
    apps = [
        hockeyapp_json.app(entry)
        for entry in services().accounts.apps()
        if access.opens(entry.app_id)
    ]
    return json_answer({"apps": apps, "status": "success"})


@routes.route(_APP, methods=["GET"], content_types=ANY_TYPE, cors=True)
@hockeyapp_errors
def recent_versions(app_id: str) -> Response:
    """The versions again: what clients ask for as `APP_ID?format=json`."""
    return _versions(app_id)


@routes.route(f"{_APP}/app_versions", methods=["GET"], content_types=ANY_TYPE, cors=True)
@hockeyapp_errors
def list_versions(app_id: str) -> Response:
    """The app's versions, newest first."""
    return _versions(app_id)


@routes.route(f"{_APP}/statistics", methods=["GET"], content_types=ANY_TYPE, cors=True)
@hockeyapp_errors
def statistics(app_id: str) -> Response:
    """How many crashes each version has, the newest version first."""
    _authorised(app_id, "read")
    counted = [
        hockeyapp_json.version_statistics(version, crashes)
        for version, crashes in services().groups.crashes_by_version(app_id)
    ]
    return json_answer({"app_versions": counted, "status": "success"})


def _versions(app_id: str) -> Response:
    request, app = _authorised(app_id, "read")
    listed = cut(services().groups.versions(app_id), shape.paging(request))
    versions = [hockeyapp_json.version(entry, app) for entry in listed.entries]
    return json_answer(shape.listing(listed, app_versions=versions))


@routes.route(f"{_APP}/crash_reasons", methods=["GET"], content_types=ANY_TYPE, cors=True)
@hockeyapp_errors
def list_groups(app_id: str) -> Response:
    """The app's crash groups, across its versions."""
    request, _ = _authorised(app_id, "read")
    listed = services().groups.of_app(
        app_id, shape.paging(request), *_order(request), symbolicated=_symbolicated(request)
    )
    groups = [hockeyapp_json.group(entry) for entry in listed.entries]
    return json_answer(shape.listing(listed, crash_reasons=groups))


@routes.route(f"{_VERSION}/crash_reasons", methods=["GET"], content_types=ANY_TYPE, cors=True)
@hockeyapp_errors
def list_groups_of_version(app_id: str, version_id: str) -> Response:
    """The crash groups of one version; they count its crashes only."""
    request, _ = _authorised(app_id, "read")
    version = services().groups.version(app_id, shape.identifier(version_id))
    listed = services().groups.of_version(
        version, shape.paging(request), *_order(request), symbolicated=_symbolicated(request)
    )
    groups = [hockeyapp_json.group(entry) for entry in listed.entries]
    return json_answer(shape.listing(listed, crash_reasons=groups))


@routes.route(
    f"{_APP}/crash_reasons/{{group_id}}", methods=["GET"], content_types=ANY_TYPE, cors=True
)
@hockeyapp_errors
def list_crashes(app_id: str, group_id: str) -> Response:
    """A group and a page of its crashes, newest first."""
    request, _ = _authorised(app_id, "read")
    group = services().groups.group(app_id, shape.identifier(group_id))
    listed = services().crashes.of_group(group, shape.paging(request))
    crashes = [hockeyapp_json.crash(report) for report in listed.entries]
    return json_answer(
        shape.listing(listed, crash_reason=hockeyapp_json.group(group), crashes=crashes)
    )


@routes.route(
    f"{_VERSION}/crash_reasons/{{group_id}}", methods=["GET"], content_types=ANY_TYPE, cors=True
)
@hockeyapp_errors
def list_crashes_of_version(app_id: str, version_id: str, group_id: str) -> Response:
    """The same for the part of the group that crashed in one version."""
    request, _ = _authorised(app_id, "read")
    version = services().groups.version(app_id, shape.identifier(version_id))
    group = services().groups.group_in_version(version, shape.identifier(group_id))
    listed = services().crashes.of_group_in_version(
        group.group.group_id, version.version_id, group.kept, shape.paging(request)
    )
    crashes = [hockeyapp_json.crash(report) for report in listed.entries]
    return json_answer(
        shape.listing(listed, crash_reason=hockeyapp_json.group(group), crashes=crashes)
    )


@routes.route(f"{_APP}/crashes/{{crash_id}}", methods=["GET"], content_types=ANY_TYPE, cors=True)
@hockeyapp_errors
def get_crash(app_id: str, crash_id: str) -> Response:
    """`format=log|json|text` with a token: a download. Without either: QuincyKit's feedback."""
    request = _incoming()
    wanted = request.parameter("format")
    if wanted is None and request.token is None:
        return _feedback(app_id, shape.identifier(crash_id))
    _authorised(app_id, "read", request)
    if wanted not in {"log", "json", "text"}:
        raise InvalidRequest({"format": ["is required: log, json or text"]})
    report_id = shape.identifier(crash_id)
    if not _is_processed(app_id, report_id):
        return json_answer({"status": "processing", "id": report_id}, 202)
    if wanted == "json":
        return json_answer(hockeyapp_json.crash(services().crashes.report(report_id, app_id)))
    received = services().crashes.payload(report_id)
    if wanted == "log" and received.door in MINIDUMP_DOORS:
        return text_answer(as_text(services().reader.report(received), received.annotations))
    if wanted == "text" and not received.description:
        return text_answer(services().feedback.text(report_id))
    return text_answer(as_sent(received.log if wanted == "log" else received.description))


@routes.route(
    f"{_APP}/crashes/{{crash_id}}/report", methods=["GET"], content_types=ANY_TYPE, cors=True
)
@hockeyapp_errors
def get_report(app_id: str, crash_id: str) -> Response:
    """Everything that was read of a crash, with the symbols there are now: threads, registers,
    modules (the shape is in `report_json`); 202 while it waits to be processed."""
    _authorised(app_id, "read")
    report_id = shape.identifier(crash_id)
    if not _is_processed(app_id, report_id):
        return json_answer({"status": "processing", "id": report_id}, 202)
    received = services().crashes.payload(report_id)
    told = as_json(services().reader.report(received))
    return json_answer({**told, "sent": dict(received.annotations)})


def _feedback(app_id: str, report_id: int) -> Response:
    """Whether the crash is fixed: status above 0 once its group is marked so."""
    services().accounts.app(app_id)
    if not _is_processed(app_id, report_id):
        return plist.plist_answer(str(report_id), plist.QUEUED, plist.FEEDBACK_DELAY_MS, 200)
    report = services().crashes.report(report_id, app_id)
    group = services().groups.group(app_id, report.group_id).group
    return plist.plist_answer(str(report_id), int(group.status == RESOLVED), 0, 200)


def _is_processed(app_id: str, report_id: int) -> bool:
    """False: accepted, still in the queue. Raises `NotFound` when there is no such crash."""
    try:
        services().crashes.report(report_id, app_id)
    except NotFound:
        if services().crashes.is_waiting(report_id, app_id):
            return False
        raise
    return True


# --- helpers -------------------------------------------------------------


def _incoming() -> Incoming:
    request = routes.current_request
    assert isinstance(request, Request)
    return incoming(request)


def _authorised(app_id: str, scope: Scope, request: Incoming | None = None) -> tuple[Incoming, App]:
    return authorised(request or _incoming(), app_id, scope)


def _order(request: Incoming) -> tuple[Sort, bool]:
    sort = shape.choice(request, "sort", _SORTS)
    return sort, shape.choice(request, "order", ("asc", "desc")) == "desc"


def _symbolicated(request: Incoming) -> bool:
    """`symbolicated=1`, which one client spells `symbolication`."""
    text = request.parameter("symbolicated") or request.parameter("symbolication") or "0"
    if text.strip() not in {"0", "1"}:
        raise InvalidRequest({"symbolicated": ["must be 0 or 1"]})
    return text.strip() == "1"
