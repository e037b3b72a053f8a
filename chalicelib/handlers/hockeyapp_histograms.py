"""Crashes by day over HockeyApp's API: of an app, of a version, of a group."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date

from chalice.app import Blueprint, Request, Response

from chalicelib.errors import InvalidRequest
from chalicelib.handlers import hockeyapp_shape as shape
from chalicelib.handlers.common import ANY_TYPE, Incoming, incoming, json_answer, services
from chalicelib.handlers.hockeyapp_access import authorised
from chalicelib.handlers.hockeyapp_errors import hockeyapp_errors
from chalicelib.queries.histograms import DayCount, Days

routes = Blueprint(__name__)

_APP = "/api/2/apps/{app_id}"
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


@routes.route(f"{_APP}/crashes/histogram", methods=["GET"], content_types=ANY_TYPE, cors=True)
@hockeyapp_errors
def histogram_of_app(app_id: str) -> Response:
    """The app's crashes by day."""
    request, app = authorised(_incoming(), app_id, "read")
    return _answer(services().histograms.of_app(app.app_id, days_asked(request)))


@routes.route(
    f"{_APP}/app_versions/{{version_id}}/crashes/histogram",
    methods=["GET"],
    content_types=ANY_TYPE,
    cors=True,
)
@hockeyapp_errors
def histogram_of_version(app_id: str, version_id: str) -> Response:
    """A version's crashes by day."""
    request, _ = authorised(_incoming(), app_id, "read")
    version = services().groups.version(app_id, shape.identifier(version_id))
    return _answer(services().histograms.of_version(version, days_asked(request)))


@routes.route(
    f"{_APP}/crash_reasons/{{group_id}}/histogram",
    methods=["GET"],
    content_types=ANY_TYPE,
    cors=True,
)
@hockeyapp_errors
def histogram_of_group(app_id: str, group_id: str) -> Response:
    """A group's crashes by day."""
    request, _ = authorised(_incoming(), app_id, "read")
    group = services().groups.group(app_id, shape.identifier(group_id)).group
    return _answer(services().histograms.of_group(group, days_asked(request)))


def _answer(counted: Sequence[DayCount]) -> Response:
    histogram = [[entry.day.isoformat(), entry.crashes] for entry in counted]
    return json_answer({"status": "success", "histogram": histogram})


def days_asked(request: Incoming) -> Days:
    """`start_date` and `end_date`, both required; raises `InvalidRequest` by field."""
    wrong: dict[str, list[str]] = {}
    found: dict[str, date] = {}
    for name in ("start_date", "end_date"):
        text = (request.parameter(name) or "").strip()
        try:
            if not _DAY.fullmatch(text):
                raise ValueError(text)
            found[name] = date.fromisoformat(text)
        except ValueError:
            problem = "must be a day as YYYY-MM-DD" if text else "is required: a day as YYYY-MM-DD"
            wrong[name] = [problem]
    if not wrong and found["start_date"] > found["end_date"]:
        wrong["start_date"] = ["must not be after end_date"]
    if wrong:
        raise InvalidRequest(wrong)
    return Days(found["start_date"], found["end_date"])


def _incoming() -> Incoming:
    request = routes.current_request
    assert isinstance(request, Request)
    return incoming(request)
