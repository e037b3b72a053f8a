"""A person's data: found by what identifies them, shown whole, erased, and then found no more."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import quote

import pytest
from click.testing import CliRunner

from chalicelib import bootstrap, clock, keys, persons
from chalicelib.bootstrap import Services
from chalicelib.cli import commands
from chalicelib.config import Settings
from chalicelib.deliveries import Deliveries
from chalicelib.handlers import persons as doors
from chalicelib.payload import Attachment, Payload
from chalicelib.persons import INDEXED, WHERE, Wanted, Where
from chalicelib.records import App
from chalicelib.recount import recount_app
from chalicelib.storage.embedded.store import open_store
from chalicelib.worker import Worker
from tests.crashes import android_log, drain
from tests.formats.minidump.builder import MinidumpBuilder
from tests.named_by_builds import LATER_S, Clock
from tests.wsgi_client import Answer, get, request

JO = "jo@example.com"
DUMP = MinidumpBuilder(os="linux", cpu="amd64").thread(1, {"rip": 0x1000}).build()


@pytest.fixture
def time() -> Clock:
    return Clock()


@pytest.fixture
def services(tmp_path: Path, time: Clock) -> Iterator[Services]:
    store = open_store(tmp_path / "data", clock=time)
    built = bootstrap.build(Settings(), store.table, store.blobs, store.queue)
    bootstrap.use(built)
    with patch.object(clock, "now", lambda: datetime.fromtimestamp(time(), UTC)):
        yield built
    bootstrap.use(None)
    store.close()


def crash(services: Services, app: App, **said: object) -> int:
    told: dict[str, Any] = {"door": "hockeyapp", "log": android_log("a"), **said}
    sent = Payload(app.app_id, received_at=clock.now(), **told)
    report_id = services.intake.receive(sent)
    drain(services)
    return report_id


def by(**fields: str) -> dict[str, object]:
    return {"fields": fields}


def found(services: Services, app: App, identifier: str = JO, *where: Where) -> list[int]:
    wanted = Wanted(app.app_id, identifier, frozenset(where) or INDEXED)
    reports: list[int] = []
    after = None
    while True:
        page = services.persons.find(wanted, 2, after)
        reports += [report.report_id for report in page.entries]
        after = page.after
        if after is None:
            return reports


def let_pass(services: Services, time: Clock) -> None:
    for _ in range(8):
        Worker(services).drain()
        time.now += LATER_S


def test_a_person_is_found_by_id_and_contact_newest_first_each_crash_once(
    services: Services, app: App, time: Clock
) -> None:
    ids = []
    for fields in (by(user=JO), by(contact=JO), by(user=JO, contact=JO), by(user="jo", contact=JO)):
        time.now += 1
        ids.append(crash(services, app, **fields))
    crash(services, app, **by(user="another", contact="jo@example.org"))
    assert found(services, app) == ids[::-1]
    assert found(services, app, JO, "user") == [ids[2], ids[0]]
    assert found(services, app, "nobody") == []


def test_an_installation_and_words_are_found_by_a_look_at_every_crash(
    services: Services, app: App, time: Clock
) -> None:
    crash(services, app)
    installed = crash(services, app, **by(install_id="device-7"))
    described = crash(services, app, description=b"call me, Jo@Example.com")
    dump = crash(services, app, log=DUMP, door="breakpad")
    services.feedback.add(dump, "mail jo@example.com", "")
    assert found(services, app) == []
    assert found(services, app, "device-7", "install_id") == [installed]
    assert sorted(found(services, app, JO, "text")) == sorted([described, dump])


def test_a_look_at_every_crash_stops_after_a_bounded_number(
    services: Services, app: App, time: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(persons, "_SCANNED", 3)
    ids = [crash(services, app, **by(install_id="d" if n == 0 else "e")) for n in range(8)]
    wanted = Wanted(app.app_id, "d", frozenset({"install_id"}))
    page = services.persons.find(wanted, 100)
    assert (page.entries, page.after is None) == ((), False)
    assert found(services, app, "d", "install_id") == ids[:1]


def test_all_that_is_kept_of_a_crash_is_shown(services: Services, app: App) -> None:
    png = (Attachment("attachment0", "a.png", "image/png", 3, b"png"),)
    fields = {"user": JO, "install_id": "device-7", "sdk": "s"}
    report_id = crash(services, app, description=b"it broke", attachments=png, fields=fields)
    told = services.persons.kept_of(services.crashes.report(report_id))
    assert told["fields"] == {"user": JO, "install_id": "device-7", "sdk": "s"}
    assert (told["description"], told["attachments"]) == ("it broke", ["a.png"])
    assert told["blobs"] == [keys.raw_blob(report_id)]


# --- erasing ---


def test_what_an_index_finds_goes_at_once_with_its_counts(services: Services, app: App) -> None:
    ids = [crash(services, app, **by(user=JO)) for _ in range(3)]
    other = crash(services, app, **by(user="another"))
    erased = services.persons.erase(Wanted(app.app_id, JO))
    assert (erased.crashes, erased.is_done) == (3, True)
    assert found(services, app) == []
    assert [services.blobs.size(keys.raw_blob(i)) for i in ids] == [None] * 3
    assert [r.report_id for r in services.crashes.of_app(app.app_id)] == [other]
    recounted = recount_app(services, app.app_id)
    assert (recounted.reports, recounted.differences) == (1, ())


def test_what_is_too_much_for_a_request_is_a_task(
    services: Services, app: App, time: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(persons, "_ERASED_AT_ONCE", 3)
    monkeypatch.setattr("chalicelib.tasks._PART_OF_VISIBILITY", 0)
    for _ in range(8):
        crash(services, app, **by(user=JO))
    erased = services.persons.erase(Wanted(app.app_id, JO))
    assert (erased.crashes, erased.is_done) == (3, False)
    let_pass(services, time)
    assert found(services, app) == []


def test_a_task_that_fails_is_logged_without_whom_it_is_about(
    services: Services, app: App, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(persons.Persons, "find", lambda *_: 1 / 0)
    identifier = 'j"o\\@example.com'
    services.persons.erase_later(Wanted(app.app_id, identifier))
    message = services.queue.receive()[0]
    Deliveries(services).process([message], lambda _: None, tasks_until=0.0)
    Deliveries(services).give_up(message.body)
    assert caplog.text.count("erase_person") == 2
    assert "example.com" not in caplog.text


@pytest.mark.parametrize("where", ["install_id", "text"])
def test_what_no_index_finds_is_a_task(
    services: Services, app: App, time: Clock, where: Where
) -> None:
    told: dict[str, object] = {"description": b"I am jo@example.com"}
    mine = by(install_id=JO) if where == "install_id" else told
    for _ in range(3):
        crash(services, app, **mine)
    other = crash(services, app)
    assert not services.persons.erase(Wanted(app.app_id, JO, frozenset({where}))).is_done
    let_pass(services, time)
    assert [r.report_id for r in services.crashes.of_app(app.app_id)] == [other]


def test_what_comes_while_it_is_erased_is_found_by_the_last_look(
    services: Services, app: App, time: Clock
) -> None:
    crash(services, app, **by(user=JO))
    services.persons.erase(Wanted(app.app_id, JO))
    crash(services, app, **by(user=JO))
    assert len(found(services, app)) == 1
    let_pass(services, time)
    assert found(services, app) == []
    assert services.queue.depth() == 0  # and it looks no more


def test_a_dead_letter_of_the_person_goes_too(services: Services, app: App) -> None:
    mine = crash(services, app, log=b"MDMPnothing", door="breakpad", **by(user=JO))
    other = crash(services, app, log=b"MDMPnothing", door="breakpad", **by(user="another"))
    wanted = Wanted(app.app_id, JO)
    assert [letter.report_id for letter in services.persons.dead_letters(wanted)] == [mine]
    services.persons.erase(wanted)
    assert [letter.report_id for letter in services.crashes.dead_letters()] == [other]
    assert services.blobs.size(keys.raw_blob(mine)) is None


@pytest.mark.parametrize("door", ["hockeyapp", "partycrasher"])
def test_a_dead_letter_that_names_the_person_in_what_could_not_be_read_goes_too(
    services: Services, app: App, door: str
) -> None:
    mine = crash(services, app, log=b'{"user": "jo@example.com"', door=door)
    crash(services, app, log=b'{"user": "not.jo@example.com"', door=door)
    crash(services, app, log=b'{"user": "jo@example.community"', door=door)
    wanted = Wanted(app.app_id, JO)
    assert [letter.report_id for letter in services.persons.dead_letters(wanted)] == [mine]


@pytest.mark.parametrize("identifier", [" jo ", "J\u00f6 #1|a/b%20?&=+", "\U0001f600" * 200, "0"])
def test_an_identifier_is_compared_as_it_was_sent(
    services: Services, app: App, time: Clock, identifier: str
) -> None:
    mine = crash(services, app, **by(user=identifier))
    other = crash(services, app, **by(user=identifier + "x"))
    token = services.accounts.create_token("admin", app_id=app.app_id)
    path = f"/api/2/apps/{app.app_id}/persons?identifier={quote(identifier, safe='')}"
    assert [entry["crash"]["id"] for entry in get(path, token).json["crashes"]] == [mine]
    assert delete(path, token).json["erased"] == 1
    let_pass(services, time)
    assert [r.report_id for r in services.crashes.of_app(app.app_id)] == [other]


def test_no_store_holds_the_person_any_more(
    services: Services, app: App, time: Clock, tmp_path: Path
) -> None:
    """Whichever way it came in, whatever was made of it."""
    services.policies.change(app.app_id, {"stored_per_minute": 1})
    png = (Attachment("attachment0", f"{JO}.png", "image/png", 14, JO.encode()),)
    whole: dict[str, Any] = {
        **by(user=JO, contact=JO, install_id=JO),
        "description": f"I am {JO}".encode(),
        "attachments": png,
        "annotations": {"email": JO},
    }
    exported = crash(services, app, **whole)
    services.exports.start(services.crashes.report(exported))
    crash(services, app, **whole)
    crash(services, app, **whole)  # counted only
    dump = crash(services, app, log=DUMP, door="breakpad", **whole)
    services.feedback.add(dump, f"{JO} again", "it broke")
    crash(services, app, log=b"MDMPnothing", door="breakpad", **whole)
    posted = json.dumps({"database_id": "d", "user": JO, "stacktrace": [{"function": "f"}]})
    crash(services, app, log=posted.encode(), door="partycrasher", fields={"database_id": "d"})
    waiting = Payload(app.app_id, "hockeyapp", clock.now(), android_log("new"), **by(user=JO))  # type: ignore[arg-type]
    services.intake.receive(waiting)
    Worker(services).drain()
    assert held(tmp_path, JO)
    services.persons.erase(Wanted(app.app_id, JO, frozenset(WHERE)))
    let_pass(services, time)
    assert held(tmp_path, JO) == []
    assert recount_app(services, app.app_id).differences == ()


def held(folder: Path, identifier: str) -> list[str]:
    """Where the identifier stands in any row or file below the folder."""
    found: list[str] = []
    for path in filter(Path.is_file, folder.rglob("*")):
        if not path.read_bytes().startswith(b"SQLite format 3"):
            if "-wal" not in path.name and identifier.encode() in path.read_bytes():
                found.append(path.name)
            continue
        with closing(sqlite3.connect(path)) as connection:
            tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            for (table,) in tables.fetchall():
                rows = connection.execute(f"SELECT * FROM {table}")
                found += [f"{table} {row}" for row in rows if identifier in _readable(row)]
    return found


def _readable(row: tuple[object, ...]) -> str:
    parts = [value if isinstance(value, bytes) else str(value).encode() for value in row]
    for part in list(parts):
        with suppress(zlib.error):
            parts.append(zlib.decompress(part))
    return b" ".join(parts).decode("utf-8", "replace")


# --- over HTTP ---


def delete(path: str, token: str) -> Answer:
    return request("DELETE", path, headers={"X-HockeyAppToken": token})


def test_over_http_a_person_is_shown_and_erased(services: Services, app: App, time: Clock) -> None:
    ids = []
    for number in range(3):
        time.now += 1
        ids.append(crash(services, app, description=b"it broke", **by(user=JO, sdk=str(number))))
    token = services.accounts.create_token("admin", app_id=app.app_id)
    path = f"/api/2/apps/{app.app_id}/persons?identifier={quote(JO)}"
    first = get(f"{path}&per_page=2", token).json
    second = get(f"{path}&per_page=2&after={quote(first['after'])}", token).json
    shown = [entry["crash"]["id"] for page in (first, second) for entry in page["crashes"]]
    assert (shown, second["after"]) == (ids[::-1], None)
    assert first["crashes"][0]["description"] == "it broke"
    reader = services.accounts.create_token("write", app_id=app.app_id)
    assert delete(path, reader).status == 403
    gone = delete(path, token)
    assert (gone.status, gone.json) == (200, {"erased": 3, "status": "success"})
    assert get(path, token).json["crashes"] == []


def test_over_http_all_apps_are_for_who_may_see_all(
    services: Services, app: App, time: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = services.accounts.create_app("Other")
    ids = {crash(services, one, **by(user=JO)) for one in (app, other, app)}
    letters = [crash(services, app, log=b"MDMPnothing", door="breakpad", **by(user=JO))]
    services.users.create(JO, "correct horse", app_ids=None, scope="read")
    path = f"/api/2/persons?identifier={quote(JO.upper().lower())}"
    of_one = services.accounts.create_token("admin", app_id=app.app_id)
    assert get(path, of_one).status == 403
    token = services.accounts.create_token("admin")
    shown, after = set(), ""
    assert get(path, token).json["dead_letters"] == letters
    monkeypatch.setattr(doors, "_LOOKING_S", 0.0)  # an app a page
    for _ in range(10):
        page = get(f"{path}&per_page=1{after}", token).json
        shown |= {entry["crash"]["id"] for entry in page["crashes"]}
        if page["after"] is None:
            break
        after = f"&after={quote(page['after'])}"
    assert (shown, page["after"]) == (ids, None)
    assert page["account"] == {"email": JO, "scope": "read"}
    told = delete(path, token)
    assert (told.status, told.json) == (202, {"apps": 2, "account": True, "status": "queued"})
    let_pass(services, time)
    left = get(path, token).json
    assert (left["crashes"], left["dead_letters"], left["account"]) == ([], [], None)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "identifier"),
        ("identifier=", "identifier"),
        (f"identifier={'x' * 256}", "identifier"),
        ("identifier=jo&in=text", "identifier"),
        ("identifier=jo&in=shoe_size", "in"),
        ("identifier=jo&per_page=0", "per_page"),
        ("identifier=jo&after=2026", "after"),
    ],
)
def test_what_cannot_be_asked_is_named(
    services: Services, app: App, query: str, field: str
) -> None:
    token = services.accounts.create_token("admin")
    answer = get(f"/api/2/apps/{app.app_id}/persons?{query}", token)
    assert (answer.status, list(answer.json["errors"])) == (422, [field])


# --- from the command line ---


def test_the_command_shows_and_erases(
    services: Services, app: App, tmp_path: Path, time: Clock
) -> None:
    crash(services, app, **by(user=JO))
    crash(services, app, **by(user="another"))

    def run(*arguments: str) -> Any:
        where = ("--data", str(tmp_path / "data"), "--json")
        return json.loads(CliRunner().invoke(commands, ["person", *arguments, *where]).output)

    told = run("show", JO)
    assert [entry["fields"]["user"] for entry in told["crashes"]] == [JO]
    assert run("erase", JO, "--app", app.app_id) == {"erased": 1, "queued": 0, "account": False}
    assert run("show", JO)["crashes"] == []
