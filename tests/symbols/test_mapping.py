"""Original names out of mappings, class by class."""

from __future__ import annotations

import pytest

from chalicelib.errors import FormatError
from chalicelib.symbols import mapping_index
from chalicelib.symbols.mapping import Mapping, OriginalFrame
from chalicelib.symbols.mapping_index import MappingIndex
from chalicelib.symbols.proguard import is_mapping
from tests.symbols.samples import MAPPING

ACTIVITY, HELPER = "com.example.app.MainActivity", "com.example.app.Helper"


@pytest.fixture
def mapping() -> Mapping:
    return Mapping(MAPPING, mapping_index.build(MAPPING))


def test_a_method_is_told_with_its_file_and_its_line(mapping: Mapping) -> None:
    assert mapping.original_frames("a.c", "a", 2) == [
        OriginalFrame(ACTIVITY, "onCreate", "MainActivity.kt", 11)
    ]


def test_inlined_methods_stand_innermost_first_with_the_files_of_their_classes(
    mapping: Mapping,
) -> None:
    assert mapping.original_frames("a.c", "a", 4) == [
        OriginalFrame(HELPER, "inner", "Helpers.kt", 33),
        OriginalFrame(ACTIVITY, "onCreate", "MainActivity.kt", 14),
    ]


def test_a_method_without_lines_keeps_none(mapping: Mapping) -> None:
    assert mapping.original_frames("a.c", "b", 77) == [
        OriginalFrame(ACTIVITY, "click", "MainActivity.kt", None)
    ]


def test_a_name_that_stands_for_several_methods_is_not_guessed(mapping: Mapping) -> None:
    assert mapping.original_frames("a.c", "c", 5) == []
    assert mapping.original_class("a.c") == ACTIVITY


def test_what_is_not_mapped_has_no_original(mapping: Mapping) -> None:
    assert mapping.original_frames("java.util.ArrayList", "get", 3) == []
    assert mapping.original_frames("a.c", "zz", 3) == []
    assert mapping.original_frames("a.c", "\ud800", -3) == []
    assert mapping.original_frames("a.\ud800", "a", 2**63) == []
    assert mapping.original_class("") is mapping.original_class("a") is None


def test_every_class_of_a_large_mapping_is_found() -> None:
    raw = MAPPING + b"".join(
        b"com.big.C%d -> p.c%d:\n    1:1:void m%d():%d:%d -> a\n" % (i, i, i, i + 1, i + 1)
        for i in range(3000)
    )
    mapping = Mapping(raw, mapping_index.build(raw))
    for i in range(0, 3000, 7):
        assert mapping.original_class(f"p.c{i}") == f"com.big.C{i}"
        [frame] = mapping.original_frames(f"p.c{i}", "a", 1)
        assert (frame.method, frame.line, frame.file) == (f"m{i}", i + 1, None)


def test_windows_line_ends_change_nothing() -> None:
    raw = MAPPING.replace(b"\n", b"\r\n")
    assert is_mapping(raw)
    mapping = Mapping(raw, mapping_index.build(raw))
    assert mapping.original_frames("a.c", "a", 2) == [
        OriginalFrame(ACTIVITY, "onCreate", "MainActivity.kt", 11)
    ]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"a.B -> c:\n", True),
        (b"# comment\n\n# {}\na.B -> c:", True),
        (b"\xef\xbb\xbfa.B -> c:\n", True),
        (b"", False),
        (b"# comment\n", False),
        (b"    void a() -> b\n", False),
        (b"a -> b\n", False),
        (b"MODULE Linux x86 1 a -> b:\n", True),
        (b"{}", False),
    ],
)
def test_a_mapping_is_known_by_its_first_class(raw: bytes, expected: bool) -> None:
    assert is_mapping(raw) is expected


def test_a_damaged_index_is_told() -> None:
    index = mapping_index.build(MAPPING)
    for damaged in (b"", index[:12], b"X" + index[1:]):
        with pytest.raises(FormatError):
            MappingIndex(damaged)
