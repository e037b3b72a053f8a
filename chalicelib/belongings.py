"""What is kept of one report beside its own item and its counts: what goes with it."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from chalicelib import keys
from chalicelib.landing import DOOR
from chalicelib.payload import MINIDUMP_DOORS, PARTYCRASHER
from chalicelib.records import StoredReport
from chalicelib.storage.ports import Blobs, Key

_DELETED_AT_A_TIME = 16  # blobs: each waits for the store


def items_of(report: StoredReport) -> list[Key]:
    """All but the id its client gave it (`keys.database_id`), which another report may have, and
    what it stands for (sampling.py)."""
    items = [keys.export(report.report_id)]
    by_contact = report.contact_item()
    if by_contact is not None:
        items.append(Key(str(by_contact["pk"]), str(by_contact["sk"])))
    if report.door == PARTYCRASHER:
        items.append(keys.posted(report.report_id))
    if report.door in MINIDUMP_DOORS:
        items += [keys.sent(report.report_id), keys.feedback(report.report_id)]
    return items


def blobs_of(
    report_id: int, door: str | None, attachments: int, log_key: str | None = None
) -> list[str]:
    """The payload, the copies made of its parts for downloads, and a dump that lies by itself.

    The payload comes last: it tells what the others are.
    """
    blobs = [keys.attachment_blob(report_id, number) for number in range(attachments)]
    if door in MINIDUMP_DOORS:
        blobs += keys.download_blobs(report_id)
    if door == DOOR:
        blobs.append(log_key or keys.dump_blob(report_id))
    return [*blobs, keys.raw_blob(report_id)]


def received_blobs_of(report_id: int, log_key: str | None) -> list[str]:
    """Of a crash that nobody can have looked at: its payload, last, and a dump by itself."""
    return [*([log_key] if log_key else []), keys.raw_blob(report_id)]


def delete_blobs(blobs: Blobs, doomed: Iterable[str]) -> None:
    """Several at a time; what is not there is no error."""
    wanted = list(doomed)
    if len(wanted) <= 1:
        for key in wanted:
            blobs.delete(key)
        return
    with ThreadPoolExecutor(min(len(wanted), _DELETED_AT_A_TIME)) as pool:
        list(pool.map(blobs.delete, wanted))
