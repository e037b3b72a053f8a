"""Crash posts in every form an SDK sends, as payloads for the intake.

Used by the HockeyApp and the QuincyKit door, whose paths overlap: HockeyApp's
own SDK for Apple platforms posts QuincyKit's XML.
"""

from __future__ import annotations

from chalicelib import clock
from chalicelib.errors import InvalidRequest, PayloadTooLarge
from chalicelib.formats import hockeyapp_log
from chalicelib.formats.quincy_xml import QuincyCrash
from chalicelib.forms import Form, Part
from chalicelib.handlers.common import Incoming, services
from chalicelib.payload import Attachment, Payload
from chalicelib.quincy_payload import payload_of
from chalicelib.records import App

MAX_LOG_BYTES = 200_000  # the document's limit for `log` of /crashes/upload
MAX_STRING_CHARS = 255  # the document's limit for userID and contact
MAX_ATTACHMENTS = 3  # the document's
_ATTACHMENTS = tuple(f"attachment{number}" for number in range(MAX_ATTACHMENTS))


def xml_of(request: Incoming) -> bytes | None:
    """QuincyKit XML wherever it may stand: part `xml`, part `xmlstring`, or the body itself."""
    for name in ("xml", "xmlstring"):
        part = request.form.get(name)
        if part is not None:
            return part.data
    kind = request.header("content-type").partition(";")[0].strip().lower()
    is_form = kind in {"multipart/form-data", "application/x-www-form-urlencoded"}
    if "xml" in kind or (not request.form.parts and _looks_like_xml(request.body)):
        return request.body
    # curl -d @crash.xml says that it sends a form, and sends XML
    return request.body if is_form and _looks_like_xml(request.body) else None


def receive_log(app: App, log: bytes, description: bytes, form: Form) -> int:
    """Take a HockeyApp log, of an upload or of an SDK; the new crash's id.

    Refuses, naming the field, what the document rules out.
    """
    wrong: dict[str, list[str]] = {}
    if not log.strip():
        wrong["log"] = ["must not be empty"]
    for name in ("userID", "contact"):
        if len(form.text(name)) > MAX_STRING_CHARS:
            wrong[name] = [f"must not be longer than {MAX_STRING_CHARS} characters"]
    for name in form.parts:
        if name.startswith("attachment") and name not in _ATTACHMENTS:
            wrong[name] = [f"only {', '.join(_ATTACHMENTS)} are allowed"]
    package = hockeyapp_log.read_header(log).get("Package", "")
    if app.bundle_id and package and package != app.bundle_id:
        wrong["log"] = [
            f"Package is {package!r} but the app's bundle identifier is {app.bundle_id!r}"
        ]
    if wrong:
        raise InvalidRequest(wrong)
    fields = {
        "user": form.text("userID"),
        "contact": form.text("contact"),
        "sdk": form.text("sdk"),
        "sdk_version": form.text("sdk_version"),
    }
    received = Payload(
        app_id=app.app_id,
        door="hockeyapp",
        received_at=clock.now(),
        log=log,
        description=description,
        fields={name: value for name, value in fields.items() if value},
        attachments=attachments_of(form),
    )
    return services().intake.receive(received)


def receive_quincy(app: App, crash: QuincyCrash, form: Form) -> int:
    """Take one crash of a QuincyKit post, whose app is open to it; the new crash's id."""
    return services().intake.receive(quincy_payload(app, crash, form), admitted=True)


def quincy_payload(app: App, crash: QuincyCrash, form: Form) -> Payload:
    """One crash of a QuincyKit post as it is stored."""
    return payload_of(app.app_id, crash, clock.now(), attachments_of(form))


def log_of_upload(form: Form) -> Part:
    """The `log` of an upload; refused when it is missing or above the documented limit."""
    part = form.get("log")
    if part is None:
        raise InvalidRequest({"log": ["is missing: send the crash log as the file `log`"]})
    if len(part.data) > MAX_LOG_BYTES:
        raise PayloadTooLarge("log", len(part.data), MAX_LOG_BYTES)
    return part


def attachments_of(form: Form) -> tuple[Attachment, ...]:
    found = ((name, form.get(name)) for name in _ATTACHMENTS)
    return tuple(
        Attachment(name, part.filename or name, part.content_type, len(part.data), part.data)
        for name, part in found
        if part is not None
    )


def _looks_like_xml(body: bytes) -> bool:
    return body[:64].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")
