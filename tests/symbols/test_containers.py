"""What an upload holds: a file, or a zip that is bounded in every way."""

from __future__ import annotations

import zipfile
from io import BytesIO

import pytest

from chalicelib.errors import FormatError
from chalicelib.symbols import containers
from chalicelib.symbols.containers import Member, members
from tests.symbols.samples import APP_SYM, LIB_SYM, MAPPING


def zipped(files: dict[str, bytes]) -> bytes:
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return packed.getvalue()


def test_what_is_no_zip_is_its_own_member() -> None:
    assert list(members(b"anything", "a.sym")) == [Member("a.sym", b"anything")]


def test_a_zip_of_bundles_gives_the_debug_files_in_them() -> None:
    dwarf = b"\xcf\xfa\xed\xfe" + bytes(100)
    raw = zipped(
        {
            "App.dSYM/Contents/Info.plist": b"<plist/>",
            "App.dSYM/Contents/Resources/DWARF/App": dwarf,
            "__MACOSX/App.dSYM/._Info": b"\0\5\x16\7",
            "mapping.txt": MAPPING,
        }
    )
    found = {member.filename: member.data for member in members(raw, "x.zip")}
    assert found == {"App.dSYM/Contents/Resources/DWARF/App": dwarf, "mapping.txt": MAPPING}


def test_a_member_that_inflates_without_end_is_refused() -> None:
    raw = zipped({"a.sym": b"MODULE Linux x86 1 a\n" + bytes(40_000_000)})
    with pytest.raises(FormatError, match="inflates"):
        list(members(raw, "x.zip"))


def test_all_members_together_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "MAX_INFLATED_BYTES", len(APP_SYM) + 10)
    with pytest.raises(FormatError, match="inflates"):
        list(members(zipped({"a.sym": APP_SYM, "b.sym": LIB_SYM}), "x.zip"))


def test_a_member_cannot_say_itself_how_much_it_may_inflate_to() -> None:
    raw = bytearray(zipped({"a.sym": b"MODULE Linux x86 1 a\n" + bytes(40_000_000)}))
    for mark, place in ((b"PK\x01\x02", 20), (b"PK\x03\x04", 18)):
        begin = raw.index(mark) + place
        raw[begin : begin + 4] = (0x7FFF_FFFF).to_bytes(4, "little")  # its compressed size
    with pytest.raises(FormatError, match="it ends early"):
        list(members(bytes(raw), "x.zip"))


def test_more_debug_files_than_are_read_at_once_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(containers, "MAX_DEBUG_FILES", 3)
    files = {f"{number}.sym": APP_SYM for number in range(3)} | {"note.txt": b"x"}
    assert len(list(members(zipped(files), "x.zip"))) == 3
    with pytest.raises(FormatError, match="send it in parts"):
        list(members(zipped({**files, "b.sym": LIB_SYM}), "x.zip"))


def test_a_zip_has_a_bound_on_its_members(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "MAX_MEMBERS", 3)
    with pytest.raises(FormatError, match="3 members"):
        list(members(zipped({str(number): b"x" for number in range(4)}), "x.zip"))


def test_damaged_and_encrypted_zips_are_refused() -> None:
    raw = zipped({"a.sym": APP_SYM})
    flagged = bytearray(raw)
    for mark, place in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        flagged[raw.index(mark) + place] |= 1
    for bad in (raw[:-30], raw[:40] + bytes(30) + raw[70:], b"PK\x03\x04", bytes(flagged)):
        with pytest.raises(FormatError, match="zip"):
            list(members(bad, "x.zip"))
