"""What Sentry's SDKs say beside a minidump: an event, in the form or in a file of MessagePack.

- `__sentry-event`: the event in MessagePack (sentry-native's Crashpad backend);
- `sentry`: the event in JSON, or cut into `sentry__1`, `sentry__2`, ... (Electron's SDK, as
  Crashpad's annotations are short);
- `sentry___initialScope`: a part of it in JSON (Electron's SDK, before a first event);
- `sentry[release]`, `sentry[tags][NAME]`, ...: single properties.

Source: Relay's `minidump` endpoint and its merging of form data; sentry-native's and
sentry-electron's senders. A damaged event is passed over: the minidump is what counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from chalicelib.errors import FormatError
from chalicelib.formats import bounded_json
from chalicelib.formats.text import storable

EVENT_FILE = "__sentry-event"

_MAX_EVENT_BYTES = 4_000_000  # an event with its breadcrumbs has some 100 kB
_MAX_ELEMENTS = 10_000  # of one array or map: msgpack reserves room before it reads
_MAX_CHUNKS = 1000
_MAX_TAGS = 200  # Sentry's own limit is 50
_MAX_TEXT_CHARS = 1000
_EVENT_ID = re.compile(r"[0-9a-fA-F]{32}")
_PROPERTY = re.compile(r"sentry((?:\[[^\[\]]{1,200}\]){1,3})")
_CHUNK = re.compile(r"sentry__([0-9]{1,6})")
_PLAIN = ("release", "environment", "dist", "level", "server_name", "transaction")
_OF_USER = ("id", "username", "email", "ip_address")


@dataclass(frozen=True, slots=True)
class SentryEvent:
    """`event_id` is 32 hex digits, lower case; `annotations` are `release`, `environment`,
    `user.id`, `tags.NAME` and the like."""

    event_id: str | None
    annotations: Mapping[str, str]


def read(fields: Mapping[str, str], packed: bytes | None = None) -> SentryEvent:
    """The event in a form's text parts and in its `__sentry-event`; the latter comes first."""
    event_id: str | None = None
    annotations: dict[str, str] = {}
    for event in _events(fields, packed):
        event_id = event_id or _event_id(event.get("event_id"))
        for name, value in _said(event):
            annotations.setdefault(name, value)
    return SentryEvent(event_id, annotations)


def _events(fields: Mapping[str, str], packed: bytes | None) -> Iterator[Mapping[object, object]]:
    if packed is not None:
        yield _unpacked(packed)
    yield _json(fields.get("sentry", ""))
    yield _json(_joined(fields))
    yield _properties(fields)
    yield _json(fields.get("sentry___initialScope", ""))


def _unpacked(packed: bytes) -> Mapping[object, object]:
    if len(packed) > _MAX_EVENT_BYTES:
        return {}
    import msgpack  # noqa: PLC0415 - few requests need it

    try:
        event = msgpack.unpackb(
            packed,
            strict_map_key=False,
            unicode_errors="replace",
            max_array_len=_MAX_ELEMENTS,
            max_map_len=_MAX_ELEMENTS,
        )
    except (ValueError, TypeError, msgpack.UnpackException):  # TypeError: a list for a key
        return {}
    return event if isinstance(event, dict) else {}


def _json(text: str) -> Mapping[object, object]:
    if not text or len(text) > _MAX_EVENT_BYTES:
        return {}
    try:
        event: dict[object, object] = dict(bounded_json.read_object(text.strip())[0].items())
    except FormatError:
        return {}
    return event


def _joined(fields: Mapping[str, str]) -> str:
    numbered = ((_CHUNK.fullmatch(name), text) for name, text in fields.items())
    chunks = {int(found[1]): text for found, text in numbered if found}
    return "".join(chunks[number] for number in sorted(chunks)[:_MAX_CHUNKS])


def _properties(fields: Mapping[str, str]) -> Mapping[object, object]:
    """`{"user": {"id": "7"}}` of `sentry[user][id]=7`."""
    event: dict[object, object] = {}
    for name, value in fields.items():
        found = _PROPERTY.fullmatch(name)
        if not found:
            continue
        *path, last = found[1][1:-1].split("][")
        place: dict[object, object] = event
        for part in path:
            below = place.setdefault(part, {})
            if not isinstance(below, dict):
                break
            place = below
        else:
            place.setdefault(last, value)
    return event


def _said(event: Mapping[object, object]) -> Iterator[tuple[str, str]]:
    for name in _PLAIN:
        yield from _text(name, event.get(name))
    user = event.get("user")
    if isinstance(user, dict):
        for name in _OF_USER:
            yield from _text(f"user.{name}", user.get(name))
    for tag, value in _tags(event.get("tags")):
        yield from _text(f"tags.{tag}"[:_MAX_TEXT_CHARS], value)


def _tags(tags: object) -> list[tuple[object, object]]:
    """Tags are an object, or a list of pairs."""
    if isinstance(tags, dict):
        return list(tags.items())[:_MAX_TAGS]
    pairs = tags[:_MAX_TAGS] if isinstance(tags, list) else []
    return [(pair[0], pair[1]) for pair in pairs if isinstance(pair, list) and len(pair) == 2]


def _text(name: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, str | int | float) and value != "":
        text = str(value)[:_MAX_TEXT_CHARS]
        yield storable(name), storable(text)


def _event_id(value: object) -> str | None:
    digits = value.replace("-", "") if isinstance(value, str) and len(value) <= 36 else ""
    return digits.lower() if _EVENT_ID.fullmatch(digits) else None
