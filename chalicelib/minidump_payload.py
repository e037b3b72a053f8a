"""A minidump with what its client said about it, as a payload for the intake.

The names are those that clients use: Breakpad's uploader and Google's
(`prod`, `ver`, `guid`, `ptype`, `plat`, `channel`), Electron's (`_productName`,
`_version`, `process_type`), Mozilla's (`ProductName`, `Version`, ...) and
Sentry's (`release`, `user.id`, ...).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from chalicelib.errors import InvalidRequest
from chalicelib.forms import without_halves
from chalicelib.http_body import inflate
from chalicelib.payload import Attachment, Payload

GZIP_MAGIC = b"\x1f\x8b"
MAX_ANNOTATION_CHARS = 16_000  # of one value; the processing reads all of them with the dump
MAX_ANNOTATIONS_CHARS = 256_000  # of all names and values: they are kept in the payload's header
MAX_NAME_CHARS = 255

_MAGICS = (b"MDMP", b"PMDM")  # written on a little-endian machine, on a big-endian one
_MAX_FIELD_CHARS = 255  # HockeyApp's limit for user and contact, ours for every field

# Our name of a field: the names it is said under, the best first. Electron says its own version as
# `ver` and `version` and the app's as `_version`; the same holds for `prod`.
_SAID_AS: Mapping[str, tuple[str, ...]] = {
    "version": ("_version", "sentry[release]", "release", "ver", "version", "app_version"),
    "app_name": ("_productname", "productname", "product", "prod", "product_name"),
    "install_id": ("guid", "client_id", "installid", "install_id"),
    "user": ("user", "userid", "user_id", "username", "user.id", "user.username"),
    "contact": ("email", "contact", "user.email"),
    "platform": ("platform", "plat"),
    "channel": ("channel", "releasechannel", "environment"),
    "process_type": ("process_type", "ptype", "processtype"),
}
_DESCRIPTIONS = ("comments", "description", "comment")


@dataclass(frozen=True, slots=True)
class PostedDump:
    """A minidump, checked to begin as one, with what came along.

    `annotations` has at most `MAX_ANNOTATIONS_CHARS`: what is longer is an attachment.
    """

    dump: bytes
    annotations: Mapping[str, str] = field(default_factory=dict)
    attachments: tuple[Attachment, ...] = ()


def is_dump(data: bytes) -> bool:
    """Whether the bytes begin as a minidump does."""
    return data.startswith(_MAGICS)


def unpacked(data: bytes, limit_bytes: int) -> bytes:
    """A dump without the gzip around it, if any, of at most `limit_bytes`.

    Raises `PayloadTooLarge`, or `InvalidRequest` for damaged gzip.
    """
    return inflate(data, "gzip" if data.startswith(GZIP_MAGIC) else None, limit_bytes)


def checked_dump(data: bytes, limit_bytes: int, *, name: str = "upload_file_minidump") -> bytes:
    """The dump in a part of a form, unpacked.

    Raises `PayloadTooLarge`, or `InvalidRequest` naming the part, for what is no minidump.
    """
    if not data:
        raise InvalidRequest({name: ["is empty"]})
    dump = unpacked(data, limit_bytes)
    if not is_dump(dump):
        raise InvalidRequest({name: ["is no minidump: it does not begin with MDMP"]})
    return dump


def bounded_annotations(
    said: Mapping[str, str],
) -> tuple[dict[str, str], tuple[Attachment, ...]]:
    """The annotations within their bounds; those that are too long as text attachments."""
    kept: dict[str, str] = {}
    filed: list[Attachment] = []
    left = MAX_ANNOTATIONS_CHARS
    for whole_name, whole_value in said.items():
        name, value = without_halves(whole_name[:MAX_NAME_CHARS]), without_halves(whole_value)
        size = len(name) + len(value)
        if len(value) <= MAX_ANNOTATION_CHARS and size <= left:
            kept[name] = value
            left -= size
        else:
            data = value.encode("utf-8", "replace")
            filed.append(Attachment(name, f"{name}.txt", "text/plain", len(data), data))
    return kept, tuple(filed)


def payload_of(
    app_id: str,
    door: str,
    posted: PostedDump,
    received_at: datetime,
    more_fields: Mapping[str, str] | None = None,
    *,
    log_key: str | None = None,
) -> Payload:
    """The payload of a dump; `more_fields` beat those that are taken from the annotations."""
    return Payload(
        app_id=app_id,
        door=door,
        received_at=received_at,
        log=posted.dump,
        description=_first(_folded(posted.annotations), _DESCRIPTIONS).encode("utf-8", "replace"),
        fields={**fields_of(posted.annotations), **(more_fields or {})},
        attachments=posted.attachments,
        annotations=posted.annotations,
        log_key=log_key,
    )


def fields_of(annotations: Mapping[str, str]) -> dict[str, str]:
    """What the annotations say under our names; names are compared without regard to case."""
    folded = _folded(annotations)
    found = {name: _first(folded, names) for name, names in _SAID_AS.items()}
    if "@" in found["version"]:  # a Sentry release: package@version
        found["version"] = found["version"].rpartition("@")[2]
    # One line each: a control character would break the key that a version is stored under.
    lines = {name: " ".join(value.split()) for name, value in found.items()}
    return {name: line[:_MAX_FIELD_CHARS] for name, line in lines.items() if line}


def _folded(annotations: Mapping[str, str]) -> dict[str, str]:
    folded: dict[str, str] = {}
    for name, value in annotations.items():
        folded.setdefault(name.lower(), value.strip())
    return folded


def _first(folded: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((folded[name] for name in names if folded.get(name)), "")
