"""Symbol files in the store: kept once, listed, taken away, opened for whoever reads crashes."""

from __future__ import annotations

import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from chalicelib.errors import FormatError, InvalidRequest, NotFound
from chalicelib.ids import IdSource
from chalicelib.model import AppBuild
from chalicelib.storage.counting import CountingBlobs, CountingTable
from chalicelib.storage.embedded.store import open_store
from chalicelib.symbols.source import NEGATIVE_S
from chalicelib.symbols.store import Symbols
from chalicelib.tasks import MappingArrived, SymbolsArrived
from chalicelib.versions import Versions
from tests.symbols.samples import APP_ID, APP_SYM, LIB_ID, LIB_SYM, MAPPING, compiled

APP, OTHER = "a" * 32, "b" * 32


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Shop:
    """The service over a store whose requests are counted."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.store = open_store(folder)
        self.table = CountingTable(self.store.table)
        self.blobs = CountingBlobs(self.store.blobs)
        self.ids = IdSource()
        self.clock = Clock()
        self.arrived: list[SymbolsArrived | MappingArrived] = []
        self.symbols = self.another(**options)

    def another(self, **options: Any) -> Symbols:
        """The same store, as another process has it."""
        return Symbols(
            self.table, self.blobs, self.ids, arrived=self.arrived.append, now=self.clock, **options
        )

    @property
    def requests(self) -> int:
        table, blobs = self.table.snapshot(), self.blobs.snapshot()
        return table.read_requests + table.write_requests + blobs.gets + blobs.puts + blobs.sizes


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path / "data")
    yield made
    made.store.close()


def zipped(**members: bytes) -> bytes:
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return packed.getvalue()


# --- adding ---


def test_a_file_is_kept_as_it_came_with_what_it_is(shop: Shop) -> None:
    [added] = shop.symbols.add(APP_SYM, app_id=APP, filename="app.sym")
    file = shop.symbols.file(added.file.file_id)
    assert added.is_new and file == added.file
    assert (file.app_id, file.debug_id, file.debug_file) == (APP, APP_ID, "app.pdb")
    assert (file.kind, file.arch, file.code_id) == ("breakpad", "x86", "5ab380779000")
    assert file.size_bytes == len(APP_SYM) and len(file.sha256) == 64
    assert file.file_id < 2**53
    assert shop.symbols.content(file.file_id) == APP_SYM
    assert shop.symbols.download(file.file_id, expires_in_s=60)


def test_the_same_content_again_is_not_new(shop: Shop) -> None:
    [first] = shop.symbols.add(APP_SYM, app_id=APP, filename="app.sym")
    [again] = shop.symbols.add(APP_SYM, app_id=APP, filename="other.sym")
    assert not again.is_new and again.file == first.file
    assert shop.symbols.files(APP).total == 1
    [elsewhere] = shop.symbols.add(APP_SYM, app_id=OTHER, filename="app.sym")
    assert elsewhere.is_new


def test_the_same_content_at_the_same_time_is_kept_once(shop: Shop) -> None:
    with ThreadPoolExecutor(6) as pool:
        added = list(
            pool.map(lambda _: shop.symbols.add(LIB_SYM, app_id=APP, filename="l.sym")[0], range(6))
        )
    assert sum(entry.is_new for entry in added) == 1
    assert len({entry.file.file_id for entry in added}) == 1
    assert shop.symbols.files(APP).total == 1
    assert len(list(shop.blobs.keys("symbols/"))) == 3


def test_an_upload_that_breaks_off_shows_nothing_and_can_be_repeated(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(operations: object) -> None:
        raise OSError("the machine stops here")

    with monkeypatch.context() as broken:
        broken.setattr(shop.table, "write", refuse)
        with pytest.raises(OSError, match="stops"):
            shop.symbols.add(LIB_SYM, app_id=APP, filename="l.sym")
    assert shop.symbols.files(APP).total == 0
    assert shop.symbols.source(APP).module("", LIB_ID) is None
    shop.clock.now += NEGATIVE_S + 1
    [added] = shop.symbols.add(LIB_SYM, app_id=APP, filename="l.sym")
    assert added.is_new and shop.symbols.source(APP).module("", LIB_ID)


def test_a_zip_gives_its_debug_files_and_passes_over_the_rest(shop: Shop) -> None:
    raw = zipped(
        **{"a/app.sym": APP_SYM, "l.sym": LIB_SYM, "Info.plist": b"<plist/>", "bad.pdb": b"MZ"}
    )
    added = shop.symbols.add(raw, app_id=None, filename="all.zip")
    assert [entry.file.debug_id for entry in added] == [APP_ID, LIB_ID]
    assert {entry.file.app_id for entry in added} == {None}


@pytest.mark.parametrize(
    "raw", [b"", b"text", zipped(), zipped(**{"a.txt": b"text"}), zipped(**{"a.sym": APP_SYM})[:80]]
)
def test_what_has_no_debug_file_is_refused_and_leaves_nothing(shop: Shop, raw: bytes) -> None:
    with pytest.raises(FormatError):
        shop.symbols.add(raw, app_id=APP, filename="x")
    assert shop.symbols.files(APP).total == 0
    assert list(shop.blobs.keys("symbols/")) == []


def test_arrivals_are_told_each_time(shop: Shop) -> None:
    shop.symbols.add(LIB_SYM, app_id=APP, filename="l.sym")
    shop.symbols.add(LIB_SYM, app_id=APP, filename="l.sym")
    shop.symbols.add(APP_SYM, app_id=None, filename="a.sym")
    assert shop.arrived == [
        SymbolsArrived(LIB_ID, APP), SymbolsArrived(LIB_ID, APP), SymbolsArrived(APP_ID, None),
    ]  # fmt: skip


# --- listing and removing ---


def test_files_are_listed_oldest_first_a_part_at_a_time_with_the_exact_count(shop: Shop) -> None:
    builds = [LIB_SYM.replace(LIB_ID.encode(), b"%032X0" % number) for number in range(1, 6)]
    for number, raw in enumerate(builds):
        shop.symbols.add(raw, app_id=APP, filename=f"{number}.sym")
    shop.symbols.add(APP_SYM, app_id=OTHER, filename="app.sym")
    page = shop.symbols.files(APP, start=1, count=3)
    assert [file.filename for file in page.files] == ["1.sym", "2.sym", "3.sym"]
    assert page.total == 5
    assert shop.symbols.files(APP, start=5).files == ()
    assert shop.symbols.files(None).total == 0


def test_a_deleted_file_is_gone_with_its_caches(shop: Shop) -> None:
    [added] = shop.symbols.add(LIB_SYM, app_id=APP, filename="l.sym")
    assert shop.symbols.source(APP).module("", LIB_ID)
    assert shop.symbols.delete(added.file.file_id) == added.file
    assert shop.symbols.files(APP) == type(shop.symbols.files(APP))((), 0)
    assert list(shop.blobs.keys("symbols/")) == []
    for call in (shop.symbols.file, shop.symbols.delete, shop.symbols.content):
        with pytest.raises(NotFound):
            call(added.file.file_id)
    shop.clock.now += NEGATIVE_S + 1
    assert shop.symbols.source(APP).module("", LIB_ID) is None


def test_a_build_is_there_by_its_id_and_its_name(shop: Shop) -> None:
    shop.symbols.add(APP_SYM, app_id=APP, filename="app.sym")
    assert shop.symbols.has_build(APP, APP_ID, "app.pdb")
    assert shop.symbols.has_build(APP, APP_ID.lower(), "app.pdb")
    assert not shop.symbols.has_build(APP, APP_ID, "other.pdb")
    assert not shop.symbols.has_build(OTHER, APP_ID, "app.pdb")
    assert not shop.symbols.has_build(None, APP_ID, "app.pdb")


# --- looking up ---


def test_an_app_sees_its_own_symbols_then_those_for_every_app(shop: Shop) -> None:
    shop.symbols.add(LIB_SYM.replace(b"lib_call", b"shared"), app_id=None, filename="l.sym")
    shop.symbols.add(LIB_SYM.replace(b"lib_call", b"own"), app_id=APP, filename="l.sym")
    ours, theirs = (shop.symbols.source(app).module("", LIB_ID) for app in (APP, OTHER))
    assert ours and ours.locate(0x2000)[0].function == "own"
    assert theirs and theirs.locate(0x2000)[0].function == "shared"


def test_nobody_sees_the_symbols_of_another_app(shop: Shop) -> None:
    shop.symbols.add(LIB_SYM, app_id=APP, filename="l.sym")
    assert shop.symbols.source(OTHER).module("liblib.so", LIB_ID) is None
    assert shop.symbols.source(OTHER).module("liblib.so", "") is None


def test_a_warm_lookup_asks_the_store_nothing_and_parses_nothing(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.symbols.add(LIB_SYM, app_id=APP, filename="l.sym")
    source = shop.symbols.source(APP)
    module = source.module("liblib.so", LIB_ID)
    assert module and module.locate(0x2000) and module.cfi(0x2010)
    before = shop.requests
    monkeypatch.setattr("chalicelib.symbols.source.open_symbols", None)
    monkeypatch.setattr("chalicelib.symbols.debug_file.read", None)
    for _ in range(50):
        again = source.module("liblib.so", LIB_ID)
        assert again is module
        assert again.locate(0x2000)[0].function == "lib_call"
        assert again.cfi(0x2010)
        assert source.module("missing.so", "F" * 33) is None or pytest.fail("not there")
    # The first look for a build that is not there is the only one that asks.
    assert shop.requests - before <= 2
    shop.clock.now += NEGATIVE_S + 1
    assert source.module("liblib.so", LIB_ID) is module, "only which file it is was asked again"


def test_symbols_that_come_late_are_seen_after_the_time_that_is_promised(shop: Shop) -> None:
    other_process = shop.another()
    assert other_process.source(APP).module("", LIB_ID) is None
    shop.symbols.add(LIB_SYM, app_id=APP, filename="l.sym")
    shop.clock.now += NEGATIVE_S + 0.1
    assert other_process.source(APP).module("", LIB_ID)


def test_an_app_without_symbol_files_costs_two_reads_however_many_builds_it_asks_for(
    shop: Shop,
) -> None:
    source = shop.symbols.source(APP)
    for number in range(100):
        assert source.module("x", f"{number:033X}") is None
    assert source.mapping(AppBuild(version="1")) is None
    assert shop.table.snapshot().read_requests == 2


def test_the_debug_file_names_what_the_program_unwinds(shop: Shop, tmp_path: Path) -> None:
    program = compiled(tmp_path).read_bytes()
    [own] = shop.symbols.add(program, app_id=APP, filename="cart")
    # A file with names alone came later: lines are better.
    names = (
        f"MODULE Linux x86_64 {own.file.debug_id} cart\nPUBLIC 0 0 everything\n"
        "STACK CFI INIT 0 fffff .cfa: late\n"
    )
    shop.symbols.add(names.encode(), app_id=APP, filename="cart.sym")
    module = shop.symbols.source(APP).module("cart", own.file.debug_id)
    assert module
    rules = module.cfi(0x10)
    assert rules and rules[".cfa"] == "late", "of two with unwind data the last that came"
    assert {place.function for o in range(0x1000, 0x1200) for place in module.locate(o)} >= {"main"}


def test_open_modules_stay_within_their_bytes(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "data", cache_bytes=1500)
    ids = [f"{number:032X}0" for number in range(1, 9)]
    for debug_id in ids:
        raw = LIB_SYM.replace(LIB_ID.encode(), debug_id.encode())
        shop.symbols.add(raw, app_id=APP, filename="l.sym")
    source = shop.symbols.source(APP)
    first = [source.module("", debug_id) for debug_id in ids]
    assert all(module and module.locate(0x2000) for module in first)
    again = [source.module("", debug_id) for debug_id in reversed(ids)]
    kept = sum(one is two for one, two in zip(first, reversed(again), strict=True))
    assert 0 < kept < len(ids)
    shop.store.close()


def test_threads_that_want_one_module_open_it_once(shop: Shop) -> None:
    shop.symbols.add(LIB_SYM, app_id=APP, filename="l.sym")
    source = shop.symbols.source(APP)
    before = shop.blobs.snapshot().gets
    start = threading.Barrier(8)

    def look(_: int) -> object:
        start.wait()
        module = source.module("", LIB_ID)
        assert module and module.locate(0x2000) and module.cfi(0x2004)
        return module

    with ThreadPoolExecutor(8) as pool:
        modules = set(pool.map(look, range(8)))
    assert len(modules) == 1
    assert shop.blobs.snapshot().gets - before == 2


# --- mappings ---


def test_a_mapping_is_found_by_the_version_it_was_sent_for(shop: Shop) -> None:
    version = AppBuild(version="42", short_version="1.0")
    [added] = shop.symbols.add(MAPPING, app_id=APP, filename="mapping.txt", version=version)
    assert (added.file.version_number, added.file.version_name) == ("42", "1.0")
    source = shop.symbols.source(APP)
    for build in (version, AppBuild(version="42"), AppBuild(version="42", short_version="1.0-b")):
        found = source.mapping(build)
        assert found and found.original_class("a.c") == "com.example.app.MainActivity"
    for build in (AppBuild(version="43", short_version="1.0"), AppBuild(short_version="1.0")):
        assert source.mapping(build) is None
    assert shop.symbols.source(OTHER).mapping(version) is None


def test_a_version_that_is_told_by_one_word_is_a_number_or_a_name(shop: Shop) -> None:
    version = AppBuild(version="1.0")
    shop.symbols.add(MAPPING, app_id=APP, filename="mapping.txt", version=version)
    source = shop.symbols.source(APP)
    assert source.mapping(AppBuild(version="1.0"))
    assert source.mapping(AppBuild(version="42", short_version="1.0"))


def test_a_mapping_is_found_by_the_id_that_r8_wrote_into_the_program(shop: Shop) -> None:
    shop.symbols.add(MAPPING, app_id=APP, filename="mapping.txt")
    assert shop.symbols.source(APP).mapping(AppBuild(), ["7f3a9c"])
    assert shop.symbols.source(APP).mapping(AppBuild(), ["other"]) is None


def test_the_newest_mapping_of_a_version_counts_and_its_versions_are_told(shop: Shop) -> None:
    version = AppBuild(version="42", short_version="1.0")
    made = Versions(shop.table, shop.ids).ensure(APP, "42", "1.0")
    Versions(shop.table, shop.ids).ensure(APP, "43", "1.0")
    [first] = shop.symbols.add(MAPPING, app_id=APP, filename="m.txt", version=version)
    newer = MAPPING.replace(b"MainActivity -> a.c", b"Renamed -> a.c")
    [second] = shop.symbols.add(newer, app_id=APP, filename="m.txt", version=version)
    assert shop.arrived == [MappingArrived(APP, made.version_id)] * 2
    found = shop.symbols.source(APP).mapping(version)
    assert found and found.original_class("a.c") == "com.example.app.Renamed"
    shop.symbols.delete(first.file.file_id)
    shop.clock.now += NEGATIVE_S + 1
    assert shop.symbols.source(APP).mapping(version)
    shop.symbols.delete(second.file.file_id)
    shop.clock.now += NEGATIVE_S + 1
    assert shop.symbols.source(APP).mapping(version) is None


def test_a_mapping_that_nothing_could_find_is_refused(shop: Shop) -> None:
    plain = b"com.example.A -> a.a:\n"
    with pytest.raises(InvalidRequest, match="one app"):
        shop.symbols.add(MAPPING, app_id=None, filename="m.txt", version=AppBuild(version="1"))
    with pytest.raises(InvalidRequest, match="bundle_version"):
        shop.symbols.add(plain, app_id=APP, filename="m.txt")


@pytest.mark.parametrize("part", ["symbols", "unwind"])
def test_a_cache_that_cannot_be_read_costs_the_symbols_and_not_the_crash(
    shop: Shop, part: str, caplog: pytest.LogCaptureFixture
) -> None:
    [added] = shop.symbols.add(APP_SYM, app_id=APP, filename="app.sym")
    shop.blobs.put(added.file.blob(part), b"what an older version wrote")
    assert shop.symbols.source(APP).module("app.pdb", APP_ID) is None
    assert "caches of symbols cannot be read" in caplog.text


def test_an_index_of_a_mapping_that_cannot_be_read_costs_the_names_only(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    build = AppBuild(version="7")
    [added] = shop.symbols.add(MAPPING, app_id=APP, filename="mapping.txt", version=build)
    shop.blobs.put(added.file.blob("symbols"), b"what an older version wrote")
    assert shop.symbols.source(APP).mapping(build) is None
    assert "the index of a mapping cannot be read" in caplog.text
