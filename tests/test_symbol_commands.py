"""`crashbucket symbols`: files, folders, bundles and zips from a disk."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from chalicelib.cli import main
from tests.symbols.samples import APP_ID, APP_SYM, LIB_ID, LIB_SYM, MAPPING


class Command:
    """Runs the command on a data folder of its own."""

    def __init__(self, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._data = data
        self._capsys = capsys

    def __call__(self, *arguments: object) -> tuple[int, str]:
        status = 0
        try:
            main([*map(str, arguments), "--data", str(self._data)])
        except SystemExit as stopped:
            status = int(stopped.code or 0)
        told = self._capsys.readouterr()
        return status, told.out + told.err


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    command = Command(tmp_path / "data", capsys)
    command("app", "create", "Demo")
    return command


def app_id(run: Command) -> str:
    told: str = json.loads(run("app", "list", "--json")[1])["apps"][0]["app_id"]
    return told


def folder(tmp_path: Path) -> Path:
    made = tmp_path / "symbols"
    inner = made / "App.dSYM" / "Contents" / "Resources" / "DWARF"
    inner.mkdir(parents=True)
    (inner / "App").write_bytes(APP_SYM)
    (made / "App.dSYM" / "Contents" / "Info.plist").write_text("<plist/>")
    with zipfile.ZipFile(made / "more.zip", "w") as archive:
        archive.writestr("lib.sym", LIB_SYM)
        archive.writestr("README", "text")
    (made / "notes.txt").write_text("text")
    return made


def test_a_folder_gives_its_bundles_and_zips_and_skips_the_rest(
    run: Command, tmp_path: Path
) -> None:
    status, told = run("symbols", "upload", folder(tmp_path))
    assert status == 0
    assert APP_ID in told and LIB_ID in told
    assert "2 symbol files added, 0 known, 2 other files skipped, 0 refused" in told
    status, told = run("symbols", "upload", folder_of(tmp_path), "--json")
    answer = json.loads(told)
    assert [entry["new"] for entry in answer["added"]] == [False, False]
    assert (answer["skipped"], answer["refused"]) == (2, [])


def folder_of(tmp_path: Path) -> Path:
    return tmp_path / "symbols"


def test_a_damaged_file_is_told_and_the_others_are_added(run: Command, tmp_path: Path) -> None:
    (tmp_path / "bad.pdb").write_bytes(b"Microsoft C/C++ MSF 7.00\r\n\x1aDS" + bytes(50))
    (tmp_path / "app.sym").write_bytes(APP_SYM)
    status, told = run("symbols", "upload", tmp_path / "bad.pdb", tmp_path / "app.sym", "--json")
    answer = json.loads(told)
    assert status == 1
    assert [entry["debug_id"] for entry in answer["added"]] == [APP_ID]
    assert [entry["file"] for entry in answer["refused"]] == [str(tmp_path / "bad.pdb")]


def test_files_are_listed_and_deleted_for_an_app_or_for_all(run: Command, tmp_path: Path) -> None:
    (tmp_path / "app.sym").write_bytes(APP_SYM)
    (tmp_path / "lib.sym").write_bytes(LIB_SYM)
    run("symbols", "upload", tmp_path / "app.sym")
    run("symbols", "upload", tmp_path / "lib.sym", "--app", app_id(run))
    [shared] = json.loads(run("symbols", "list", "--json")[1])["symbols"]
    assert (shared["debug_id"], shared["app_id"]) == (APP_ID, None)
    [own] = json.loads(run("symbols", "list", "--app", app_id(run), "--json")[1])["symbols"]
    assert (own["debug_id"], own["app_id"]) == (LIB_ID, app_id(run))
    status, told = run("symbols", "delete", own["id"])
    assert status == 0 and told.startswith("deleted")
    assert run("symbols", "list", "--app", app_id(run)) == (0, "")
    status, told = run("symbols", "delete", own["id"])
    assert status == 2 and "not found" in told


def test_a_mapping_needs_an_app_and_keeps_its_version(run: Command, tmp_path: Path) -> None:
    (tmp_path / "mapping.txt").write_bytes(MAPPING)
    status, told = run("symbols", "upload", tmp_path / "mapping.txt", "--version", "42")
    assert status == 1 and "belongs to one app" in told
    upload = ("symbols", "upload", tmp_path / "mapping.txt", "--app", app_id(run))
    status, _ = run(*upload, "--version", "42")
    assert status == 0
    [file] = json.loads(run("symbols", "list", "--app", app_id(run), "--json")[1])["symbols"]
    assert (file["kind"], file["version"]) == ("proguard", "42")


def test_an_app_or_a_path_that_is_not_there_is_one_line_and_status_2(
    run: Command, tmp_path: Path
) -> None:
    (tmp_path / "app.sym").write_bytes(APP_SYM)
    assert run("symbols", "upload", tmp_path / "app.sym", "--app", "0" * 32)[0] == 2
    assert run("symbols", "upload", tmp_path / "nowhere")[0] == 2
