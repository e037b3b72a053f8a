"""Our model in PartyCrasher's JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from chalicelib.bucketing.assignment import FramePair, Weight
from chalicelib.queries.buckets import Bucket, BucketPage
from chalicelib.queries.reports import DryRun, FiledReport, ReportComparison, TopMatch
from chalicelib.records import App

_SAFE = ":@!$&'()*+,;=~"  # stand in a path as they are (RFC 3986)


@dataclass(frozen=True, slots=True)
class Links:
    """Whole URLs, below `base`, and what the caller may know of: `sees` decides by app."""

    base: str
    sees: Callable[[App], bool]

    def project(self, name: str) -> str:
        return f"{self.base}/{_part(name)}"

    def report(self, project: str, database_id: str) -> str:
        return f"{self.project(project)}/reports/{_part(database_id)}"

    def bucket(self, project: str | None, threshold: str, bucket_id: str | None = None) -> str:
        below = self.project(project) if project is not None else self.base
        tail = f"/{_part(bucket_id)}" if bucket_id is not None else ""
        return f"{below}/buckets/{threshold}{tail}"


def _part(text: str) -> str:
    """One part of a path.

    A slash is quoted twice: servers take a quoted one for a slash. `unquoted` is the way back.
    """
    return quote(text.replace("/", "%2F"), safe=_SAFE)


def report(
    filed: FiledReport,
    own: Mapping[str, Any],
    links: Links,
    rarity: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """What was posted, with what the server adds: project, date, href, buckets, logdf."""
    project = filed.app.name
    return {
        **own,
        "stacktrace": _frames(own.get("stacktrace", []), rarity or {}),
        "date": own.get("date", _date(filed.stored.date)),
        "project": project,
        **_generated(project, filed.database_id, links),
        "buckets": buckets(project, filed.buckets, filed.top_match, links),
    }


def listed(filed: FiledReport, links: Links) -> dict[str, Any]:
    """A report in a list: what tells it, and its buckets; the rest is at its href."""
    project = filed.app.name
    return {
        **named(filed, links),
        "date": _date(filed.stored.date),
        "buckets": buckets(project, filed.buckets, filed.top_match, links),
    }


def dry_run(own: Mapping[str, Any], project: str, tried: DryRun, links: Links) -> dict[str, Any]:
    """What the report would look like once stored."""
    return {
        **own,
        "project": project,
        **_generated(project, own["database_id"], links),
        "buckets": buckets(project, tried.buckets, tried.top_match, links),
    }


def named(filed: FiledReport, links: Links) -> dict[str, Any]:
    """Which report an answer is about."""
    project = filed.app.name
    return {
        "database_id": filed.database_id,
        "project": project,
        **_generated(project, filed.database_id, links),
    }


def _generated(project: str, database_id: str, links: Links) -> dict[str, Any]:
    return {
        "project_href": links.project(project),
        "href": links.report(project, database_id),
    }


def buckets(
    project: str, assigned: Mapping[str, str | None], match: TopMatch | None, links: Links
) -> dict[str, Any]:
    """A bucket under each threshold (null: it would be a new one), and `top_match`."""
    shaped: dict[str, Any] = {
        threshold: None
        if assigned[threshold] is None
        else _bucket(project, threshold, str(assigned[threshold]), links)
        for threshold in sorted(assigned, key=float)
    }
    shaped["top_match"] = _match(match, links)
    return shaped


def _bucket(project: str, threshold: str, bucket_id: str, links: Links) -> dict[str, Any]:
    """The document calls one thing `id` and `bucket_id`, and another one `href` and `url`."""
    href = links.bucket(project, threshold, bucket_id)
    return {
        "id": bucket_id,
        "bucket_id": bucket_id,
        "href": href,
        "url": href,
        "project": project,
        "threshold": threshold,
        "total": None,
    }


def _match(match: TopMatch | None, links: Links) -> dict[str, Any] | None:
    """Nothing of a match that the caller may not see."""
    if match is None or not links.sees(match.app):
        return None
    return {
        "report_id": match.database_id,
        "href": links.report(match.app.name, match.database_id),
        "project": match.app.name,
        "project_href": links.project(match.app.name),
        "score": f"{match.score:.6f}",
    }


def _frames(frames: Sequence[Any], rarity: Mapping[str, float]) -> list[Any]:
    shaped = []
    for frame in frames:
        function = frame.get("function") if isinstance(frame, dict) else None
        bits = rarity.get(function) if isinstance(function, str) else None
        shaped.append(frame if bits is None else {**frame, "logdf": logdf(bits)})
    return shaped


def logdf(bits: float) -> str:
    """A string, as the document prints it, to 11 places."""
    return str(round(bits, 11) + 0.0)  # no "-0.0"


def weights(terms: Sequence[Weight]) -> list[dict[str, Any]]:
    return [{"field": term.field, "term": term.term, "value": term.value} for term in terms]


def frame_pairs(pairs: Sequence[FramePair]) -> list[dict[str, Any]]:
    return [{"left": pair.left, "right": pair.right, "value": pair.value} for pair in pairs]


def _date(stored: str) -> str:
    """`2016-11-03T19:14:02.827181`: the document's dates are UTC without saying so."""
    return stored.removesuffix("Z").removesuffix(".000000")


def first_seen(stored: str) -> str:
    """`2016-02-27T14:32:08Z`, as the document's example of top buckets has it."""
    return f"{_date(stored)}Z"


def top_bucket(bucket: Bucket, project: str | None, threshold: str, links: Links) -> dict[str, Any]:
    return {
        "id": bucket.bucket_id,
        "href": links.bucket(project, threshold, bucket.bucket_id),
        "threshold": threshold,
        "total": bucket.total,
        "first_seen": first_seen(bucket.first_at),
        "project": project,
        "top_reports": None,
    }


def bucket_page(
    page: BucketPage,
    reports: Sequence[FiledReport],
    project: str | None,
    threshold: str,
    links: Links,
) -> dict[str, Any]:
    return {
        "id": page.bucket_id,
        "project": project,
        "href": links.bucket(project, threshold, page.bucket_id),
        "threshold": threshold,
        "total": page.total,
        "first_seen": first_seen(page.first_at),
        "top_reports": [listed(entry, links) for entry in reports],
    }


def comparison(other: FiledReport, found: ReportComparison) -> dict[str, Any]:
    """The other report, the score, where both share a bucket, and what made the score."""
    return {
        "other_id": other.database_id,
        "other_project": other.app.name,
        "score": found.comparison.score,
        "buckets": dict(sorted(found.same.items(), key=lambda entry: float(entry[0]))),
        "terms": weights(found.comparison.terms),
        "frames": frame_pairs(found.comparison.frames),
    }
