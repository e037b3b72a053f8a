"""Search over groups: by what names them, their status, and their counts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from chalicelib.queries.document import Document, DocumentBuilder
from chalicelib.queries.groups import CountedGroup
from chalicelib.queries.matching import matches
from chalicelib.queries.query import Query
from chalicelib.records import IGNORED, OPEN, RESOLVED

_STATUS = {OPEN: "open", RESOLVED: "resolved", IGNORED: "ignored"}


def matching(groups: Iterable[CountedGroup], query: Query) -> Iterator[CountedGroup]:
    """Those of the groups that match, in their order.

    The fields are HockeyApp's: `cclass`, `cmethod`, `cfile`, `cline`,
    `reason`, `exception_type`, `status` (its number or its word), and ours.
    """
    return (entry for entry in groups if matches(query, _document(entry)))


def _document(entry: CountedGroup) -> Document:
    group = entry.group
    builder = DocumentBuilder()
    texts = {
        "cclass": group.class_name,
        "cmethod": group.method,
        "cfile": group.file,
        "reason": group.reason,
        "exception_type": group.exception_type,
        "signature": group.signature,
        "ticket_url": group.ticket_url,
    }
    for name, text in texts.items():
        builder.add(name, text)
    book_keeping = {
        "cline": group.line,
        "status": [group.status, _STATUS.get(group.status)],
        "id": group.group_id,
        "number_of_crashes": entry.total,
        "created_at": entry.first_at,
        "last_crash_at": entry.last_at,
        "bundle_version": entry.version.number,
        "bundle_short_version": entry.version.name,
    }
    for name, value in book_keeping.items():
        builder.add_by_name_only(name, value)
    return builder.document()
