"""Single crashes as FollowAnalytics' clients call them: `2544355787-1536831773-logs-00003-crash-1`.

An occurrence's id is its device, its time in seconds since 1970, and the
numbers of a log and of a crash in that log. Ours are made of the report's id
and date alone, so that they stay as they are and lead back to the report
without a search: log and crash number say how far the report's id is from the
first id of that second. Reports that carry a date of their own are far from
it; their log numbers have more than five digits.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from chalicelib.ids import IDS_A_SECOND, first_of
from chalicelib.records import StoredReport

_LOG_DIGITS = 5
# So many that five digits of logs number every id that a second can have; as many again are for
# ids made before the second, as a report's own date may lie in the future.
_CRASHES_A_LOG: int = -(-IDS_A_SECOND // 10**_LOG_DIGITS)

_FIRST_DEVICE, _DEVICES = 10**9, 9 * 10**9  # ten digits each
_ID = re.compile(r"\d{10}-(-?\d{1,12})-logs-(\d{5,17})-crash-(\d{1,2})", re.ASCII)
_SECOND_CHARS = len("2018-09-13T09:42:53")


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One crash of one device; `date` is the day (UTC) of its time."""

    id: str
    log_id: str
    date: str


def occurrence_of(report: StoredReport) -> Occurrence:
    second = datetime.fromisoformat(report.date[:_SECOND_CHARS]).replace(tzinfo=UTC)
    distance = report.report_id - first_of(second)
    log, crash = divmod(distance, _CRASHES_A_LOG)
    if distance < 0:
        log, crash = divmod(-1 - distance, _CRASHES_A_LOG)
        crash += _CRASHES_A_LOG
    log_id = f"{_device(report)}-{int(second.timestamp())}-logs-{log:0{_LOG_DIGITS}}"
    return Occurrence(f"{log_id}-crash-{crash + 1}", log_id, report.date[:10])


def report_id_in(occurrence_id: str) -> int | None:
    """The report whose occurrence that may be; None for a text that is no such id.

    Whoever asks has to compare: another device may stand in the text.
    """
    found = _ID.fullmatch(occurrence_id)
    if found is None:
        return None
    second, log, crash = (int(part) for part in found.groups())
    distance = log * _CRASHES_A_LOG + (crash - 1) % _CRASHES_A_LOG
    if crash > _CRASHES_A_LOG:
        distance = -1 - distance
    try:
        return first_of(datetime.fromtimestamp(second, UTC)) + distance
    except (ValueError, OverflowError, OSError):  # no time that a clock can show
        return None


def _device(report: StoredReport) -> int:
    """A number for the installation, or else for the user; with neither, for the report alone."""
    who = ("install", report.install_id) if report.install_id else ("user", report.user)
    if not who[1]:
        who = ("report", str(report.report_id))
    text = "\0".join((report.app_id, *map(str, who)))
    digest = hashlib.sha256(text.encode("utf-8", "replace")).digest()
    return _FIRST_DEVICE + int.from_bytes(digest[:8], "big") % _DEVICES
