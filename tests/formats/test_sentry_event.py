"""The events that Sentry's SDKs send beside a minidump."""

from __future__ import annotations

import json

import msgpack
import pytest

from chalicelib.formats.sentry_event import read

EVENT = {
    "event_id": "2dd132e4-6717-4db4-8dba-ddabd3cbed57",
    "release": "my-app@1.2.3",
    "environment": "production",
    "user": {"id": 42, "email": "a@b.c", "nested": {"x": 1}},
    "tags": {"gpu": "none", "count": 3},
    "breadcrumbs": [{"message": "before"}] * 100,
}
SAID = {
    "release": "my-app@1.2.3",
    "environment": "production",
    "user.id": "42",
    "user.email": "a@b.c",
    "tags.gpu": "none",
    "tags.count": "3",
}
ID = "2dd132e467174db48dbaddabd3cbed57"


def test_the_event_of_sentry_native_is_read_from_messagepack() -> None:
    event = read({}, msgpack.packb(EVENT))
    assert (event.event_id, event.annotations) == (ID, SAID)


def test_the_event_of_the_form_is_read_from_json_whole_or_in_pieces() -> None:
    text = json.dumps(EVENT)
    pieces = {f"sentry__{n + 1}": text[n * 100 : n * 100 + 100] for n in range(40)}
    for fields in ({"sentry": text}, dict(reversed(pieces.items()))):
        event = read(fields)
        assert (event.event_id, event.annotations) == (ID, SAID)


def test_single_properties_and_the_initial_scope_fill_what_the_event_leaves_out() -> None:
    fields = {
        "sentry[release]": "1.0",
        "sentry[user][id]": "7",
        "sentry[tags][gpu]": "some",
        "sentry[event_id]": ID.upper(),
        "sentry___initialScope": '{"release": "0.9", "environment": "beta"}',
    }
    event = read(fields, msgpack.packb({"release": "2.0"}))
    assert event.event_id == ID
    assert event.annotations == {
        "release": "2.0",
        "user.id": "7",
        "tags.gpu": "some",
        "environment": "beta",
    }


def test_tags_may_be_pairs() -> None:
    tags = [["a", "1"], ["b"], "c", ["d", None], ["e", "2"]]
    assert read({"sentry": json.dumps({"tags": tags})}).annotations == {
        "tags.a": "1",
        "tags.e": "2",
    }


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"no messagepack",
        msgpack.packb([1]),
        msgpack.packb(EVENT)[:-5],
        b"\xdd\xff\xff\xff\xff" * 2000,  # arrays in arrays, each announcing 4 billion elements
        b"\x91" * 100_000,
        b"\x81\x91\x01\x01",  # a list for a key
        b"\x81\xa7release\xa1\xff",
    ],
)
def test_a_damaged_event_is_passed_over(packed: bytes) -> None:
    event = read({"sentry": "{" * 1000, "sentry[a]": "b", "sentry[a][b]": "c"}, packed)
    assert event.event_id is None
    assert set(event.annotations) <= {"release"}


def test_half_a_character_is_replaced_and_a_long_value_cut() -> None:
    event = read({"sentry": '{"release": "\\ud800", "environment": "' + "x" * 5000 + '"}'})
    assert event.annotations["release"] == "?"
    assert len(event.annotations["environment"]) == 1000


@pytest.mark.parametrize("given", ["", "zz", ID + "0", 7, None, "-" * 40])
def test_what_is_no_event_id_is_none(given: object) -> None:
    assert read({"sentry": json.dumps({"event_id": given})}).event_id is None
