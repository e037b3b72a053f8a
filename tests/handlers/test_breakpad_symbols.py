"""Breakpad's sym_upload, both protocols, by the bytes that its client sends and looks for."""

from __future__ import annotations

import re
from base64 import b64encode

import pytest

from chalicelib.bootstrap import Services
from chalicelib.records import App
from tests.minidump_forms import Part, form
from tests.wsgi_client import Answer, request

DEBUG_ID = "BBA6FA10B8AAB33D00000000000000000"
SYMBOLS = f"MODULE Linux x86_64 {DEBUG_ID} crash app\nFUNC 1000 10 0 main\n1000 10 5 0\n".encode()
FILE = "crash app"  # blanks are part of the name


@pytest.fixture
def token(services: Services, app: App) -> str:
    return services.accounts.create_token("upload", app_id=app.app_id)


def first_protocol(app: App, token: str | None, symbols: bytes = SYMBOLS) -> Answer:
    parts = [
        Part("code_file", FILE),
        Part("cpu", "x86_64"),
        Part("debug_file", FILE),
        Part("debug_identifier", DEBUG_ID),
        Part("os", "Linux"),
        Part("version", "1.2.3.4"),
        Part("symbol_file", symbols, "crash.sym"),
    ]
    body, kind = form(parts, "------------------------d74496d66958873e")
    key = f"?key={token}" if token else ""
    return request("POST", f"/breakpad/{app.app_id}/symbols{key}", body, {"Content-Type": kind})


# --- the first protocol ---


def test_the_first_protocol_is_answered_200_also_for_what_is_known(
    services: Services, app: App, token: str
) -> None:
    stored = first_protocol(app, token)
    assert (stored.status, stored.text) == (200, f"stored: crash app {DEBUG_ID}")
    known = first_protocol(app, token)
    assert (known.status, known.text) == (200, f"known: crash app {DEBUG_ID}")
    assert services.symbols.files(app.app_id).total == 1


def test_a_file_with_windows_line_ends_is_known_by_its_own_name(
    services: Services, app: App, token: str
) -> None:
    assert first_protocol(app, token, SYMBOLS.replace(b"\n", b"\r\n")).status == 200
    assert services.symbols.has_build(app.app_id, DEBUG_ID, FILE)


def test_a_basic_login_may_carry_the_token_too(app: App, token: str) -> None:
    body, kind = form([Part("symbol_file", SYMBOLS, "a.sym")])
    basic = "Basic " + b64encode(f"any:{token}".encode()).decode()
    headers = {"Content-Type": kind, "Authorization": basic}
    assert request("POST", f"/breakpad/{app.app_id}/symbols", body, headers).status == 200


def test_what_is_no_symbol_file_is_a_400(services: Services, app: App, token: str) -> None:
    for symbols in (b"no symbols", b"", b"MODULE Linux x86_64\n"):
        assert first_protocol(app, token, symbols).status == 400
    assert services.symbols.files(app.app_id).total == 0


def test_symbols_above_the_limit_are_a_413_that_names_the_command(app: App, token: str) -> None:
    answer = first_protocol(app, token, SYMBOLS + b"\n" * 20_000_000)
    assert answer.status == 413
    assert "crashbucket symbols upload" in answer.text


# --- the second protocol ---


def second(app: App, method: str, path: str, token: str | None, body: bytes = b"") -> Answer:
    key = f"?key={token}" if token else ""
    kind = {"Content-Type": "application/son"} if body else {}
    return request(method, f"/breakpad/{app.app_id}/v1/{path}{key}", body, kind)


def find(pattern: str, answer: Answer) -> str:
    """As the client does: exactly one blank after the colon."""
    found = re.search(pattern, answer.text)
    assert found, answer.text
    return found[1]


def upload(app: App, token: str, symbols: bytes = SYMBOLS, name: str = FILE) -> Answer:
    created = second(app, "POST", "uploads:create", token)
    url = find('"uploadUrl": "([^"]+)"', created)
    key = find('"uploadKey": "([^"]+)"', created)
    path = url.removeprefix("http://localhost")
    assert path == f"/breakpad/{app.app_id}/v1/uploads/{key}"
    assert request("PUT", path, symbols, chunked=True).status == 200
    body = (
        f'{{ symbol_id: {{debug_file: "{name}", debug_id: "{DEBUG_ID}" }}, '
        'symbol_upload_type: "BREAKPAD" }'
    )
    return second(app, "POST", f"uploads/{key}:complete", token, body.encode())


STATUS = f"symbols/crash app/{DEBUG_ID}:checkStatus"


def test_the_second_protocol_checks_creates_puts_and_completes(
    services: Services, app: App, token: str
) -> None:
    assert second(app, "GET", STATUS, token).text == '{"status": "MISSING"}'
    assert upload(app, token).text == '{"result": "OK"}'
    assert second(app, "GET", STATUS, token).text == '{"status": "FOUND"}'
    assert upload(app, token).text == '{"result": "DUPLICATE_DATA"}'
    assert list(services.blobs.keys("symbol-uploads/")) == []


def test_symbols_for_every_app_are_found_too(services: Services, app: App, token: str) -> None:
    services.symbols.add(SYMBOLS, app_id=None, filename="a.sym")
    assert second(app, "GET", STATUS, token).json == {"status": "FOUND"}


def test_a_place_is_good_for_its_app_and_its_time(
    services: Services, app: App, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = second(app, "POST", "uploads:create", token).json["uploadKey"]
    other = services.accounts.create_app("Other")
    path = f"/breakpad/{other.app_id}/v1/uploads/{key}"
    assert request("PUT", path, SYMBOLS).status == 404
    assert second(app, "PUT", "uploads/" + "0" * 32, None, SYMBOLS).status == 404
    assert second(app, "PUT", f"uploads/{key}", None, SYMBOLS).status == 200
    admin = services.accounts.create_token("admin")
    assert second(other, "POST", f"uploads/{key}:complete", admin).status == 404
    monkeypatch.setattr("time.time", lambda: 4_000_000_000.0)
    monkeypatch.setattr(services.table, "_clock", lambda: 4_000_000_000.0)
    assert second(app, "POST", f"uploads/{key}:complete", token).status == 404
    assert len(list(services.blobs.keys("symbol-uploads/"))) == 1
    services.symbol_uploads.open(app.app_id)  # whoever comes next takes away what was left
    assert list(services.blobs.keys("symbol-uploads/")) == []


def test_the_key_is_stored_as_a_hash_only(services: Services, app: App) -> None:
    key = services.symbol_uploads.open(app.app_id)
    services.symbol_uploads.put(app.app_id, key, SYMBOLS)
    assert not any(key in blob_key for blob_key in services.blobs.keys(""))


def test_what_cannot_be_completed_is_a_400_or_a_404(app: App, token: str) -> None:
    key = second(app, "POST", "uploads:create", token).json["uploadKey"]
    assert second(app, "POST", f"uploads/{key}:complete", token).status == 404  # nothing was put
    assert second(app, "PUT", f"uploads/{key}", None).status == 400
    assert second(app, "PUT", f"uploads/{key}", None, b"no symbols").status == 200
    answer = second(app, "POST", f"uploads/{key}:complete", token, b"\xff")
    assert (answer.status, answer.json["error"]["code"]) == (400, 400)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"symbols/crash/{DEBUG_ID}"),
        ("POST", "uploads:delete"),
        ("POST", "uploads/abc"),
    ],
)
def test_an_unknown_verb_is_a_404(app: App, token: str, method: str, path: str) -> None:
    assert second(app, method, path, token).status == 404


# --- access ---


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "symbols"),
        ("GET", f"v1/symbols/a/{DEBUG_ID}:checkStatus"),
        ("POST", "v1/uploads:create"),
        ("POST", "v1/uploads/abc:complete"),
    ],
)
def test_symbols_need_a_token_for_uploading_to_that_app(
    services: Services, app: App, method: str, path: str
) -> None:
    other = services.accounts.create_app("Other").app_id
    create = services.accounts.create_token
    statuses = {}
    for name, key in {
        "none": "",
        "unknown": "0" * 32,
        "read": create("read", app_id=app.app_id),
        "other": create("admin", app_id=other),
        "upload": create("upload", app_id=app.app_id),
    }.items():
        url = f"/breakpad/{app.app_id}/{path}?key={key}"
        statuses[name] = request(method, url).status
    upload = statuses.pop("upload")
    assert statuses == {"none": 401, "unknown": 401, "read": 403, "other": 404}
    assert upload in {200, 400, 404}  # let in: what is asked for is not there
