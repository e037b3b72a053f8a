"""Our values in the shapes of omaha-server's API."""

from __future__ import annotations

from typing import Any

from chalicelib import clock
from chalicelib.companions import Companions
from chalicelib.downloads import Kind
from chalicelib.handlers.common import services
from chalicelib.model import Report
from chalicelib.payload import Payload
from chalicelib.records import StoredReport
from chalicelib.report_json import as_json

_LINK_S = 3600  # as long as the original's links to S3

# Where a client says which channel its build came by; the names are Google's uploaders'.
_CHANNELS = ("channel", "prod_channel", "release_channel")


def download_path(crash_id: int, kind: Kind) -> str:
    return f"/service/crash_report/{crash_id}/{kind}"


def crash(
    report: StoredReport,
    companions: Companions,
    base_url: str,
    stacktrace_json: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A crash of any door; the four last ones are those of later versions of omaha-server.

    `stacktrace_json` is in an item only: for a list every dump would be read.
    """
    build = report.bundle_version or report.bundle_short_version
    return {
        **_links(report.report_id, companions, base_url),
        "appid": report.app_id if companions.appid is None else companions.appid,
        "userid": (report.user or "") if companions.userid is None else companions.userid,
        "meta": dict(companions.annotations) or None,
        "signature": report.omaha_signature if _has_stack(companions) else None,
        "created": report.date,
        "modified": max(report.date, report.received_at),
        "os": report.os_name,
        "build_number": build or None,
        "channel": _channel(companions),
        "stacktrace_json": stacktrace_json,
    }


def unprocessed(report_id: int, received: Payload, base_url: str) -> dict[str, Any]:
    """A crash that waits to be processed, or that could not be."""
    companions = Companions.of_payload(received)
    moment = clock.to_stored(received.received_at)
    return {
        **_links(report_id, companions, base_url),
        "appid": received.app_id if companions.appid is None else companions.appid,
        "userid": companions.userid or "",
        "meta": dict(companions.annotations) or None,
        "signature": None,
        "created": moment,
        "modified": moment,
        "os": None,
        "build_number": None,
        "channel": _channel(companions),
        "stacktrace_json": None,
    }


def stacktrace(report: Report) -> dict[str, Any]:
    """All threads and modules, and the crashed thread once more, as the original has it."""
    told = as_json(report)
    place = told["crash_info"]["crashing_thread"]
    if place is not None:
        frames = told["threads"][place]["frames"]
        told["crashing_thread"] = {
            "threads_index": place,
            "total_frames": len(frames),
            "frames": frames,
        }
    return told


def _links(report_id: int, companions: Companions, base_url: str) -> dict[str, Any]:
    def link(kind: Kind) -> str:
        signed = services().links.signed(download_path(report_id, kind), expires_in_s=_LINK_S)
        return f"{base_url}{signed}"

    return {
        "id": report_id,
        "upload_file_minidump": link("minidump") if companions.has_dump else None,
        "archive": link("archive") if companions.has_archive else None,
    }


def _has_stack(companions: Companions) -> bool:
    """Of an archive without a dump there was nothing to read a signature from."""
    return companions.has_dump or not companions.has_archive


def _channel(companions: Companions) -> str | None:
    said = companions.annotations
    return next((said[name] for name in _CHANNELS if said.get(name)), None)
