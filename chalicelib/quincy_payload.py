"""A crash of a QuincyKit XML post as the payload that is stored."""

from __future__ import annotations

from datetime import datetime

from chalicelib.formats.quincy_xml import QuincyCrash
from chalicelib.payload import Attachment, Payload


def payload_of(
    app_id: str,
    crash: QuincyCrash,
    received_at: datetime,
    attachments: tuple[Attachment, ...] = (),
) -> Payload:
    """Every element that says something becomes a field; the log stays as it was sent."""
    said = {
        "package": crash.bundleidentifier,
        "app_name": crash.applicationname,
        "version": crash.version,
        "short_version": crash.versionstring,
        "sender_version": crash.senderversion,
        "os_version": crash.systemversion,
        "model": crash.platform,
        "user": crash.userid,
        "user_name": crash.username,
        "contact": crash.contact,
        "install_id": crash.installstring,
        "incident_id": crash.uuid,
    }
    return Payload(
        app_id=app_id,
        door="quincykit",
        received_at=received_at,
        log=(crash.log or "").encode("utf-8", "replace"),
        description=(crash.description or "").encode("utf-8", "replace"),
        fields={name: value for name, value in said.items() if value},
        attachments=attachments,
    )
