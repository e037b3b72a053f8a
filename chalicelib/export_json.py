"""Everything there is of one crash as one JSON object, for who takes it along as a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chalicelib import report_json
from chalicelib.formats.text import as_sent
from chalicelib.model import Report
from chalicelib.occurrences import occurrence_of
from chalicelib.payload import MINIDUMP_DOORS, Payload
from chalicelib.records import StoredReport
from chalicelib.report_text import as_text

# What a payload holds for ourselves, and the address that a post came from, which no answer shows.
_KEPT_BACK = frozenset({"client_address", "landing", "kept"})


def as_json(
    stored: StoredReport, received: Payload, report: Report, *, app_name: str, description: str
) -> dict[str, Any]:
    """The occurrence, what was received for it, and the report as `report_json` has it.

    `log` is the text of the crash log; of a minidump it is the text of what was read from it.
    """
    occurrence = occurrence_of(stored)
    return {
        "id": occurrence.id,
        "log_id": occurrence.log_id,
        "date": occurrence.date,
        "crash_identifier": stored.group_id,
        "crash_id": stored.report_id,
        "app": {"id": stored.app_id, "title": app_name},
        "version": stored.bundle_version,
        "short_version": stored.bundle_short_version,
        "received_at": stored.received_at,
        "occurred_at": stored.occurred_at,
        "door": received.door,
        "fields": shown_fields(received.fields),
        "annotations": dict(received.annotations),
        "attachments": [
            {
                "name": attachment.name,
                "filename": attachment.filename,
                "content_type": attachment.content_type,
                "size_bytes": attachment.size_bytes,
            }
            for attachment in received.attachments
        ],
        "description": description,
        "report": report_json.as_json(report),
        "log": log_text(received, report),
    }


def log_text(received: Payload, report: Report) -> str:
    """The log as it was sent; of a minidump the report as text."""
    if received.door in MINIDUMP_DOORS:
        return as_text(report)
    return as_sent(received.log)


def shown_fields(fields: Mapping[str, str]) -> dict[str, str]:
    """What the client said, without what we keep for ourselves."""
    return {name: value for name, value in fields.items() if name not in _KEPT_BACK}
