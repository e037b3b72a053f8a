"""The FollowAnalytics door: sign in, list a crash's occurrences, export one of them."""

from __future__ import annotations

from collections.abc import Mapping

from chalice.app import Blueprint, Request, Response

from chalicelib import job_ids
from chalicelib.access import Access
from chalicelib.errors import InvalidRequest, NotFound, PayloadTooLarge
from chalicelib.formats.bounded_json import read_exactly
from chalicelib.handlers import followanalytics_shape as shape
from chalicelib.handlers.basic_auth import access_of
from chalicelib.handlers.common import ANY_TYPE, Incoming, incoming, services
from chalicelib.handlers.file_response import FileResponse
from chalicelib.handlers.followanalytics_errors import NoAccess, followanalytics_errors
from chalicelib.handlers.hockeyapp_shape import identifier
from chalicelib.handlers.public_url import public_url
from chalicelib.occurrences import Occurrence, occurrence_of, report_id_in
from chalicelib.records import WAITING, Export, Group, StoredReport

routes = Blueprint(__name__)

_CRASH = "/api/crashes/{crash_identifier}"
_JOBS = "/api/jobs"
_JOB = f"{_JOBS}/{{job_id}}"

_MAX_SIGN_IN_BYTES = 20_000  # the longest email and password, every character escaped
_DEFAULT_PER_PAGE = 1000
_MAX_PER_PAGE = 10_000  # 1.4 MB of answer; Lambda's limit is 6 MB
_POLL_AFTER_S = "1"


@routes.route("/api/login", methods=["POST"], content_types=ANY_TYPE, cors=True)
@followanalytics_errors
def sign_in() -> Response:
    """`{"email", "password"}` as JSON, or as a form: a token for `Authorization: Token`."""
    said = _said(_incoming())
    wanted = [said.get(name) for name in ("email", "password")]
    email, password = (text if isinstance(text, str) else "" for text in wanted)
    if not (email and password):
        raise InvalidRequest({"email": ["email or password not provided"]})
    return shape.answer(shape.signed_in(services().users.sign_in(email, password)))


@routes.route(f"{_CRASH}/occurrences", methods=["GET"], content_types=ANY_TYPE, cors=True)
@followanalytics_errors
def list_occurrences(crash_identifier: str) -> Response:
    """The occurrences of a crash, newest first; `per_page`, `after`."""
    request, access = _reader()
    group = _group(access, identifier(crash_identifier), crash_identifier)
    return _occurrences(request, group)


@routes.route(f"{_CRASH}/export_occurrences", methods=["GET"], content_types=ANY_TYPE, cors=True)
@followanalytics_errors
def export_occurrence(crash_identifier: str) -> Response:
    """Have the report of an occurrence (`id`, `log_id`, `date`) written to a file; how far it is.

    Asked again it is the same job, as long as its file is kept.
    """
    request, access = _reader()
    group = _group(access, identifier(crash_identifier), crash_identifier)
    asked = [(request.parameter(name) or "").strip() for name in ("id", "log_id", "date")]
    if not all(asked):
        raise InvalidRequest({"id": ["id, log id or start_day not provided"]})
    return _job(services().exports.start(_report(group, Occurrence(*asked))))


@routes.route(_JOB, methods=["GET"], content_types=ANY_TYPE, cors=True)
@followanalytics_errors
def get_job(job_id: str) -> Response:
    """What the job has come to: as the request that started it answers."""
    request, access = _reader()
    try:
        kind, number = _read(job_id)
        if kind == "occurrences":
            return _occurrences(request, _group(access, number, job_id))
        export = services().exports.state(number)
        if not access.opens(export.app_id):
            raise NoAccess(job_id)
    except (NotFound, NoAccess) as error:
        raise NotFound("Job", job_id) from error
    return _job(export)


@routes.route(f"{_JOB}/file", methods=["GET"], content_types=ANY_TYPE, cors=True)
@followanalytics_errors
def download_file(job_id: str) -> Response:
    """What the link of a job gives to whoever has it; 302 to the store for what is large."""
    services().links.check(_file_path(job_id), _incoming().query)
    try:
        found = services().exports.open(_read(job_id)[1])
    except NotFound as error:
        raise NotFound("Job", job_id) from error
    if found.url is not None:
        return Response("", status_code=302, headers={"Location": found.url})
    return FileResponse(found.data, found.filename)


# --- helpers -------------------------------------------------------------


def _said(request: Incoming) -> Mapping[str, object]:
    """The fields of the body: of a JSON object, whatever its type says (curl -d), or of a form."""
    if len(request.body) > _MAX_SIGN_IN_BYTES:
        raise PayloadTooLarge("body", len(request.body), _MAX_SIGN_IN_BYTES)
    if request.body.lstrip().startswith(b"{"):
        said = read_exactly(request.body)
        return said if isinstance(said, dict) else {}
    return {name: part.text for name, part in request.form.parts.items()}


def _group(access: Access, group_id: int, asked: str) -> Group:
    """The group; the document tells one that is not there from one that may not be seen."""
    try:
        group = services().groups.find(group_id)
    except NotFound as error:
        raise NotFound("App Crash", asked) from error
    if not access.opens(group.app_id):
        raise NoAccess(asked)
    return group


def _occurrences(request: Incoming, group: Group) -> Response:
    per_page = _per_page(request)
    after = request.parameter("after") or None
    page = services().crashes.newest_of_group(group.group_id, per_page, after)
    total = services().groups.group(group.app_id, group.group_id).total
    url = f"{_base()}{_CRASH.format(crash_identifier=group.group_id)}/occurrences"
    following = shape.next_page(url, per_page, page.after)
    body = shape.occurrences(group.group_id, page.entries, total, per_page, following)
    return shape.answer(body, headers={"Link": f'<{following}>; rel="next"'} if following else {})


def _per_page(request: Incoming) -> int:
    text = (request.parameter("per_page") or "").strip() or str(_DEFAULT_PER_PAGE)
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 6 else 0
    if not 1 <= number <= _MAX_PER_PAGE:
        raise InvalidRequest({"per_page": [f"per_page must be 1 to {_MAX_PER_PAGE}"]})
    return number


def _report(group: Group, asked: Occurrence) -> StoredReport:
    """The group's report of that occurrence; raises `NotFound` unless every part of it fits."""
    report_id = report_id_in(asked.id)
    if report_id is not None:
        try:
            report = services().crashes.report(report_id, group.app_id)
        except NotFound:
            pass
        else:
            own = services().groups.find(report.group_id)  # the one that it is merged into by now
            if own.group_id == group.group_id and occurrence_of(report) == asked:
                return report
    raise NotFound("App Crash Occurrence", asked.id)


def _read(job_id: str) -> tuple[job_ids.Kind, int]:
    known = job_ids.read(job_id)
    if known is None:
        raise NotFound("Job", job_id)
    return known


def _job(export: Export) -> Response:
    path = _file_path(job_ids.job_id("export", export.report_id))
    url = f"{_base()}{services().links.signed_until(path, export.expires_at)}"
    headers = {"Retry-After": _POLL_AFTER_S} if export.state == WAITING else {}
    return shape.answer(shape.export(export, url), headers=headers)


def _file_path(job_id: str) -> str:
    return f"{_JOBS}/{job_id}/file"


def _reader() -> tuple[Incoming, Access]:
    """The request, of somebody who may read something."""
    request = _incoming()
    access = access_of(request)
    access.require("read")
    return request, access


def _incoming() -> Incoming:
    return incoming(_request())


def _base() -> str:
    return public_url(_request(), services().settings.base_url)


def _request() -> Request:
    request = routes.current_request
    assert isinstance(request, Request)
    return request
