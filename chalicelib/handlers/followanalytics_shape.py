"""Our values in the shapes of FollowAnalytics' document."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from chalice.app import Response

from chalicelib import clock
from chalicelib.job_ids import job_id
from chalicelib.occurrences import occurrence_of
from chalicelib.records import DONE, FAILED, Export, StoredReport
from chalicelib.users import SignedIn


def answer(
    body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """JSON without blanks: scripts look for `"auth_token":"` in the text."""
    return Response(
        json.dumps(body, ensure_ascii=False, separators=(",", ":")),
        status_code=status,
        headers={
            "Content-Type": "application/json; charset=utf-8",
            "Cache-Control": "no-store",  # tokens, links, and how far a job is
            **(headers or {}),
        },
    )


def failure(status: str, message: str) -> dict[str, Any]:
    return {"success": False, "status": status, "error_message": message}


def signed_in(given: SignedIn) -> dict[str, Any]:
    expires_at = clock.to_wire(given.expires_at)
    return {"success": True, "result": {"auth_token": given.token, "expires_at": expires_at}}


def occurrences(
    group_id: int, reports: Sequence[StoredReport], total: int, per_page: int, next_url: str | None
) -> dict[str, Any]:
    """A page as the document shows it; behind the documented keys those of the page.

    It is there at once, so nothing is loading.
    """
    return {
        "loading": [False],
        "job_id": job_id("occurrences", group_id),
        "success": True,
        "result": [_occurrence(report) for report in reports],
        "total": total,
        "per_page": per_page,
        "next": next_url,
    }


def _occurrence(report: StoredReport) -> dict[str, str]:
    found = occurrence_of(report)
    return {"id": found.id, "date": found.date, "log_id": found.log_id}


def next_page(url: str, per_page: int, after: str | None) -> str | None:
    if after is None:
        return None
    return f"{url}?{urlencode({'after': after, 'per_page': per_page})}"


def export(state: Export, url: str) -> dict[str, Any]:
    """How far an export is; `url` gives the file once it is there."""
    identifier = job_id("export", state.report_id)
    if state.state == FAILED:
        return {
            **failure("failed", state.reason or "the export failed"),
            "loading": [False],
            "job_id": identifier,
        }
    is_done = state.state == DONE
    told = {"success": True, "loading": [not is_done], "job_id": identifier}
    if not is_done:
        return told
    expires_at = clock.to_wire(datetime.fromtimestamp(state.expires_at, UTC))
    return {**told, "result": {"url": url, "expires_at": expires_at}}
