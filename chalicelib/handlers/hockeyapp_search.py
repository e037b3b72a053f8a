"""HockeyApp's searches: of crashes and of groups, of an app or of one of its versions."""

from __future__ import annotations

from chalice.app import Blueprint, Request, Response

from chalicelib import hockeyapp_json
from chalicelib.errors import InvalidQuery, InvalidRequest
from chalicelib.handlers import hockeyapp_shape as shape
from chalicelib.handlers.common import ANY_TYPE, Incoming, incoming, json_answer, services
from chalicelib.handlers.hockeyapp_access import authorised
from chalicelib.handlers.hockeyapp_errors import hockeyapp_errors
from chalicelib.queries import lucene
from chalicelib.queries.field_names import dates_of, renamed, without_dates
from chalicelib.queries.group_search import matching
from chalicelib.queries.paging import Listing, cut
from chalicelib.queries.query import And, Query, Word
from chalicelib.records import Version

routes = Blueprint(__name__)

_APP = "/api/2/apps/{app_id}"
_VERSION = f"{_APP}/app_versions/{{version_id}}"
# The names in HockeyApp's answers, of what search knows under ours.
_CRASH_FIELDS = {
    "user_string": "user",
    "contact_string": "contact",
    "created_at": "date",
    "id": "report_id",
    "crash_reason_id": "group_id",
    "app_version_id": "version_id",
    "cmethod": "stacktrace.function",
}
_GROUP_FIELDS = {"class": "cclass", "method": "cmethod", "file": "cfile", "line": "cline"}


@routes.route(f"{_APP}/crashes/search", methods=["GET"], content_types=ANY_TYPE, cors=True)
@hockeyapp_errors
def search_crashes(app_id: str) -> Response:
    """The crashes that match `query`, newest first."""
    request, _ = authorised(_request(), app_id, "read")
    return _crashes(request, app_id, _query(request))


@routes.route(f"{_VERSION}/crashes/search", methods=["GET"], content_types=ANY_TYPE, cors=True)
@hockeyapp_errors
def search_crashes_of_version(app_id: str, version_id: str) -> Response:
    """The same among the crashes of one version."""
    request, _ = authorised(_request(), app_id, "read")
    version = services().groups.version(app_id, shape.identifier(version_id))
    ours = Word(str(version.version_id), "version_id")
    return _crashes(request, app_id, And((_query(request), ours)))


@routes.route(f"{_APP}/crash_reasons/search", methods=["GET"], content_types=ANY_TYPE, cors=True)
@hockeyapp_errors
def search_groups(app_id: str) -> Response:
    """The groups that match `query`, the latest first."""
    request, _ = authorised(_request(), app_id, "read")
    return _groups(request, app_id, None)


@routes.route(
    f"{_VERSION}/crash_reasons/search", methods=["GET"], content_types=ANY_TYPE, cors=True
)
@hockeyapp_errors
def search_groups_of_version(app_id: str, version_id: str) -> Response:
    """The same among the groups that crashed in one version."""
    request, _ = authorised(_request(), app_id, "read")
    version = services().groups.version(app_id, shape.identifier(version_id))
    return _groups(request, app_id, version)


def _crashes(request: Incoming, app_id: str, query: Query) -> Response:
    paging = shape.paging(request)
    told = renamed(query, _CRASH_FIELDS)
    time = dates_of(told, "date")
    told = without_dates(told, "date")
    found = services().search.search(
        [app_id], told, time.since, time.until, start=paging.start, size=paging.per_page
    )
    listed = Listing(found.entries, found.total, paging)
    crashes = [hockeyapp_json.crash(report) for report in found.entries]
    return json_answer(shape.listing(listed, crashes=crashes))


def _groups(request: Incoming, app_id: str, version: Version | None) -> Response:
    query = renamed(_query(request), _GROUP_FIELDS)
    listed = cut(
        list(matching(services().groups.every(app_id, version), query)), shape.paging(request)
    )
    groups = [hockeyapp_json.group(entry) for entry in listed.entries]
    return json_answer(shape.listing(listed, crash_reasons=groups))


def _query(request: Incoming) -> Query:
    """The `query`, which must ask for something; 422 says where it cannot be read."""
    text = request.parameter("query") or ""
    if not text.strip():
        raise InvalidRequest({"query": ["is required: docs/search.md has its syntax"]})
    try:
        return lucene.parse(text)
    except InvalidQuery as error:
        raise InvalidRequest({"query": [str(error)]}) from error


def _request() -> Incoming:
    request = routes.current_request
    assert isinstance(request, Request)
    return incoming(request)
