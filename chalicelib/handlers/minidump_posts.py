"""Posts that carry a minidump in a form, as Breakpad's and all later uploaders send them.

Used by every door that takes dumps: Breakpad's, Sentry's, omaha-server's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from chalice.app import Request

from chalicelib import clock
from chalicelib.errors import FormatError, InvalidRequest, PayloadTooLarge
from chalicelib.formats import bounded_json
from chalicelib.formats.text import storable
from chalicelib.forms import Form, Part
from chalicelib.handlers.common import Incoming, incoming, services
from chalicelib.minidump_payload import (
    GZIP_MAGIC,
    MAX_NAME_CHARS,
    PostedDump,
    bounded_annotations,
    checked_dump,
    payload_of,
)
from chalicelib.payload import Attachment

DUMP_PART = "upload_file_minidump"
EXTRA_PART = "extra"  # of Mozilla's uploaders: all annotations in one JSON object
QUERY_ANNOTATIONS = ("product", "version", "guid")  # what Crashpad adds to its URL

# Crashpad's EncodeMIMEField escapes these four in the name of a part, and nothing else.
_ESCAPED = re.compile(r"%(0[dDaA]|2[25])")


def dump_request(request: Request) -> Incoming:
    """The request, its body inflated when it is gzip, whatever its headers say.

    A gateway may lose the `Content-Encoding`, or inflate the body and keep it.
    Raises `PayloadTooLarge` or `InvalidRequest`.
    """
    return incoming(request, coding_of=_coding)


def symbols_request(request: Request, *, with_form: bool = True) -> Incoming:
    """The same for symbol files, in a form or as the body; too large a one is told where larger
    ones go."""
    try:
        return incoming(request, with_form=with_form, coding_of=_coding)
    except PayloadTooLarge as error:
        hint = "`crashbucket symbols upload` takes larger files"
        raise PayloadTooLarge(error.field, error.size_bytes, error.limit_bytes, hint) from error


def posted_dump(request: Incoming, *, part: str = DUMP_PART) -> PostedDump:
    """The dump in the form's `part`, every text part an annotation, every other file attached.

    Raises `InvalidRequest` naming the part when it is missing or no minidump.
    """
    found = request.form.get(part)
    if found is None:
        raise InvalidRequest({part: ["is missing: send the minidump as this file of a form"]})
    dump = checked_dump(found.data, services().settings.max_body_bytes, name=part)
    return with_companions(dump, request, {part})


def with_companions(dump: bytes, request: Incoming, taken: set[str]) -> PostedDump:
    """A dump with every part of the form beside those in `taken`, and what the query says."""
    annotations = {name: value for name in QUERY_ANNOTATIONS if (value := request.query.get(name))}
    attachments: list[Attachment] = []
    for escaped, part in request.form.parts.items():
        if escaped in taken:
            continue
        name = unescaped(escaped)[:MAX_NAME_CHARS]
        extra = _extra(part) if name == EXTRA_PART else None
        if extra is not None:
            annotations.update(extra)
        elif part.filename is None:
            annotations[name] = part.text
        else:
            attachments.append(attachment(name, part))
    for place, (escaped, part) in enumerate(request.form.repeated, start=2):
        if escaped not in taken and part.filename is not None:
            # An attachment is found by its name.
            name = f"{unescaped(escaped)[: MAX_NAME_CHARS - 4]}-{place}"
            attachments.append(attachment(name, part))
    kept, filed = bounded_annotations(annotations)
    return PostedDump(dump, kept, (*attachments, *filed))


def attachment(name: str, part: Part) -> Attachment:
    filename = (part.filename or name)[:MAX_NAME_CHARS]
    kind = part.content_type[:MAX_NAME_CHARS]
    return Attachment(name, filename, kind, len(part.data), part.data)


def receive(
    app_id: str, door: str, posted: PostedDump, more_fields: Mapping[str, str] | None = None
) -> int:
    """Durable when it returns; the id of the crash."""
    received = payload_of(app_id, door, posted, clock.now(), more_fields)
    return services().intake.receive(received)


def is_socorro(form: Form) -> bool:
    """Whether a form is one of Mozilla's, whose senders look for `CrashID=` in the answer."""
    part = form.get(EXTRA_PART)
    return part is not None and _is_json(part)


def two_steps(app_id: str, error: PayloadTooLarge) -> str:
    """What to tell a client whose post is too large."""
    limit = services().settings.max_dump_bytes
    told = f"the {error.field} is larger than {error.limit_bytes} bytes, the limit of one post"
    return f"{told}; up to {limit} bytes go in two steps: POST /api/2/apps/{app_id}/uploads"


def unescaped(name: str) -> str:
    """The name of a part before Crashpad escaped it."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), name)


def _extra(part: Part) -> dict[str, str] | None:
    """The annotations in a JSON object, as text; None: it is none, and is kept like any part."""
    if not _is_json(part):
        return None
    try:
        said = bounded_json.read_object(part.text.strip())[0]
    except FormatError:
        return None
    return {storable(name): _text(value) for name, value in said.items() if value is not None}


def _text(value: object) -> str:
    return storable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _is_json(part: Part) -> bool:
    return part.content_type.partition(";")[0].strip().lower() == "application/json"


def _coding(body: bytes, named: str | None) -> str | None:
    """The coding of a body by its first bytes: no form, dump or symbol file begins like gzip."""
    if body.startswith(GZIP_MAGIC):
        return "gzip"
    return None if (named or "").strip().lower() in {"gzip", "x-gzip"} else named
