"""omaha-server's API: crashes and symbols of a form, read with a user's password."""

from __future__ import annotations

import gzip

from tests.blackbox import crashes
from tests.blackbox.client import Client, basic, eventually
from tests.blackbox.conftest import App
from tests.blackbox.target import Target
from tests.minidump_forms import Part, form


def test_a_crash_is_named_by_symbols_that_a_user_sends(
    service: Target, anyone: Client, app: App, word: str
) -> None:
    email = f"{word.lower()}@example.com"
    service.crashbucket.run("user", "create", email, "--app", app.app_id, typed="open sesame\n")
    login = basic(email, "open sesame")
    build = crashes.build(word)
    parts = [
        Part("appid", app.app_id),
        Part("userid", "u1"),
        Part("ver", "1.0.0.1"),
        Part("upload_file_minidump", build.dump, "a.dmp"),
    ]
    body, kind = form(parts)
    packed = {"Content-Type": kind, "Content-Encoding": "gzip"}
    taken = [
        anyone.send("POST", "/service/crash_report/", body, {"Content-Type": kind}),
        anyone.send("POST", "/service/crash_report/", gzip.compress(body), packed),
    ]
    assert [answer.status for answer in taken] == [200, 200]
    crash = f"/api/crash_report/{taken[0].text}/"
    eventually(lambda: anyone.get(crash, login).json["signature"], service.patience_s)
    shown = anyone.get(crash, login).json
    assert shown["meta"] == {"ver": "1.0.0.1"}
    assert shown["stacktrace_json"]["crashing_thread"]["frames"]
    assert anyone.follow(shown["upload_file_minidump"]).body == build.dump
    ids = [int(answer.text) for answer in taken]

    def listed() -> bool:
        newest = anyone.get("/api/crash_report/", login, page_size="100").json
        pages = -(-newest["count"] // 100)
        page = anyone.get("/api/crash_report/", login, page_size="100", page=str(pages)).json
        return {entry["id"] for entry in newest["results"] + page["results"]} >= set(ids)

    eventually(listed, service.patience_s)
    symbols = [Part("file", build.symbols, f"{word}.sym")]
    assert anyone.post_form("/api/symbols/", symbols, login).status == 201
    assert anyone.post_form("/api/symbols/", symbols, login).status == 409
    files = anyone.get("/api/symbols/", login).json
    assert build.debug_id in {entry["debug_id"] for entry in files}
    eventually(
        lambda: f"{word}_inner" in (anyone.get(crash, login).json["signature"] or ""),
        service.patience_s,
    )


def test_a_user_describes_a_crash_on_a_page(
    service: Target, anyone: Client, admin: Client, app: App, word: str
) -> None:
    parts = [
        Part("appid", app.app_id),
        Part("upload_file_minidump", crashes.build(word).dump, "a.dmp"),
    ]
    crash_id = anyone.post_form("/service/crash_report/", parts).text
    page = anyone.get(f"/service/crash_details/{crash_id}", comment=word)
    assert (page.status, word in page.text) == (200, True)
    told = [Part("summary", f"it broke {word}"), Part("description", "while I looked")]
    sent = anyone.post_form(f"/service/crash_details/{crash_id}", told)
    assert sent.status == 302
    assert anyone.follow(sent.headers["location"]).status == 200

    def is_said() -> bool:
        return word in admin.get(f"{app.path}/crashes/{crash_id}", format="text").text

    eventually(is_said, service.patience_s)


def test_refusals_keep_the_shape_of_the_api(admin: Client, anyone: Client) -> None:
    refused = anyone.post_form("/service/crash_report/", [Part("appid", "x")])
    assert (refused.status, list(refused.json)) == (400, ["upload_file_minidump"])
    denied = anyone.get("/api/crash_report/")
    assert (denied.status, denied.headers["www-authenticate"].split()[0]) == (401, "Basic")
    assert admin.get("/api/crash_report/1/").json == {"detail": "Not found."}
