"""What a form with a minidump in it becomes, whichever uploader wrote it."""

from __future__ import annotations

import gzip
import json

import pytest
from chalice.app import Request

from chalicelib.bootstrap import Services
from chalicelib.errors import InvalidRequest, PayloadTooLarge
from chalicelib.handlers import minidump_posts
from chalicelib.minidump_payload import PostedDump, fields_of
from tests.minidump_forms import DUMP, Part, form


def post(
    parts: list[Part], query: dict[str, str] | None = None, *, packed: bool = False, **headers: str
) -> PostedDump:
    body, kind = form(parts)
    sent = Request(
        {
            "httpMethod": "POST",
            "headers": {
                "content-type": kind,
                **{k.replace("_", "-"): v for k, v in headers.items()},
            },
            "multiValueQueryStringParameters": {k: [v] for k, v in (query or {}).items()},
            "pathParameters": None,
            "requestContext": {"httpMethod": "POST", "resourcePath": "/"},
            "stageVariables": None,
            "body": gzip.compress(body) if packed else body,
            "isBase64Encoded": False,
        }
    )
    return minidump_posts.posted_dump(minidump_posts.dump_request(sent))


DUMP_PART = Part("upload_file_minidump", DUMP, "a.dmp")


def test_text_parts_are_annotations_and_files_are_attachments(services: Services) -> None:
    posted = post(
        [Part("prod", "App"), Part("ver", "1.2"), Part("log", b"\0x", "x.log"), DUMP_PART]
    )
    assert posted.dump == DUMP
    assert posted.annotations == {"prod": "App", "ver": "1.2"}
    (attached,) = posted.attachments
    assert (attached.name, attached.filename, attached.data) == ("log", "x.log", b"\0x")


@pytest.mark.parametrize("headers", [{"content_encoding": "gzip"}, {}], ids=["told", "lost"])
def test_a_gzipped_body_is_known_by_its_first_bytes(
    services: Services, headers: dict[str, str]
) -> None:
    assert post([DUMP_PART], packed=True, **headers).dump == DUMP


def test_a_body_that_a_gateway_inflated_is_taken_though_the_header_says_gzip(
    services: Services,
) -> None:
    assert post([DUMP_PART], content_encoding="gzip").dump == DUMP


def test_a_gzipped_dump_is_inflated(services: Services) -> None:
    assert post([Part("upload_file_minidump", gzip.compress(DUMP), "a.dmp.gz")]).dump == DUMP


def test_a_bomb_in_a_body_or_in_a_dump_is_too_large(services: Services) -> None:
    bomb = DUMP + bytes(services.settings.max_body_bytes)
    with pytest.raises(PayloadTooLarge):
        post([Part("upload_file_minidump", bomb, "a.dmp")], packed=True)
    with pytest.raises(PayloadTooLarge):
        post([Part("upload_file_minidump", gzip.compress(bomb), "a.dmp")])


@pytest.mark.parametrize("data", [b"", b"no dump", b"\x1f\x8b\x08 no gzip", gzip.compress(b"x")])
def test_what_is_no_minidump_is_refused_by_the_name_of_its_part(
    services: Services, data: bytes
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        post([Part("upload_file_minidump", data, "a.dmp")])
    assert set(refused.value.fields) <= {"upload_file_minidump", "body"}


def test_a_form_without_a_dump_is_refused(services: Services) -> None:
    with pytest.raises(InvalidRequest, match="upload_file_minidump: is missing"):
        post([Part("prod", "App")])


def test_files_of_one_name_are_all_attached_and_of_texts_the_first_counts(
    services: Services,
) -> None:
    files = [Part("log", b"1", "a.log"), Part("log", b"2", "b.log")]
    posted = post([DUMP_PART, *files, Part("ver", "1"), Part("ver", "2")])
    assert [(entry.name, entry.filename, entry.data) for entry in posted.attachments] == [
        ("log", "a.log", b"1"), ("log-2", "b.log", b"2"),
    ]  # fmt: skip
    assert posted.annotations == {"ver": "1"}


def test_the_names_that_crashpad_escapes_are_read_as_it_wrote_them(services: Services) -> None:
    posted = post([Part("100%25 %22sure%22%0d%0a%41", "x"), DUMP_PART])
    assert posted.annotations == {'100% "sure"\r\n%41': "x"}


def test_the_query_says_what_the_form_does_not(services: Services) -> None:
    query = {"product": "App", "version": "7", "guid": "g", "other": "ignored"}
    posted = post([Part("version", "8"), DUMP_PART], query)
    assert posted.annotations == {"product": "App", "version": "8", "guid": "g"}


def test_mozillas_extra_is_all_annotations_at_once(services: Services) -> None:
    extra = {"ProductName": "Firefox", "Version": "120.0", "StartupTime": 1, "Addons": ["a"]}
    posted = post([Part("extra", json.dumps(extra), "extra.json", "application/json"), DUMP_PART])
    assert posted.annotations == {
        "ProductName": "Firefox",
        "Version": "120.0",
        "StartupTime": "1",
        "Addons": '["a"]',
    }
    assert posted.attachments == ()


def test_an_extra_that_cannot_be_read_is_kept_as_a_file(services: Services) -> None:
    posted = post([Part("extra", "{", "e.json", "application/json"), DUMP_PART])
    assert [item.name for item in posted.attachments] == ["extra"]


def test_half_a_character_in_json_is_replaced(services: Services) -> None:
    posted = post([Part("extra", '{"a\\ud800": "\\udfff"}', None, "application/json"), DUMP_PART])
    assert posted.annotations == {"a?": "?"}


def test_half_a_character_that_a_parts_charset_spells_is_replaced(services: Services) -> None:
    spelled = Part("user", b"\\ud800", content_type="text/plain; charset=unicode_escape")
    posted = post([spelled, Part("ver", b"x", content_type="text/plain; charset=idna"), DUMP_PART])
    assert posted.annotations == {"user": "?", "ver": "x"}


def test_a_long_value_becomes_an_attachment_and_nothing_is_lost(services: Services) -> None:
    long = "x" * 20_000
    many = [Part(f"a{number}", "y" * 15_000) for number in range(20)]
    posted = post([Part("telemetry", long), *many, DUMP_PART])
    filed = {item.name: item.data for item in posted.attachments}
    assert filed["telemetry"] == long.encode()
    assert sum(len(n) + len(v) for n, v in posted.annotations.items()) <= 256_000
    assert {*filed, *posted.annotations} == {"telemetry", *(part.name for part in many)}


def test_512_parts_are_taken_and_more_are_refused(services: Services) -> None:
    assert len(post([DUMP_PART, *(Part(f"a{n}", "") for n in range(511))]).annotations) == 511
    with pytest.raises(InvalidRequest):
        post([DUMP_PART, *(Part(f"a{n}", "") for n in range(512))])


@pytest.mark.parametrize(
    ("annotations", "fields"),
    [
        (  # Electron says its own version too
            {"_productName": "Slack", "_version": "4.28", "prod": "Electron", "ver": "20.0.3"}
            | {"guid": "g", "platform": "linux", "process_type": "renderer"},
            {"app_name": "Slack", "version": "4.28", "install_id": "g", "platform": "linux"}
            | {"process_type": "renderer"},
        ),
        (
            {"prod": "Chrome_Linux", "ver": "99.0", "plat": "Linux", "ptype": "browser"}
            | {"channel": "beta"},
            {"app_name": "Chrome_Linux", "version": "99.0", "platform": "Linux"}
            | {"process_type": "browser", "channel": "beta"},
        ),
        (
            {"ProductName": "Firefox", "Version": "120.0", "ReleaseChannel": "release"}
            | {"Email": "a@b.c"},
            {"app_name": "Firefox", "version": "120.0", "channel": "release", "contact": "a@b.c"},
        ),
        ({"sentry[release]": "my-app@1.2.3+4", "guid": " "}, {"version": "1.2.3+4"}),
        ({"ver": "1\x1f2\n3" + "4" * 300}, {"version": "1 2 3" + "4" * 250}),
    ],
    ids=["electron", "crashpad", "mozilla", "sentry", "wild"],
)
def test_our_fields_are_found_under_each_clients_names(
    annotations: dict[str, str], fields: dict[str, str]
) -> None:
    assert fields_of(annotations) == fields


def test_a_form_of_20_megabytes_is_read_in_a_few_times_its_size(services: Services) -> None:
    import tracemalloc

    part = Part("upload_file_minidump", DUMP + bytes(19_000_000), "a.dmp")
    tracemalloc.start()
    try:
        assert len(post([part]).dump) > 19_000_000
        assert tracemalloc.get_traced_memory()[1] < 150_000_000
    finally:
        tracemalloc.stop()
