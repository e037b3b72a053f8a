"""omaha-server's API for symbol files."""

from __future__ import annotations

import gzip
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from chalicelib import bootstrap
from chalicelib.bootstrap import Services
from chalicelib.records import App
from chalicelib.storage.embedded.blobs import EmbeddedBlobs
from chalicelib.worker import Worker
from tests.omaha_client import HOST, ask, basic, posted
from tests.shared_data import shared_data
from tests.wsgi_client import Answer, multipart, request

SYMBOLS = "/api/symbols/"
FIELDS = ["id", "file", "file_size", "debug_id", "debug_file", "created", "modified"]
SYM = (
    b"MODULE windows x86 C1C0FA629EAA4B4D9DD2ADE270A231CC1 App.pdb\r\n"
    b"FILE 1 c:\\app.cpp\r\nFUNC 1000 10 0 main\r\n1000 10 7 1\r\n"
)


def other(number: int) -> bytes:
    return SYM.replace(b"C1C0FA62", b"%08X" % number)


@pytest.fixture
def token(services: Services) -> str:
    return services.accounts.create_token("write")


def send(file: bytes | None, token: str | None, *, packed: bool = False, **fields: str) -> Answer:
    files = {} if file is None else {"file": file}
    body, headers = multipart(fields, files)
    if packed:
        body, headers = gzip.compress(body), headers | {"Content-Encoding": "gzip"}
    return request("POST", SYMBOLS, body, headers | HOST | (basic("", token) if token else {}))


def symbol_file() -> Path:
    (found,) = shared_data("minidumps", "symbols", "BreakpadTestApp.pdb").rglob("*.sym")
    return found


def test_a_symbol_file_is_a_201_with_the_documents_fields(services: Services, token: str) -> None:
    answer = send(SYM, token)
    assert answer.status == 201, answer.text
    made = answer.json
    assert list(made) == FIELDS
    assert isinstance(made["id"], int)
    assert made["file_size"] == len(SYM)
    assert made["debug_id"] == "C1C0FA629EAA4B4D9DD2ADE270A231CC1"
    assert made["debug_file"] == "App.pdb"
    assert made["created"] <= made["modified"]
    assert ask(f"{SYMBOLS}{made['id']}/", token).json.keys() == made.keys()
    link = urlsplit(made["file"])
    assert f"{link.scheme}://{link.netloc}" == f"http://{HOST['Host']}"
    assert isinstance(services.blobs, EmbeddedBlobs)
    download = services.blobs.open_download(dict(parse_qsl(link.query)))
    assert download.data == SYM


def new_worker(services: Services) -> Worker:
    stores = (services.table, services.blobs, services.queue)
    return Worker(bootstrap.build(services.settings, *stores))


@pytest.mark.parametrize("symbols_first", [True, False])
def test_omahas_own_symbol_file_names_the_crash_of_its_own_dump_also_when_it_comes_late(
    services: Services, token: str, symbols_first: bool
) -> None:
    dump = shared_data("minidumps", "dumps", "omaha-BreakpadTestApp.dmp").read_bytes()
    worker = new_worker(services)
    if not symbols_first:
        report_id = posted(dump)
        worker.drain()
        worker = new_worker(services)  # that does not know what symbols there were not
        shown = ask(f"/api/crash_report/{report_id}/", token).json
        assert shown["signature"] == "BreakpadTestApp.exe@0x10de"
    answer = send(symbol_file().read_bytes(), token)
    assert answer.status == 201, answer.text
    assert answer.json["debug_id"] == "C1C0FA629EAA4B4D9DD2ADE270A231CC1"
    assert answer.json["debug_file"] == "BreakpadTestApp.pdb"
    if symbols_first:
        report_id = posted(dump)
    worker.drain()
    (shown,) = ask("/api/crash_report/", token).json["results"]
    assert (shown["id"], shown["signature"]) == (report_id, "crashedFunc()")


def test_a_gzipped_post_is_taken(services: Services, token: str) -> None:
    assert send(SYM, token, packed=True).status == 201


def test_the_same_id_and_name_again_is_a_409(services: Services, token: str) -> None:
    assert send(SYM, token).status == 201
    for again in (SYM, SYM + b"FUNC 2000 10 0 more\r\n", SYM.replace(b"\r\n", b"\n")):
        answer = send(again, token)
        assert (answer.status, answer.json) == (409, {"message": "Duplicate symbol"})
    assert len(ask(SYMBOLS, token).json) == 1
    assert send(SYM.replace(b"App.pdb", b"Other.pdb"), token).status == 201


def test_no_file_is_a_400_in_the_originals_words(services: Services, token: str) -> None:
    answer = send(None, token)
    assert (answer.status, answer.json) == (400, {"file": ["No file was submitted."]})
    assert send(b"", token).json == {"file": ["The submitted file is empty."]}


@pytest.mark.parametrize("data", [b"content", b"MODULE x", b"\0" * 400, b"\x7fELF broken"])
def test_what_is_no_symbol_file_is_a_400(services: Services, token: str, data: bytes) -> None:
    answer = send(data, token)
    assert answer.status == 400
    (told,) = answer.json["file"]
    assert told.startswith("The file contains invalid data")


def test_a_file_beyond_the_limit_is_a_413_that_names_the_command(
    services: Services, token: str
) -> None:
    answer = send(SYM + bytes(services.settings.max_body_bytes), token)
    assert answer.status == 413
    assert "crashbucket symbols upload" in answer.json["file"][0]


# --- lists --------------------------------------------------------------------


def test_the_list_is_an_array_newest_first_and_pages_where_asked(
    services: Services, token: str
) -> None:
    ids = [send(other(number), token).json["id"] for number in range(7)]
    assert [entry["id"] for entry in ask(SYMBOLS, token).json] == ids[::-1]
    page = ask(f"{SYMBOLS}?page=2&page_size=3", token).json
    assert (page["count"], [e["id"] for e in page["results"]]) == (7, ids[::-1][3:6])
    assert page["next"] == f"http://{HOST['Host']}{SYMBOLS}?page=3&page_size=3"
    assert page["previous"] == f"http://{HOST['Host']}{SYMBOLS}?page_size=3"
    assert ask(f"{SYMBOLS}?page=9", token).json == {"detail": "Invalid page."}


def test_a_deleted_file_is_gone(services: Services, token: str) -> None:
    made = send(SYM, token).json
    answer = ask(f"{SYMBOLS}{made['id']}/", token, "DELETE")
    assert (answer.status, answer.body) == (204, b"")
    for method in ("GET", "DELETE"):
        answer = ask(f"{SYMBOLS}{made['id']}/", token, method)
        assert (answer.status, answer.json) == (404, {"detail": "Not found."})
    assert ask(SYMBOLS, token).json == []
    assert send(SYM, token).status == 201


@pytest.mark.parametrize("path", [SYMBOLS, f"{SYMBOLS}7/"])
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_nothing_is_changed_here(services: Services, token: str, path: str, method: str) -> None:
    answer = ask(path, token, method)
    assert (answer.status, answer.json) == (405, {"detail": f'Method "{method}" not allowed.'})
    assert "GET" in answer.headers["allow"]


# --- who may do what -------------------------------------------------------------


def test_each_request_needs_its_scope(services: Services, token: str) -> None:
    made = send(SYM, token).json
    item = f"{SYMBOLS}{made['id']}/"
    scopes = {name: services.accounts.create_token(name) for name in ("upload", "read")}
    assert send(other(1), None).status == 401
    assert send(other(1), "0" * 32).status == 401
    assert send(other(1), scopes["read"]).status == 403
    assert send(other(1), scopes["upload"]).status == 201
    for path in (SYMBOLS, item):
        assert ask(path).status == 401
        assert ask(path, scopes["upload"]).status == 403
        assert ask(path, scopes["read"]).status == 200
    assert ask(item, None, "DELETE").status == 401
    assert ask(item, scopes["read"], "DELETE").status == 403
    assert ask(item, scopes["upload"], "DELETE").status == 403


def test_symbols_belong_to_the_app_of_the_credentials(services: Services, app: App) -> None:
    second = services.accounts.create_app("Second", omaha_id="{second}")
    mine = services.accounts.create_token("write", app_id=app.app_id)
    theirs = services.accounts.create_token("write", app_id=second.app_id)
    every = services.accounts.create_token("write")
    own, shared = send(SYM, mine).json["id"], send(SYM, every).json["id"]
    assert [entry["id"] for entry in ask(SYMBOLS, mine).json] == [own]
    assert ask(SYMBOLS, theirs).json == []
    assert [entry["id"] for entry in ask(SYMBOLS, every).json] == [shared, own]
    for symbol_id in (own, shared):
        for method in ("GET", "DELETE"):
            assert ask(f"{SYMBOLS}{symbol_id}/", theirs, method).status == 404
    assert services.symbols.file(own).app_id == app.app_id
    assert services.symbols.file(shared).app_id is None
    assert ask(f"{SYMBOLS}{shared}/", mine).status == 404


def test_who_has_several_apps_says_which(services: Services, app: App) -> None:
    second = services.accounts.create_app("Second", omaha_id="{second}")
    services.accounts.create_app("Third", omaha_id="{third}")
    services.users.create("jo@x", "open sesame", app_ids=[app.app_id, second.app_id])
    jo = basic("jo@x", "open sesame")

    def send_as_jo(**fields: str) -> Answer:
        body, headers = multipart(fields, {"file": SYM})
        return request("POST", SYMBOLS, body, headers | jo)

    for fields in ({}, {"appid": "{third}"}, {"appid": "{unknown}"}):
        answer = send_as_jo(**fields)
        assert (answer.status, list(answer.json)) == (400, ["appid"])
    assert services.symbols.file(send_as_jo(appid="{SECOND}").json["id"]).app_id == second.app_id
    assert services.symbols.file(send_as_jo(appid=app.app_id).json["id"]).app_id == app.app_id
