"""The PartyCrasher door: REST API 0.2.0, each path with and without its project in front."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import unquote, urlencode

from chalice.app import Blueprint, CORSConfig, Response

from chalicelib.errors import Forbidden, InvalidRequest, NotFound
from chalicelib.handlers import partycrasher_posts as posts
from chalicelib.handlers import partycrasher_shape as shape
from chalicelib.handlers.common import ANY_TYPE, json_answer, services
from chalicelib.handlers.partycrasher_errors import Refused, partycrasher_errors, told
from chalicelib.handlers.partycrasher_posts import Bad, Known, Posted, Result, Stored
from chalicelib.handlers.partycrasher_request import (
    Asked,
    page_of,
    query_of,
    reader,
    threshold_of,
    times_of,
    uploader,
)
from chalicelib.queries.reports import FiledReport

routes = Blueprint(__name__)

_VERSION = "0.2.0"  # of the API, as `GET /` tells it
_SINCE = "3-days-ago"  # of top buckets, where the client says nothing
_CORS = CORSConfig(
    allow_headers=["X-HockeyAppToken"],
    expose_headers=["Location", "Link", "X-Total-Count"],
    max_age=600,
)
_DELETE_WITHIN_S = 20.0  # API Gateway waits 29 s for an answer
_ALL = "*"  # in the place of a project, in a search

View = TypeVar("View", bound=Callable[..., Response])
Found = TypeVar("Found")


def _route(path: str, method: str, *, with_project: bool = True) -> Callable[[View], View]:
    """The path, and the same below a project."""

    def register(view: View) -> View:
        paths = (path, f"/{{project}}{path}") if with_project else (path,)
        for each in paths:
            routes.route(each, methods=[method], content_types=ANY_TYPE, cors=_CORS)(view)
        return view

    return register


# --- uploading -----------------------------------------------------------


@_route("/reports", "POST")
@partycrasher_errors
def post_reports(project: str | None = None) -> Response:
    """One report, or an array of them. 201; 303 where a report of that id is there."""
    asked = uploader(routes)
    body = posts.read_body(asked.request.body)
    if isinstance(body, list):
        return _array(asked, [posts.checked_entry(entry, project) for entry in body])
    (result,) = posts.store([posts.checked(body, project, asked.request.body)])
    match result:
        case Stored(posted, filed):
            return json_answer(
                shape.report(filed, posted.own, asked.links),
                201,
                {
                    "Location": asked.links.report(filed.app.name, filed.database_id),
                    **_related(asked, filed),
                },
            )
        case Known(database_id, of_project):
            return _to(asked.links.report(of_project, database_id), 303)
    raise result.error


def _array(asked: Asked, checked: list[Posted | Bad]) -> Response:
    """201 as soon as one was stored. What is wrong with one stops no other."""
    results = posts.store(checked)
    stored = any(isinstance(result, Stored) for result in results)
    return json_answer([_entry(asked, result) for result in results], 201 if stored else 400)


def _entry(asked: Asked, result: Result) -> dict[str, Any]:
    match result:
        case Stored(posted, filed):
            return shape.report(filed, posted.own, asked.links)
        case Known(database_id, project):
            href = asked.links.report(project, database_id)
            return {
                "status": 303,
                "error": "already_stored",
                "database_id": database_id,
                "project": project,
                "href": href,
                "location": href,
            }
    status, body = told(result.error)
    return {"status": status, **body, "database_id": result.database_id}


@_route("/reports/dry-run", "POST")
@partycrasher_errors
def dry_run(project: str | None = None) -> Response:
    """Where a report would go; null at the thresholds at which it would open a bucket."""
    asked = uploader(routes)
    body = posts.read_body(asked.request.body)
    if isinstance(body, list):
        raise Refused("one_report_expected", "a dry run takes one report")
    posted = posts.checked(body, project, asked.request.body)
    app = services().projects.find(posted.project)
    tried = services().reports.dry_run(posted.raw, app, posted.force_bucket)
    return json_answer(shape.dry_run(posted.own, posted.project, tried, asked.links))


@_route("/reports/dry_run", "POST")
@partycrasher_errors
def dry_run_as_in_the_tree(project: str | None = None) -> Response:
    """The document's tree of endpoints spells it so."""
    return dry_run(project)


# --- reports -------------------------------------------------------------


@_route("/reports/{report_id}", "GET")
@partycrasher_errors
def get_report(report_id: str, project: str | None = None) -> Response:
    """What was posted, with its buckets and, in each frame, `logdf`."""
    asked = reader(routes)
    filed = _report(asked, project, report_id)
    own = services().reports.posted(filed.stored)
    rarity = services().reports.rarity(own)
    return json_answer(
        shape.report(filed, own, asked.links, rarity), headers=_related(asked, filed)
    )


@_route("/report/{report_id}", "GET")
@partycrasher_errors
def get_report_as_in_location(report_id: str, project: str | None = None) -> Response:
    """The document's `Location` spells it so."""
    return get_report(report_id, project)


@_route("/reports/{report_id}/summary", "GET")
@partycrasher_errors
def summarise(report_id: str, project: str | None = None) -> Response:
    """What makes the report what it is: its terms by falling weight."""
    asked = reader(routes)
    filed = _report(asked, project, report_id)
    terms = services().reports.summary(filed.stored)
    return json_answer({**shape.named(filed, asked.links), "summary": shape.weights(terms)})


@_route("/reports/{report_id}/compare/{other_id}", "GET")
@partycrasher_errors
def compare(report_id: str, other_id: str, project: str | None = None) -> Response:
    """How alike two reports are, and why; the other one may be of another project."""
    asked = reader(routes)
    filed = _report(asked, project, report_id)
    other = _report(asked, None, other_id)
    found = services().reports.compare(filed, other)
    return json_answer({**shape.named(filed, asked.links), **shape.comparison(other, found)})


@_route("/reports", "DELETE", with_project=False)
@partycrasher_errors
def delete_all() -> Response:
    """Every report of every project; for an admin, and only where the settings allow it."""
    asked = uploader(routes)
    if not services().settings.allow_delete_all:
        told_how = "set CRASHBUCKET_ALLOW_DELETE_ALL to allow it"
        raise Refused("Deleting all reports not enabled", told_how, 403)
    access = services().accounts.authenticate(asked.request.token)
    access.require("admin")
    if access.app_ids is not None:
        raise Forbidden("these credentials are for some apps, and all projects are asked for")
    app_ids = [app.app_id for app in services().projects.all()]
    if not services().eraser.erase(app_ids, _DELETE_WITHIN_S):
        raise Refused("unfinished", "some reports are left; send it again", 503)
    return json_answer({"status": "All reports deleted"})


# --- buckets -------------------------------------------------------------


@_route("/buckets", "GET")
@partycrasher_errors
def redirect_to_buckets(project: str | None = None) -> Response:
    """To the default threshold, with the query as it is."""
    asked = reader(routes)
    href = asked.links.bucket(project, services().bucketing.default_threshold)
    query = urlencode(asked.request.query)
    return _to(f"{href}?{query}" if query else href, 302)


@_route("/buckets/{threshold}", "GET")
@partycrasher_errors
def top_buckets(threshold: str, project: str | None = None) -> Response:
    """The buckets with most reports since a date, largest first."""
    asked = reader(routes)
    level = threshold_of(threshold)
    times = times_of(asked.request, since=_SINCE)
    start, size = page_of(asked.request)
    found = services().buckets.top(
        asked.app_ids(project),
        level,
        times.since,
        times.before,
        query_of(asked.request),
        start=start,
        size=size,
    )
    return json_answer(
        {
            **times.told(),
            "threshold": level,
            "q": asked.request.query.get("q"),
            "top_buckets": [shape.top_bucket(b, project, level, asked.links) for b in found],
        }
    )


@_route("/buckets/{threshold}/{bucket_id}", "GET")
@partycrasher_errors
def get_bucket(threshold: str, bucket_id: str, project: str | None = None) -> Response:
    """How many reports a bucket holds, and the newest of them."""
    asked = reader(routes)
    level = threshold_of(threshold)
    start, size = page_of(asked.request)
    app_ids = asked.app_ids(project)
    found = _first_known(
        bucket_id, lambda wanted: services().buckets.bucket(app_ids, level, wanted, start, size)
    )
    reports = services().reports.filed(found.reports)
    return json_answer(shape.bucket_page(found, reports, project, level, asked.links))


# --- search --------------------------------------------------------------


@_route("/search", "GET")
@partycrasher_errors
def search(project: str | None = None) -> Response:
    """The reports that match a query in Lucene's syntax; `*` as project searches all."""
    asked = reader(routes)
    parameters = asked.request.query
    times = times_of(asked.request)
    start, size = page_of(asked.request)
    order = parameters.get("order") or "desc"
    if order not in {"asc", "desc"}:
        raise InvalidRequest({"order": ["must be asc or desc"]})
    found = services().search.search(
        asked.app_ids(None if project == _ALL else project),
        query_of(asked.request),
        times.since,
        times.before,
        sort=parameters.get("sort") or "date",
        descending=order == "desc",
        start=start,
        size=size,
    )
    entries = [shape.listed(r, asked.links) for r in services().reports.filed(found.entries)]
    return json_answer(entries, headers={"X-Total-Count": str(found.total)})


# --- projects and configuration --------------------------------------------


@_route("/", "GET", with_project=False)
@partycrasher_errors
def root() -> Response:
    """What is here: the projects that the caller may see, and the thresholds."""
    asked = reader(routes)
    return json_answer(
        {
            "href": f"{asked.links.base}/",
            "partycrasher": {"version": _VERSION, "elastic": None},
            "projects": [
                {"name": app.name, "href": asked.links.project(app.name)}
                for app in asked.projects(None)
            ],
            "config": {**_config(), "thresholds": list(services().bucketing.thresholds)},
        }
    )


@_route("/{project}", "GET", with_project=False)
@partycrasher_errors
def get_project(project: str) -> Response:
    """Where a project's resources are."""
    asked = reader(routes)
    if not asked.projects(project):
        raise NotFound("project", project)
    href = asked.links.project(project)
    resources = {name: f"{href}/{name}" for name in ("reports", "buckets", "search")}
    return json_answer({"name": project, "href": href, **resources, "config": _config()})


@_route("/config", "GET")
@partycrasher_errors
def config(project: str | None = None) -> Response:  # noqa: ARG001 - all projects have the same
    """The default threshold."""
    reader(routes)
    return json_answer(_config())


def _config() -> dict[str, Any]:
    return {"default_threshold": float(services().bucketing.default_threshold)}


# --- helpers -------------------------------------------------------------


def _to(location: str, status: int) -> Response:
    return Response("", status_code=status, headers={"Location": location})


def _report(asked: Asked, project: str | None, report_id: str) -> FiledReport:
    """The report, if the caller may see it and it is in that project (None: in any)."""
    filed = _first_known(report_id, services().reports.report)
    if not asked.links.sees(filed.app) or project not in {None, filed.app.name}:
        raise NotFound("report", report_id)
    return filed


def _first_known(identifier: str, find: Callable[[str], Found]) -> Found:
    """What is found under the id; a slash in it stands quoted, as in the links we give."""
    try:
        return find(identifier)
    except NotFound:
        if "%" not in identifier:
            raise
    return find(unquote(identifier))


def _related(asked: Asked, filed: FiledReport) -> dict[str, str]:
    threshold = services().bucketing.default_threshold
    bucket_id = filed.buckets.get(threshold)
    if bucket_id is None:
        return {}
    return {"Link": f'<{asked.links.bucket(filed.app.name, threshold, bucket_id)}>; rel="related"'}
