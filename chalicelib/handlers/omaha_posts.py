"""A crash as omaha-server's clients post it, as a payload for the intake."""

from __future__ import annotations

from dataclasses import replace

from chalicelib.errors import FormatError, InvalidRequest
from chalicelib.formats import crash_archive
from chalicelib.formats.crash_archive import Contents
from chalicelib.formats.partycrasher_rules import is_clean
from chalicelib.forms import Part
from chalicelib.handlers import minidump_posts
from chalicelib.handlers.common import Incoming, services
from chalicelib.handlers.minidump_posts import DUMP_PART
from chalicelib.omaha_ids import MAX_CHARS
from chalicelib.payload import ARCHIVE, ARCHIVE_FILES, OMAHA
from chalicelib.records import App

_MAX_ADDRESS_CHARS = 45  # of an IPv6 address that holds an IPv4 one


def receive(request: Incoming) -> int:
    """Take the crash in a form; durable when it returns; its id.

    Nothing in the form is taken for more than it is: what is neither the file,
    `appid` nor `userid` goes to `meta`. Raises `InvalidRequest` by field.
    """
    form = request.form
    appid, userid = form.text("appid"), form.text("userid")
    wrong: dict[str, list[str]] = {}
    for name, value in (("appid", appid), ("userid", userid)):
        if problem := _problem(value, MAX_CHARS):
            wrong[name] = [problem]
    contents: Contents | None = None
    part = form.get(DUMP_PART)
    try:
        contents = _contents(part)
    except FormatError as error:
        wrong[DUMP_PART] = [str(error)]
    if wrong or contents is None or part is None:
        raise InvalidRequest(wrong)
    app = _app(appid)
    posted = minidump_posts.with_companions(contents.dump, request, {DUMP_PART, "appid", "userid"})
    fields = {"appid": appid, "userid": userid}
    for name, value in (("user", userid), ("client_address", _client_address(request))):
        if value:
            fields[name] = value
    if contents.is_archive:
        # The first of that name is ours, whatever the client calls its own files.
        archive = minidump_posts.attachment(ARCHIVE, part)
        posted = replace(posted, attachments=(archive, *posted.attachments))
        fields[ARCHIVE_FILES] = "\n".join(contents.names)
    return minidump_posts.receive(app.app_id, OMAHA, posted, fields)


def _problem(value: str, limit: int) -> str | None:
    """What is wrong with a short text; omaha-server's words."""
    if len(value) > limit:
        return f"Ensure this value has at most {limit} characters (it has {len(value)})."
    return None if is_clean(value) else "Control characters are not allowed."


def _contents(part: Part | None) -> Contents:
    """What is in the file; raises `FormatError`, in omaha-server's words where it has some."""
    if part is None:
        raise FormatError("This field is required.")
    if not part.data:
        raise FormatError("The submitted file is empty.")
    return crash_archive.read(part.data, part.filename or "")


def _app(appid: str) -> App:
    """The app that is named, made now where the settings allow it."""
    apps, settings = services().omaha_apps, services().settings
    app = apps.open(appid) if settings.auto_create_apps else apps.find(appid)
    if app is None:
        told = f"There is no app {appid!r}." if appid else "This field is required."
        raise InvalidRequest({"appid": [told]})
    return app


def _client_address(request: Incoming) -> str:
    """Who the nearest proxy says the first client was; empty when nobody says."""
    first = request.header("x-forwarded-for").partition(",")[0].strip()
    return first if len(first) <= _MAX_ADDRESS_CHARS and first.isprintable() else ""
