"""The `crashbucket` command: plain lines for people, one JSON object for programs."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chalicelib import bootstrap, clock, keys, payload, user_commands
from chalicelib.bootstrap import Services
from chalicelib.cli import main
from chalicelib.config import Settings
from chalicelib.payload import Payload
from chalicelib.storage.embedded.store import open_store
from chalicelib.storage.ports import Update
from chalicelib.users import USER_SCOPES
from tests.crashes import ANDROID_EXAMPLE, android_log
from tests.formats.minidump.builder import MinidumpBuilder
from tests.server import ROOT

SAMPLES = ROOT / "tests" / "formats" / "samples"
BUNDLE = "de.codenauts.hockeyapp"


class Command:
    """Runs the command in this process, on a data folder of its own."""

    def __init__(self, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.data = data
        self._capsys = capsys

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        status = 0
        try:
            main([*arguments])
        except SystemExit as end:
            status = int(end.code or 0)
        out, err = self._capsys.readouterr()
        return status, out, err

    def json(self, *arguments: str, status: int = 0) -> Any:
        ended, out, err = self(*arguments, "--json")
        assert (ended, err) == (status, "")
        return json.loads(out)

    def make_app(self) -> str:
        made = self.json("app", "create", "Demo", "--bundle-id", BUNDLE, "--platform", "Android")
        return str(made["app_id"])


@pytest.fixture
def command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Command:
    monkeypatch.setenv("CRASHBUCKET_DATA", str(tmp_path / "data"))
    return Command(tmp_path / "data", capsys)


@pytest.fixture
def opened(command: Command) -> Iterator[Services]:
    store = open_store(command.data)
    yield bootstrap.build(Settings(), store.table, store.blobs, store.queue)
    store.close()


# --- apps and tokens -----------------------------------------------------


def test_an_app_is_made_and_listed(command: Command) -> None:
    app_id = command.make_app()
    assert len(app_id) == 32
    (listed,) = command.json("app", "list")["apps"]
    assert listed == {
        "app_id": app_id,
        "name": "Demo",
        "bundle_id": BUNDLE,
        "platform": "Android",
    }
    assert command("app", "list")[1] == f"{app_id}  Demo  {BUNDLE}  Android\n"


def test_the_data_folder_is_its_owners_alone(command: Command) -> None:
    command.make_app()
    assert stat.S_IMODE(command.data.stat().st_mode) == 0o700


def test_a_token_opens_what_it_was_made_for(command: Command, opened: Services) -> None:
    app_id = command.make_app()
    token = command.json("token", "create", "--app", app_id, "--scope", "read")["token"]
    known = opened.accounts.authenticate(token)
    assert (known.scope, known.app_ids) == ("read", {app_id})


# --- users ----------------------------------------------------------------


def typed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def test_a_user_is_made_with_the_password_from_standard_input_listed_and_removed(
    command: Command, opened: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    app_id = command.make_app()
    typed(monkeypatch, "open sesame\nand more\n")
    made = command.json("user", "create", "Jo@example.com", "--app", app_id)
    assert made.pop("created_at") > "2026"
    assert made == {"email": "jo@example.com", "scope": "write", "apps": [app_id]}
    assert opened.users.authenticate("jo@example.com", "open sesame").app_ids == [app_id]
    typed(monkeypatch, "open sesame")
    status, out, err = command("user", "create", "ann@example.com", "--scope", "read")
    assert (status, out, err) == (0, "ann@example.com  read  all apps\n", "")
    users = command.json("user", "list")["users"]
    assert [(user["email"], user["apps"]) for user in users] == [
        ("ann@example.com", None),
        ("jo@example.com", [app_id]),
    ]
    typed(monkeypatch, "open barley")
    assert command.json("user", "password", "Jo@example.com") == {"changed": "Jo@example.com"}
    assert opened.users.authenticate("jo@example.com", "open barley").app_ids == [app_id]
    assert command.json("user", "remove", "ann@example.com") == {"removed": "ann@example.com"}
    assert command("user", "list")[1] == f"jo@example.com  write  {app_id}\n"
    assert command("user", "remove", "ann@example.com")[0] == 2


@pytest.mark.parametrize("password", ["", "\n", "1234567\n", "x" * 5000])
def test_a_password_that_is_empty_or_too_short_is_refused(
    command: Command, monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    command.make_app()
    typed(monkeypatch, password)
    status, out, err = command("user", "create", "jo@example.com")
    assert (status, out) == (2, "")
    assert err == "crashbucket: password: must have 8 to 1024 characters\n"
    assert command.json("user", "list") == {"users": []}


def test_the_scopes_offered_for_users_are_those_there_are() -> None:
    assert user_commands._SCOPES == USER_SCOPES


def test_an_app_is_given_the_id_that_omaha_clients_call_it(
    command: Command, opened: Services
) -> None:
    made = command.json("app", "create", "Potato", "--omaha-id", "{D0AB2EBC}")
    found = opened.omaha_apps.find("{d0ab2ebc}")
    assert found is not None
    assert found.app_id == made["app_id"]
    for wrong in ("{d0AB2EBC}", "x" * 39, " "):
        status, _, err = command("app", "create", "Other", "--omaha-id", wrong)
        assert (status, err.startswith("crashbucket: omaha_id: ")) == (2, True)
    assert len(command.json("app", "list")["apps"]) == 1


# --- import --------------------------------------------------------------


def test_import_takes_folders_of_every_format_and_tallies_by_kind(
    command: Command, tmp_path: Path, opened: Services
) -> None:
    app_id = command.make_app()
    folder = tmp_path / "crashes" / "below"
    folder.mkdir(parents=True)
    for name in ("android_document.log", "apple_signal.ips"):
        shutil.copy(SAMPLES / name, folder)
    crash = f"<crash><log><![CDATA[{android_log().decode()}]]></log></crash>"
    (folder / "quincy.xml").write_text(f"<crashes>{crash}</crashes>")
    shutil.copy(SAMPLES / "android_document.log", folder / "copy.log")
    (folder / "noise.bin").write_bytes(bytes(range(256)))
    tally = command.json("import", str(tmp_path / "crashes"), "--app", app_id, status=1)
    assert tally["files"] == 5
    assert tally["kinds"] == {
        "apple_ips": {"stored": 1},
        "hockeyapp_log": {"duplicate": 1, "stored": 1},
        "quincy_xml": {"stored": 1},
        "unknown": {"dead": 1},
    }
    (dead,) = tally["dead"]
    assert dead["file"].endswith("noise.bin")
    assert opened.queue.depth() == 0
    assert len(list(opened.crashes.of_app(app_id))) == 3
    assert command.json("recount")["reports"] == 3


def test_import_takes_minidumps_gzipped_or_not_and_tells_which_are_damaged(
    command: Command, tmp_path: Path, opened: Services
) -> None:
    app_id = command.make_app()
    dump = MinidumpBuilder(os="linux", cpu="amd64").thread(1, {"rip": 0x1000}).build()
    (tmp_path / "a.dmp").write_bytes(dump)
    (tmp_path / "again.dmp.gz").write_bytes(gzip.compress(dump))
    (tmp_path / "cut.dmp").write_bytes(dump[:20])
    names = [str(path) for path in sorted(tmp_path.glob("*.dmp*"))]
    tally = command.json("import", *names, "--app", app_id, status=1)
    assert tally["kinds"] == {"minidump": {"dead": 1, "duplicate": 1, "stored": 1}}
    (dead,) = tally["dead"]
    assert dead["file"].endswith("cut.dmp")
    assert "ends within its header" in dead["reason"]
    (report,) = opened.crashes.of_app(app_id)
    assert opened.crashes.payload(report.report_id).log == dump
    tally = command.json("import", names[0], status=1)
    assert tally["refused"][0]["reason"] == "the file names no app: use --app"


def test_import_finds_the_app_by_its_package(
    command: Command, tmp_path: Path, opened: Services
) -> None:
    app_id = command.make_app()
    (tmp_path / "a.log").write_text(ANDROID_EXAMPLE)
    (tmp_path / "b.log").write_text(ANDROID_EXAMPLE.replace(BUNDLE, "org.other"))
    (tmp_path / "c.log").write_text("no header")
    names = [str(tmp_path / name) for name in ("a.log", "b.log", "c.log")]
    tally = command.json("import", *names, status=1)
    assert tally["kinds"] == {"hockeyapp_log": {"stored": 1}}
    assert [refused["reason"] for refused in tally["refused"]] == [
        "app with bundle identifier 'org.other' not found",
        "the file names no app: use --app",
    ]
    assert len(list(opened.crashes.of_app(app_id))) == 1


def test_import_without_waiting_leaves_the_crashes_in_the_queue(
    command: Command, tmp_path: Path, opened: Services
) -> None:
    command.make_app()
    (tmp_path / "a.log").write_text(ANDROID_EXAMPLE)
    tally = command.json("import", str(tmp_path / "a.log"), "--no-wait")
    assert tally["kinds"] == {"hockeyapp_log": {"waiting": 1}}
    assert opened.queue.depth() == 1


def test_import_tells_people_in_lines(command: Command, tmp_path: Path) -> None:
    command.make_app()
    (tmp_path / "a.log").write_text(ANDROID_EXAMPLE)
    status, out, err = command("import", str(tmp_path / "a.log"))
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        "hockeyapp_log: 1 stored",
        "1 files: 1 stored, 0 dead, 0 duplicate, 0 refused",
    ]


# --- dead letters --------------------------------------------------------


def test_dead_letters_are_listed_and_replayed_after_a_fix(
    command: Command, opened: Services
) -> None:
    app_id = command.make_app()
    log = android_log()
    ids = [opened.intake.receive(Payload(app_id, "t", clock.now(), raw)) for raw in (b"\0", b"\1")]
    opened.processor.process(ids)
    listed = command.json("deadletters", "list")["dead_letters"]
    assert sorted(letter["report_id"] for letter in listed) == sorted(ids)
    assert listed[0]["reason"] in command("deadletters", "list")[1]
    assert command.json("deadletters", "replay", "--all", status=1) == {
        "replayed": 0,
        "dead": sorted(ids),
    }
    fixed = payload.encode(Payload(app_id, "t", clock.now(), log))
    opened.blobs.put(keys.raw_blob(ids[0]), fixed)
    assert command.json("deadletters", "replay", str(ids[0])) == {"replayed": 1, "dead": []}
    (left,) = command.json("deadletters", "list")["dead_letters"]
    assert left["report_id"] == ids[1]


def test_replay_without_a_choice_or_of_an_unknown_one_is_refused(command: Command) -> None:
    command.make_app()
    assert command("deadletters", "replay")[0] == 2
    assert command("deadletters", "replay", "7")[2] == "crashbucket: no dead letters: 7\n"


# --- recount -------------------------------------------------------------


def test_recount_ends_with_1_when_a_count_is_wrong(
    command: Command, tmp_path: Path, opened: Services
) -> None:
    app_id = command.make_app()
    (tmp_path / "a.log").write_text(ANDROID_EXAMPLE)
    command("import", str(tmp_path / "a.log"))
    assert command("recount")[:2] == (0, "1 reports counted, 0 differences\n")
    wrong = Update(keys.totals(keys.app_partition(app_id)), add={"total": 1})
    opened.table.write([wrong])
    status, out, _ = command("recount", "--app", app_id)
    assert status == 1
    assert f"app#{app_id} total: 2 kept, 1 counted" in out
    assert len(command.json("recount", status=1)["differences"]) == 1


# --- failures ------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["app", "create", " "], "name: must not be empty"),
        (["app", "create", "x", "--platform", "Amiga"], "'Amiga' is not one of"),
        (["token", "create", "--scope", "read", "--app", "x"], "app 'x' not found"),
        (["token", "create"], "Missing option '--scope'"),
        (["recount", "--app", "x"], "app 'x' not found"),
        (["import", "/nowhere"], "does not exist"),
        (["serve", "--workers", "0"], "0 is not in the range"),
        (["bake"], "No such command 'bake'"),
    ],
)
def test_a_failure_is_one_line_and_exit_status_2(
    command: Command, arguments: list[str], told: str
) -> None:
    command.make_app()
    status, out, err = command(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith("crashbucket: ")
    assert err.count("\n") == 1
    assert told in err


def test_a_data_folder_that_is_not_there_is_not_made_to_read_from(command: Command) -> None:
    status, _, err = command("app", "list")
    assert (status, "there is no data folder" in err) == (2, True)
    assert not command.data.exists()


def test_a_setting_that_cannot_be_is_named(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRASHBUCKET_VISIBILITY_S", "soon")
    assert "CRASHBUCKET_VISIBILITY_S" in command("app", "create", "x")[2]


def test_the_module_is_the_command_too() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "chalicelib.cli", "--help"],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0
    for name in ("serve", "app", "token", "import", "deadletters", "recount"):
        assert name in run.stdout
    bare = subprocess.run(
        [sys.executable, "-m", "chalicelib.cli"],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (bare.returncode, "Commands:" in bare.stdout) == (2, True)
