"""HockeyApp's API: a crash from each kind of post, then every way to read it."""

from __future__ import annotations

import gzip
import plistlib
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from tests.blackbox import crashes
from tests.blackbox.client import Client, eventually
from tests.blackbox.conftest import App, GroupOf
from tests.blackbox.target import Target
from tests.minidump_forms import Part, form

_SDK_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_AS_JSON = {"Accept": "application/json"}


def _upload(client: Client, app: App, word: str, **fields: str) -> int:
    parts = [Part("log", crashes.log(word), "crash.log"), *map(Part, fields, fields.values())]
    answer = client.post_form(f"{app.path}/crashes/upload", parts, _AS_JSON)
    assert (answer.status, answer.json["status"]) == (201, "success")
    return int(answer.json["id"])


def test_an_upload_becomes_a_crash_of_a_group_with_what_came_along(
    admin: Client, anyone: Client, app: App, word: str, group_of: GroupOf
) -> None:
    noise = bytes(range(256)) * 40
    parts = [
        Part("log", crashes.log(word), "crash.log"),
        Part("description", f"it broke: {word} \u00fc", "description.txt"),
        Part("attachment0", noise, "noise.bin"),
        Part("userID", f"{word}@example.com"),
    ]
    answer = anyone.post_form(f"{app.path}/crashes/upload", parts, _AS_JSON)
    assert answer.status == 201
    crash_id = answer.json["id"]
    assert anyone.located(answer).status == 200
    group = group_of(word)
    assert (group["class"], group["line"]) == (f"{crashes.PACKAGE}.{word}", "12")
    assert group["number_of_crashes"] == 1
    one = f"{app.path}/crashes/{crash_id}"
    assert admin.get(one, format="log").body == crashes.log(word)
    assert word in admin.get(one, format="text").text
    assert admin.get(one, format="json").json["user_string"] == f"{word}@example.com"
    assert word in admin.get(f"{one}/report").text
    [listed] = admin.get(f"{one}/attachments").json["attachments"]
    sent = admin.get(f"{one}/attachments/{quote(listed['name'])}")
    assert (sent.status, sent.body) == (200, noise)


def test_the_raw_form_of_the_sdk_is_taken_gzipped_too(
    anyone: Client, app: App, word: str, group_of: GroupOf
) -> None:
    body = f"raw={quote(crashes.log(word))}&sdk=HockeySDK&sdk_version=4.1.3".encode()
    for sent, headers in ((body, {}), (gzip.compress(body), {"Content-Encoding": "gzip"})):
        answer = anyone.send("POST", f"{app.path}/crashes", sent, _SDK_FORM | headers)
        assert answer.status == 201
        assert "<string>" in answer.text  # the SDK reads a property list
    eventually(lambda: group_of(word)["number_of_crashes"] == 2, 30)


def test_lists_histograms_and_searches_hold_the_crash(
    service: Target, admin: Client, anyone: Client, app: App, word: str, group_of: GroupOf
) -> None:
    crash_ids = [_upload(anyone, app, word, userID=f"{word}@example.com") for _ in range(3)]
    eventually(lambda: group_of(word)["number_of_crashes"] == 3, service.patience_s)
    group = group_of(word)
    base, one = app.path, f"{app.path}/crash_reasons/{group['id']}"
    listed = admin.get(one, per_page="25").json
    assert [crash["id"] for crash in listed["crashes"]] == sorted(crash_ids, reverse=True)
    versions = admin.get(f"{base}/app_versions").json["app_versions"]
    [version] = [entry for entry in versions if entry["version"] == "7"]
    assert admin.get(f"{base}/statistics").status == 200
    of_version = f"{base}/app_versions/{version['id']}/crash_reasons/{group['id']}"
    assert admin.get(of_version).json["total_entries"] == 3
    today = datetime.now(UTC).date()
    days = {"start_date": str(today - timedelta(days=1)), "end_date": str(today)}
    counted = admin.get(f"{one}/histogram", **days).json["histogram"]
    assert sum(count for _, count in counted) == 3
    whole = admin.get(f"{base}/crashes/histogram", **days).json["histogram"]
    assert sum(count for _, count in whole) >= 3
    for path, query, entries, count in (
        ("crash_reasons/search", f'class:"{crashes.PACKAGE}.{word}"', "crash_reasons", 1),
        ("crashes/search", f"user_string:{word}*", "crashes", 3),
        ("crashes/user_search", f"{word}@example.com", "crashes", 3),
    ):
        found = admin.get(f"{base}/{path}", query=query)
        assert (found.status, len(found.json[entries])) == (200, count), (path, found.text)


def test_a_group_is_resolved_annotated_and_its_crash_deleted(
    service: Target, admin: Client, anyone: Client, app: App, word: str, group_of: GroupOf
) -> None:
    first, second = (_upload(anyone, app, word) for _ in range(2))
    eventually(lambda: group_of(word)["number_of_crashes"] == 2, service.patience_s)
    group = f"{app.path}/crash_reasons/{group_of(word)['id']}"
    told = admin.post_form(
        group, [Part("status", "1"), Part("ticket_url", "https://example.com/7")]
    )
    assert (told.status, told.json["crash_reason"]["status"]) == (200, 1)
    noted = admin.post_form(f"{group}/crash_annotations", [Part("text", word)])
    assert noted.json["crash_annotations"][0]["text"] == word
    fed_back = plistlib.loads(anyone.get(f"{app.path}/crashes/{second}").body)
    assert int(fed_back["status"]) == 1
    assert admin.send("DELETE", f"{app.path}/crashes/{first}").status == 200
    assert admin.get(group).json["total_entries"] == 1
    assert admin.get(f"{app.path}/crashes/{first}", format="json").status == 404


def test_refusals_keep_the_shape_of_the_api(admin: Client, anyone: Client, app: App) -> None:
    body, kind = form([Part("description", "no log")])
    answer = anyone.send("POST", f"{app.path}/crashes/upload", body, {"Content-Type": kind})
    assert (answer.status, list(answer.json["errors"])) == (422, ["log"])
    huge = [Part("log", b"x" * 200_001, "crash.log")]
    answer = anyone.post_form(f"{app.path}/crashes/upload", huge)
    assert (answer.status, list(answer.json["errors"])) == (413, ["log"])
    assert anyone.get(f"{app.path}/crash_reasons").status == 401
    assert admin.get("/api/2/apps/ffffffffffffffffffffffffffffffff/crash_reasons").status == 404
