"""What omaha's clients send in the place of a dump: archives, sound and broken."""

from __future__ import annotations

import gzip
import io
import random
import tarfile
from collections.abc import Iterable

import pytest

from chalicelib.errors import FormatError
from chalicelib.formats import archive_report, crash_archive, tar
from chalicelib.formats.crash_archive import BrokenArchive, read
from tests.shared_data import shared_data

DUMP = b"MDMP\x93\xa7\x00\x00" + bytes(500)


def archive(
    members: Iterable[tuple[str, bytes]] = (("log.txt", b"a log"), ("x/1.dmp", DUMP)),
    form: int = tarfile.USTAR_FORMAT,
) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as packed:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            packed.addfile(member, io.BytesIO(data))
    return out.getvalue()


# --- omaha-server's own fixtures ------------------------------------------


@pytest.mark.parametrize("name", ["foo.tar", "foo.tar.gz"])
def test_the_dump_of_omahas_archives_is_the_one_beside_them(name: str) -> None:
    found = read(shared_data("omaha", name).read_bytes(), name)
    dump = shared_data("minidumps", "dumps", "omaha-BreakpadTestApp.dmp").read_bytes()
    assert found.dump == dump
    assert found.is_archive
    assert found.names == ("7b05e196-7e23-416b-bd13-99287924e214.dmp",)


def test_omahas_archive_without_a_dump_has_names_only() -> None:
    name = "foo_only_instrumental_file.tar"
    found = read(shared_data("omaha", name).read_bytes(), name)
    folder = "foo_only_instrumental_file"
    assert found.dump == b""
    assert found.names == (f"{folder}/.DS_Store", f"{folder}/BreakpadTestApp.sym")


def test_omahas_incorrect_dump_is_an_archive_with_a_dump_in_it() -> None:
    path = shared_data("minidumps", "malformed", "omaha-incorrect_minidump.dmp")
    found = read(path.read_bytes(), path.name)
    assert (found.is_archive, len(found.dump), found.dump[:4]) == (True, 642_568, b"MDMP")


# --- what it is ------------------------------------------------------------


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize(
    "name", ["1.dmp", "a/b/1.dmp", "d" * 90 + "/" + "e" * 60 + ".dmp", "ü" * 30 + ".dmp"]
)
def test_the_first_dump_is_found_in_archives_of_every_kind(form: int, name: str) -> None:
    members = [("z.log", b"z" * 700), (name, DUMP), ("2.dmp", b"MDMP other")]
    found = read(archive(members, form))
    assert found == crash_archive.Contents(DUMP, True, ("z.log", name))


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_names_beyond_ustars_length_are_read(form: int) -> None:
    name = "n" * 300 + ".dmp"
    assert read(archive([(name, DUMP)], form)).dump == DUMP


def test_a_dump_is_taken_as_it_is_and_out_of_gzip() -> None:
    assert read(DUMP, "x.tar") == crash_archive.Contents(DUMP)
    assert read(gzip.compress(DUMP)) == crash_archive.Contents(DUMP)
    assert read(gzip.compress(archive())).dump == DUMP


def test_the_first_bytes_tell_what_it_is_not_the_name() -> None:
    assert read(archive(), "crash.dmp").dump == DUMP
    with pytest.raises(FormatError, match="neither a minidump nor a tar archive"):
        read(b"viasat_tar_dir/7A0C3B54", "crash.dmp")


def test_folders_and_links_are_no_files() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as packed:
        for kind, name in ((tarfile.DIRTYPE, "a.dmp"), (tarfile.SYMTYPE, "b.dmp")):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            packed.addfile(member)
    assert read(out.getvalue()) == crash_archive.Contents(b"", True, ())


# --- what is broken ---------------------------------------------------------

LIAR = bytearray(archive([("a.dmp", DUMP)]))


def with_size(field: bytes) -> bytes:
    """The archive whose first member says another size, with a right checksum."""
    broken = bytearray(LIAR)
    broken[124:136] = field.ljust(12, b"\0")
    broken[148:156] = b" " * 8
    broken[148:156] = b"%06o\0 " % sum(broken[:512])
    return bytes(broken)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x" * 600,
        archive()[:300],
        archive()[:1400],
        archive()[:1700],
        gzip.compress(archive())[:-20],
        gzip.compress(b"nothing of the kind"),
        b"\x1f\x8b broken",
        with_size(b"77777777777"),
        with_size(b"\x80" + b"\xff" * 11),
        with_size(b"no number"),
        archive((f"{n}.log", b"") for n in range(tar.MAX_MEMBERS + 1)),
    ],
)
def test_a_broken_archive_is_told_in_omahas_words(data: bytes) -> None:
    with pytest.raises(BrokenArchive, match=r"^The tar file is broken, error: \S"):
        read(data, "foo.tar.gz")


def test_an_archive_that_inflates_beyond_bounds_is_refused_early() -> None:
    bomb = gzip.compress(bytes(crash_archive.MAX_INFLATED_BYTES + 1000))
    assert len(bomb) < 100_000
    with pytest.raises(BrokenArchive, match="bytes inside"):
        read(bomb)


def test_extended_headers_are_bounded_and_read_in_linear_time() -> None:
    records = b"1" * 10_000_000  # one long number: a search for its end is what hurts
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as packed:
        member = tarfile.TarInfo("x")
        member.type, member.size = tarfile.XHDTYPE, len(records)
        packed.addfile(member, io.BytesIO(records))
    with pytest.raises(BrokenArchive, match="extended header"):
        read(out.getvalue())


def test_damaged_archives_are_read_or_refused_and_nothing_else() -> None:
    chance = random.Random(4)
    sound = archive([("n" * 300, b"x" * 600), ("1.dmp", DUMP)], tarfile.PAX_FORMAT)
    for _ in range(3000):
        data = bytearray(sound)
        for _ in range(chance.randint(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            read(bytes(data[: chance.randint(0, len(data))]), "x.tar")
        except FormatError as error:
            assert str(error)


# --- the report of what has no dump ------------------------------------------


def test_an_archive_without_a_dump_is_told_by_its_files_but_not_by_their_numbers() -> None:
    one = archive_report.parse(["a/trace-20150217.log", "b.sym"])
    same = archive_report.parse(["b.sym", "a/trace-20991231.log"])
    other = archive_report.parse(["c.sym"])
    assert one == same
    assert one.properties != other.properties
    assert (one.platform, one.stack) == ("other", ())
    assert archive_report.parse([]).properties
