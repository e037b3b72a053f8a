"""Nothing that a stranger sends to a door for minidumps makes it fail, and what it takes ends well:
as a report or as a dead letter."""

from __future__ import annotations

import gzip
import json

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib import keys
from chalicelib.bootstrap import Services
from chalicelib.records import App
from tests.crashes import drain
from tests.formats.minidump.builder import MinidumpBuilder
from tests.minidump_forms import Part, form
from tests.wsgi_client import request

_DUMP = (
    MinidumpBuilder(os="windows", cpu="x86")
    .module("C:\\app.exe", 0x40_0000, 0x1000)
    .thread(1, {"eip": 0x40_0100, "esp": 0x1000}, stack=bytes(32))
    .exception(1, code=0xC0000005, address=0x40_0100)
    .build()
)
_EVENT = {"event_id": "2" * 32, "release": "a@1", "user": {"id": 1}, "tags": [["a", "b"], [1]]}
_NAMES = ("prod", "ver", "guid", "%22", "sentry", "sentry__1", "sentry[tags][a]", "sentry[user]")


def texts() -> st.SearchStrategy[str]:
    return st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.sampled_from(
        [
            json.dumps(_EVENT),
            '{"a": "\\ud800"}',
            "{" * 100,
            "[" * 100_000,
            "x" * 20_000,
            "\x1f",
            "@",
        ]
    )


def changed(sound: bytes) -> st.SearchStrategy[bytes]:
    """The bytes, some of them replaced by others."""
    return st.tuples(st.integers(0, len(sound)), st.binary(max_size=12), st.integers(0, 30)).map(
        lambda cut: sound[: cut[0]] + cut[1] + sound[cut[0] + cut[2] :]
    )


@st.composite
def posts(draw: st.DrawFn) -> tuple[bytes, str]:
    """A form as uploaders write it, with damage somewhere."""
    names = draw(st.lists(st.sampled_from(_NAMES), max_size=5, unique=True))
    parts = [Part(name, draw(texts())) for name in names]
    dump = draw(st.just(_DUMP) | changed(_DUMP))
    parts.append(
        Part("upload_file_minidump", draw(st.sampled_from([dump, gzip.compress(dump)])), "a")
    )
    packed = msgpack.packb(_EVENT)
    event = draw(st.none() | st.just(packed) | changed(packed) | st.binary(max_size=40))
    if event is not None:
        parts.append(Part("__sentry-event", event, "__sentry-event"))
    if draw(st.booleans()):
        parts.append(Part("extra", draw(texts()), None, "application/json"))
    body, kind = form(parts)
    return draw(st.just(body) | changed(body) | st.just(gzip.compress(body))), kind


@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(post=posts(), chunked=st.booleans(), door=st.integers(0, 4), said=texts())
def test_no_post_makes_a_500_and_each_that_is_taken_is_a_report_or_a_dead_letter(
    services: Services, app: App, post: tuple[bytes, str], chunked: bool, door: int, said: str
) -> None:
    body, kind = post
    path, body, kind = [
        (f"/breakpad/{app.app_id}/upload?guid=a", body, kind),
        (f"/api/{app.number}/minidump/", body, kind),
        (f"/api/{app.app_id}/minidump/", _DUMP + body, "application/x-dmp"),
        (f"/api/2/apps/{app.app_id}/uploads", said.encode(), "application/json"),
        (f"/breakpad/{app.app_id}/symbols?key=no", body, kind),
    ][door]
    answer = request("POST", path, body, {"Content-Type": kind}, chunked=chunked)
    assert answer.status < 500, answer.body
    taken = drain(services)
    dead = {letter.report_id for letter in services.crashes.dead_letters()}
    assert all(i in dead or services.table.get(keys.report(i)) for i in taken)
    assert bool(taken) == (answer.status == 200)


@pytest.mark.parametrize("name", ["dumps/{app}/a.dmp", "dumps/\ud800/.dmp", "dumps/x" * 100])
def test_an_event_with_any_key_is_done_with(services: Services, app: App, name: str) -> None:
    from chalicelib.storage.events import object_created
    from chalicelib.worker import Worker

    key = name.format(app=app.app_id).encode("utf-8", "replace").decode()
    services.queue.send(object_created("b", key, 1))
    assert Worker(services).drain() == 1
    assert services.queue.depth() == 0
