"""QuincyKit's XML, as its document shows it and as its clients damage it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.errors import FormatError
from chalicelib.formats import quincy_xml
from chalicelib.formats.quincy_xml import (
    MAX_CRASHES,
    MAX_FIELD_CHARS,
    MAX_XML_BYTES,
    BinaryUuid,
    QuincyCrash,
    ResultCode,
    check,
    missing_fields,
)

SAMPLES = Path(__file__).parent / "samples"


def parsed(name: str) -> tuple[QuincyCrash, ...]:
    return quincy_xml.parse((SAMPLES / name).read_bytes())


def only(xml: str) -> QuincyCrash:
    (crash,) = quincy_xml.parse(xml.encode())
    return crash


def test_the_documents_example_is_read_whole() -> None:
    (crash,) = parsed("quincy_document.xml")
    assert crash.applicationname == "QuincyDemo"
    assert crash.bundleidentifier == "de.buzzworks.QuincyMacDemo"
    assert (crash.systemversion, crash.platform) == ("10.6.8", "MacBookPro5,3")
    assert (crash.senderversion, crash.version) == ("2", "2")
    assert (crash.userid, crash.contact) == ("", "")
    assert crash.description == "Comments:it went away Console: 10:01 bye"
    assert crash.log.startswith("Process:         QuincyDemo [4711]\nIdentifier:")
    assert crash.unread == ()


def test_a_real_clients_unescaped_text_and_nested_cdata_are_read() -> None:
    crash, second = parsed("quincy_ios_client.xml")
    assert crash.applicationname == "Fish & Chips"
    assert crash.userid == "Tom & Jerry <tj@example.com>"
    assert crash.contact == "a<b && c>d"
    assert crash.description == "Comment: I typed <tags> & more\nLog: last lines"
    assert crash.log.endswith("reason: 'if (a[b[0]]> c) </log> failed'")
    assert crash.uuids == (
        BinaryUuid("0C4B4E2D7A1F3B5C8D9E0F1A2B3C4D5E", "app", "armv7"),
        BinaryUuid("1C4B4E2D7A1F3B5C8D9E0F1A2B3C4D5E", "framework", "armv7"),
    )
    assert crash.uuid == "5D0F6B5C-53C4-4C8A-9F9B-9A3C1E0D1B2A"
    assert (crash.username, crash.installstring, crash.versionstring) == ("tj", "0F6DE0A2", "1.1")
    assert second.log == "second"


def test_a_declared_latin1_is_honoured_and_references_replaced() -> None:
    (crash,) = parsed("quincy_latin1.xml")
    assert crash.applicationname == "Käse"
    assert crash.userid == "Jürgen & Söhne ü <x>"
    assert crash.log == "one\ntwo"


def test_utf16_is_read() -> None:
    assert parsed("quincy_utf16.xml")[0].applicationname == "日本"


@pytest.mark.parametrize("declared", ["utf-16", "no-such-codec", "rot13", "idna", "zip", "utf-7"])
def test_a_wrong_or_dangerous_declaration_is_not_followed(declared: str) -> None:
    xml = f'<?xml version="1.0" encoding="{declared}"?><crash><userid>+AGE-ü</userid></crash>'
    assert only(xml).userid == "+AGE-ü"


@pytest.mark.parametrize("name", ["quincy_billion_laughs.xml", "quincy_external_entity.xml"])
def test_entities_are_refused(name: str) -> None:
    with pytest.raises(FormatError, match="DTD"):
        parsed(name)


@pytest.mark.parametrize("before", ["", " ", "junk ", "<", "\x01"])
def test_a_dtd_is_refused_in_damaged_xml_too(before: str) -> None:
    with pytest.raises(FormatError):
        only(before + '<!DOCTYPE a [<!ENTITY x "y">]><crash><userid>a & b &x;</userid></crash>')


def test_a_dtd_that_a_person_typed_is_text() -> None:
    crash = only("<crash><description><![CDATA[<!DOCTYPE a>]]></description><log>l</log></crash>")
    assert crash.description == "<!DOCTYPE a>"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("plain", "plain"),
        ("a & b", "a & b"),
        ("a &amp; b & &lt;c&gt;", "a & b & <c>"),
        ("&#65;&#x42;& &#xD800;&#1114112;&nbsp;", "AB& \ufffd\ufffd&nbsp;"),
        ("a < b", "a < b"),
        ("<![CDATA[a & b]]>", "a & b"),
        ("<![CDATA[a <![CDATA[b]]> c]]>", "a b c"),
        ("<![CDATA[a <![CDATA[b]]>", "a b"),
        ("x: <![CDATA[a]]> & y", "x: a & y"),
        (
            "\n <![CDATA[</description> <userid>no</userid>]]>\n",
            "</description> <userid>no</userid>",
        ),
        ("bell \x07 rings", "bell \x07 rings"),
    ],
)
def test_a_description_is_read_however_it_is_written(content: str, expected: str) -> None:
    crash = only(f"<crash><description>{content}</description><log>l</log></crash>")
    assert (crash.description, crash.log, crash.userid) == (expected, "l", "")


def test_a_missing_end_tag_costs_nothing_else() -> None:
    crash = only("<crash><userid>u <contact>c</contact><version />&<log>l</log></crash>")
    assert (crash.userid, crash.contact, crash.log) == ("u", "c", "l")


def test_a_post_cut_off_gives_the_crashes_before_and_the_log_so_far() -> None:
    one = "<crash><version>1</version><log><![CDATA[first]]></log></crash>"
    crashes = quincy_xml.parse(f"<crashes>{one}<crash><log><![CDATA[sec".encode())
    assert [crash.log for crash in crashes] == ["first", "sec"]
    assert crashes[1].unread == ("log is cut off",)
    crashes = quincy_xml.parse(f"<crashes>{one}<crash><version>2</ver".encode())
    assert [crash.log for crash in crashes] == ["first"]


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"", "empty"),
        (b"<?xml version='1.0'?>  ", "empty"),
        (b"hello", "not XML"),
        (b"<html></html>", "root element is <html>"),
        (b"<crashes></crashes>", "no <crash>"),
        (b"<crash><version>1</version>", "not XML"),
        (b"<crash>" + b"<a>" * 100, "nested deeper"),
        (b"<crash>" + b"<a></a>" * 20_000 + b"</crash>", "elements"),
        (b"<crashes>" + b"<crash></crash>" * (MAX_CRASHES + 1) + b"</crashes>", "crashes"),
        (b"<crashes>&" + b"<crash><log>l</log></crash>" * (MAX_CRASHES + 1), "crashes"),
        (b"<crash>&" + b"<userid/>" * 30_000, "tags"),
        (b" " * (MAX_XML_BYTES + 1), "limit"),
        (bytes(range(256)) * 10, "not text"),
    ],
)
def test_what_cannot_be_read_says_why(raw: bytes, problem: str) -> None:
    with pytest.raises(FormatError, match=problem):
        quincy_xml.parse(raw)


def test_a_long_field_is_cut_and_a_long_log_is_not() -> None:
    crash = only(f"<crash><userid>{'u' * 5000}</userid><log>{'l' * 500_000}</log></crash>")
    assert (len(crash.userid), len(crash.log)) == (MAX_FIELD_CHARS, 500_000)
    assert crash.unread == (f"userid cut to {MAX_FIELD_CHARS} characters",)


GOOD = QuincyCrash(applicationname="A", bundleidentifier="a.b", version="1.0", log="l")


def test_the_required_fields_are_checked() -> None:
    assert missing_fields(GOOD) == ()
    assert check(GOOD) is None
    assert missing_fields(QuincyCrash(version=" ")) == (
        "log",
        "version",
        "applicationname",
        "bundleidentifier",
    )
    assert check(QuincyCrash()) is ResultCode.INVALID_POST


@pytest.mark.parametrize(
    ("version", "allowed"),
    [
        ("1.0 (7)", True),
        ("1,2;3:4&\"5'6?7!", True),
        ("1.0-beta", False),
        ("1_0", False),
        ("<b>", False),
        ("1.0é", False),
        ("٣", False),
    ],
)
def test_versions_follow_the_character_rule(version: str, allowed: bool) -> None:
    of_app = QuincyCrash("A", "a.b", version=version, log="l")
    of_sender = QuincyCrash("A", "a.b", version="1", senderversion=version, log="l")
    assert check(of_app) is (None if allowed else ResultCode.ILLEGAL_VERSION)
    assert check(of_sender) is (None if allowed else ResultCode.ILLEGAL_SENDER_VERSION)


def read_or_refused(raw: bytes) -> None:
    try:
        crashes = quincy_xml.parse(raw)
    except FormatError as error:
        assert str(error)
    else:
        assert crashes
        repr(crashes).encode()  # nothing in it that cannot be stored


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("quincy_*.xml")), ids=lambda path: path.stem)
def test_a_post_cut_off_anywhere_is_read_or_refused(path: Path) -> None:
    raw = path.read_bytes()
    for end in range(len(raw)):
        read_or_refused(raw[:end])


@given(st.binary(max_size=400))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    read_or_refused(raw)
    read_or_refused(b"<crash><log>" + raw + b"</log></crash>")


PIECES = [
    "<crash>", "</crash>", "<crashes>", "</crashes>", "<log>", "</log>", "<userid>", "</userid>",
    "<userid/>", "<uuids>", "</uuids>", '<uuid type="a">', "</uuid>", "<![CDATA[", "]]>",
    "]]]]><![CDATA[>", "&", "<", ">", "&amp;", "&#0;", "&x;", "<!--", "-->", "<!DOCTYPE a>",
    "<?xml version='1.0'?>", "text", " ", "\n", "\0", "\ud7ff",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_heap_of_marks_is_read_or_refused(pieces: list[str]) -> None:
    read_or_refused("".join(pieces).encode())


typed_text = st.text(
    st.characters(
        codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"
    ),
    max_size=40,
).filter(lambda text: "</" not in text and "<![CDATA[" not in text)


@given(typed_text, typed_text, st.text("ab]<>&![CDAT \n", max_size=40))
@settings(max_examples=200, deadline=None)
def test_what_a_client_writes_is_what_is_read(userid: str, contact: str, log: str) -> None:
    split = log.replace("]]>", "]]]]><![CDATA[>")
    known = ("&amp;", "&lt;", "&gt;", "&quot;", "&apos;", "&#")
    if any(mark in userid + contact for mark in known) or "<![CDATA[" in log:
        return  # unescaped text cannot be told from escaped text there
    if any(f"<{tag}" in userid + contact for tag in ("!", "?", "a", "b", "c")):
        return
    typed = f"<userid>{userid}</userid><contact>{contact}</contact>"
    crash = only(f"<crash>{typed}<log><![CDATA[{split}]]></log></crash>")
    assert (crash.userid, crash.contact) == (userid.strip(), contact.strip())
    assert crash.log == log.strip()


@pytest.mark.parametrize(
    "unit",
    [
        "<log><![CDATA[x</log>",
        "<userid><![CDATA[",
        "<userid>a & ",
        "<log ",
        "<log>&<![CDATA[x]]></userid></log>",
        "<log> <![CDATA[]]>   </log",
        "]]><![CDATA[",
        "&#1;",
        "<![CDATA[",
        "<",
        "<crash",
        "<?xml ",
    ],
)
def test_time_grows_with_length_and_no_faster(unit: str) -> None:
    def seconds(size: int) -> float:
        raw = f"<crash>&{unit * (size // len(unit))}".encode()
        best = float("inf")
        for _ in range(3):
            start = time.perf_counter()
            read_or_refused(raw)
            best = min(best, time.perf_counter() - start)
        return best

    # Eight times the text may take eight times as long; the rest is noise on a busy machine.
    assert seconds(400_000) < 8 * 4 * max(seconds(50_000), 0.002)
