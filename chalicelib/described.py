"""What the records of a crash say of it: the report, what came with it, the group it opens."""

from __future__ import annotations

import json
import zlib
from typing import Any

from chalicelib import clock
from chalicelib.crash import Crash
from chalicelib.model import Frame, Report
from chalicelib.payload import PARTYCRASHER
from chalicelib.records import Group, PostedJson, Sent, StoredReport
from chalicelib.signature import omaha_signature, readable_signature

_MAX_REASON_CHARS = 500  # keeps a report's item near 1 kB: one write unit
_MAX_POSTED_BYTES = 3000  # deflated: three write units
_MAX_INFLATED_POSTED_BYTES = 500_000  # what a search reads of one report
MAX_NAME_CHARS = 255  # HockeyApp's limit for user and contact, ours for every name


def stored_report(crash: Crash, version_id: int, group_id: int, fingerprint: str) -> StoredReport:
    report, received = crash.report, crash.received
    return StoredReport(
        report_id=crash.report_id,
        app_id=crash.app.app_id,
        app_number=crash.app.number,
        version_id=version_id,
        group_id=group_id,
        fingerprint=fingerprint,
        date=crash.date,
        received_at=clock.to_stored(received.received_at),
        database_id=received.fields.get("database_id"),
        door=received.door,
        bundle_version=report.app.version or "",
        bundle_short_version=report.app.short_version or "",
        platform=report.platform,
        occurred_at=clock.to_stored(report.occurred_at) if report.occurred_at else None,
        exception_type=_type_of(report),
        reason=_cut(_reason_of(report), _MAX_REASON_CHARS),
        oem=_cut(report.device.oem),
        model=_cut(report.device.model),
        os_name=_cut(report.os.name),
        os_version=_cut(report.os.version),
        jail_break=report.device.jail_break,
        user=_cut(report.user),
        contact=_cut(report.contact),
        install_id=_cut(report.install_id),
        has_description=bool(received.description),
        attachments=len(received.attachments),
        unread=len(report.unread),
        **described(report),
    )


def posted(crash: Crash) -> PostedJson | None:
    """The JSON of a PartyCrasher client as a search reads it, where it is small."""
    received = crash.received
    if received.door != PARTYCRASHER or len(received.log) > _MAX_INFLATED_POSTED_BYTES:
        return None
    deflated = zlib.compress(received.log, 6)
    return PostedJson(crash.report_id, deflated) if len(deflated) <= _MAX_POSTED_BYTES else None


def sent(crash: Crash) -> Sent:
    """What came with a minidump, as lists of crashes show it."""
    came = crash.companions
    told = json.dumps(dict(came.annotations), ensure_ascii=False, separators=(",", ":"))
    deflated = zlib.compress(told.encode("utf-8", "replace"), 6)
    return Sent(
        crash.report_id,
        has_dump=came.has_dump,
        has_archive=came.has_archive,
        annotations=deflated if len(deflated) <= _MAX_POSTED_BYTES else None,
        appid=came.appid,
        userid=came.userid,
    )


def new_group(group_id: int, crash: Crash, version_id: int, bucket_id: str) -> Group:
    moment = crash.date
    return Group(
        group_id=group_id,
        app_id=crash.app.app_id,
        app_number=crash.app.number,
        bucket_id=bucket_id,
        created_at=moment,
        last_at=moment,
        last_version_id=version_id,
        **titled(crash.report),
    )


def titled(report: Report) -> dict[str, Any]:
    """What a group is named by, as fields of a `Group`: what its symbols may change."""
    top = _top(report)
    return {
        "exception_type": _type_of(report),
        "reason": _cut(_reason_of(report), _MAX_REASON_CHARS),
        "class_name": _cut(top.class_name, _MAX_REASON_CHARS),
        "method": _cut(top.method or top.function, _MAX_REASON_CHARS),
        "file": _cut(top.file),
        "line": top.line,
        "signature": _cut(readable_signature(report)),
    }


def described(report: Report) -> dict[str, Any]:
    """What a stored report says of its stack, as fields of a `StoredReport`."""
    return {
        "signature": _cut(readable_signature(report)),
        "omaha_signature": _cut(omaha_signature(report)),
    }


def _top(report: Report) -> Frame:
    """The frame that names the group: the first, of a memory dump the first of the app's own."""
    frames = report.stack
    if any(frame.trust for frame in frames):
        frames = tuple(frame for frame in frames if frame.in_app) or frames
    return next(iter(frames), Frame())


def _type_of(report: Report) -> str | None:
    innermost = report.innermost
    return _cut(innermost.type if innermost and innermost.type else report.exception_type)


def _reason_of(report: Report) -> str | None:
    """The line that states the innermost exception, as its platform writes it."""
    innermost = report.innermost
    kind = innermost.type if innermost else report.exception_type
    reason = innermost.reason if innermost else report.reason
    if not (kind and reason) or reason.startswith(kind):  # a memory dump's says its type again
        return reason or kind
    if innermost and report.platform in {"ios", "macos"}:
        return f"*** Terminating app due to uncaught exception '{kind}', reason: '{reason}'"
    return f"{kind}: {reason}"


def _cut(text: str | None, limit: int = MAX_NAME_CHARS) -> str | None:
    return text[:limit] if text else None
