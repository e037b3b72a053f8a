"""Our values in the shapes of the HockeyApp documents, for answers and for webhooks.

Beside the documented keys stand those that real API clients demand
(`grouping_hash`, `grouping_type`, `pattern`, `exception_type`, ...).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from chalicelib import clock
from chalicelib.payload import Attachment
from chalicelib.queries.groups import CountedGroup
from chalicelib.records import RESOLVED, Annotation, App, StoredReport, Version


def app(entry: App) -> dict[str, Any]:
    return {
        "id": entry.number,
        "title": entry.name,
        "bundle_identifier": entry.bundle_id,
        "public_identifier": entry.app_id,
        "platform": entry.platform,
        "created_at": clock.stored_to_wire(entry.created_at),
        "updated_at": clock.stored_to_wire(entry.created_at),
        "device_family": None,
        "minimum_os_version": None,
        "release_type": 0,
        "status": 2,
        "role": 0,
    }


def version(entry: Version, owner: App) -> dict[str, Any]:
    created_at = clock.stored_to_wire(entry.created_at)
    return {
        "id": entry.version_id,
        "app_id": owner.number,
        "app_owner": "",
        "title": owner.name,
        "version": entry.number,
        "shortversion": entry.name,
        "timestamp": int(datetime.fromisoformat(created_at).timestamp()),
        "created_at": created_at,
        "updated_at": created_at,
        "appsize": 0,
        "notes": "",
        "status": 1,
        "mandatory": False,
        "external": False,
        "block_crashes": False,
        "restricted_to_tags": False,
        "config_url": "",
        "download_url": None,
        "device_family": None,
        "minimum_os_version": None,
        "expired_at": None,
        "sdk_version": None,
        "uuids": None,
    }


def version_statistics(entry: Version, crashes: int) -> dict[str, Any]:
    """What clients expect of a version; it was not from here that people installed it."""
    return {
        "id": entry.version_id,
        "version": entry.number,
        "shortversion": entry.name,
        "created_at": clock.stored_to_wire(entry.created_at),
        "statistics": {
            "crashes": crashes,
            "devices": 0,
            "downloads": 0,
            "installs": 0,
            "last_request_at": None,
            "usage_time": "0:00:00",
        },
    }


def group(entry: CountedGroup) -> dict[str, Any]:
    stored = entry.group
    return {
        "id": stored.group_id,
        "app_id": stored.app_number,
        "app_version_id": entry.version.version_id,
        "number_of_crashes": entry.total,
        "created_at": clock.stored_to_wire(entry.first_at),
        "updated_at": clock.stored_to_wire(max(entry.last_at, stored.updated_at or "")),
        "last_crash_at": clock.stored_to_wire(entry.last_at),
        "bundle_short_version": entry.version.name,
        "bundle_version": entry.version.number,
        "status": stored.status,
        "fixed": stored.status == RESOLVED,
        "file": stored.file,
        "class": stored.class_name or ("-" if stored.method else None),
        "method": stored.method,
        "line": None if stored.line is None else str(stored.line),
        "reason": stored.reason,
        "exception_type": stored.exception_type,
        "grouping_hash": stored.bucket_id,
        "grouping_type": 0,
        "pattern": None,
        "ticket_url": stored.ticket_url,
        "resolved_at": _moment(stored.resolved_at),
        "regressed_at": _moment(stored.regressed_at),
        "regressed_in_version_id": stored.regressed_in_version_id,
    }


def annotation(noted: Annotation | None) -> dict[str, Any]:
    """What was noted about a group, as the list of one that clients expect; null for nothing."""
    if noted is None:
        return {"status": "empty", "crash_annotations": None}
    entry = {
        "id": noted.annotation_id,
        "crash_reason_id": noted.group_id,
        "text": noted.text,
        "created_at": clock.stored_to_wire(noted.created_at),
        "updated_at": clock.stored_to_wire(noted.updated_at),
    }
    return {"status": "success", "crash_annotations": [entry]}


def crash(report: StoredReport) -> dict[str, Any]:
    received_at = clock.stored_to_wire(report.date)
    return {
        "id": report.report_id,
        "app_id": report.app_number,
        "app_version_id": report.version_id,
        "crash_reason_id": report.group_id,
        "created_at": received_at,
        "updated_at": received_at,
        "oem": report.oem or "",
        "model": report.model or "",
        "bundle_version": report.bundle_version,
        "bundle_short_version": report.bundle_short_version,
        "contact_string": report.contact or "",
        "user_string": report.user or "",
        "os_version": report.os_version or "",
        "jail_break": report.jail_break,
        "has_log": True,
        "has_description": report.has_description,
    }


def attachment(sent: Attachment, url: str) -> dict[str, Any]:
    return {
        "name": sent.name,
        "filename": sent.filename,
        "content_type": sent.content_type,
        "size": sent.size_bytes,
        "url": url,
    }


def _moment(stored: str | None) -> str | None:
    return clock.stored_to_wire(stored) if stored else None
