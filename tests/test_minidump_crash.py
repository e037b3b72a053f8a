"""A minidump from the door to a readable crash, and again when its symbols come late."""

from __future__ import annotations

from pathlib import Path

import pytest

from chalicelib.bootstrap import Services
from chalicelib.records import App
from chalicelib.recount import recount_app
from chalicelib.worker import Worker
from tests.minidump_forms import Part, form
from tests.shared_data import shared_data
from tests.wsgi_client import get, post_form, request

MODULE_ID = "5A9832E5287241C1838ED98914E9B7FF1"


@pytest.fixture
def token(services: Services, app: App) -> str:
    return services.accounts.create_token("write", app_id=app.app_id)


def post_dump(app: App, dump: Path) -> int:
    parts = [Part("ver", "2.1"), Part("upload_file_minidump", dump.read_bytes(), "a.dmp")]
    body, kind = form(parts)
    answer = request("POST", f"/breakpad/{app.app_id}/upload", body, {"Content-Type": kind})
    assert answer.status == 200
    return int(answer.body)


def test_symbols_that_come_late_name_the_crash_and_its_group(
    services: Services, app: App, token: str
) -> None:
    dump = shared_data("minidumps", "dumps", "breakpad-minidump2.dmp")
    symbols = shared_data("minidumps", "symbols", "test_app.pdb", MODULE_ID, "test_app.sym")
    base = f"/api/2/apps/{app.app_id}"
    crash_id = post_dump(app, dump)
    Worker(services).drain()
    [group] = get(f"{base}/crash_reasons", token).json["crash_reasons"]
    assert group["method"] is None and group["reason"].startswith("EXCEPTION_ACCESS_VIOLATION")
    missing = get(f"{base}/symbols/missing", token).json["missing"]
    by_file = {e["debug_file"]: (e["debug_id"], e["number_of_crashes"]) for e in missing}
    assert by_file["test_app.pdb"] == (MODULE_ID, 1)

    sent = post_form(f"{base}/symbols", {}, {"file": symbols.read_bytes()}, X_HockeyAppToken=token)
    assert sent.status == 201
    Worker(services).drain()
    [named] = get(f"{base}/crash_reasons", token).json["crash_reasons"]
    assert named["id"] == group["id"]
    assert (named["method"], named["file"], named["line"]) == (
        "CrashFunction",
        "c:\\test_app.cc",
        "58",
    )
    left = [e["debug_id"] for e in get(f"{base}/symbols/missing", token).json["missing"]]
    assert MODULE_ID not in left
    assert recount_app(services, app.app_id).differences == ()

    told = get(f"{base}/crashes/{crash_id}/report", token).json
    crashed = told["threads"][told["crash_info"]["crashing_thread"]]
    assert crashed["frames"][0]["line"] == 58
    assert crashed["registers"]["eip"] == "0x40429e"
    assert told["crash_info"]["address"] == "0x45"
    text = get(f"{base}/crashes/{crash_id}?format=log", token).text
    assert "Crash reason:  EXCEPTION_ACCESS_VIOLATION_WRITE" in text
    assert "test_app.exe!`anonymous namespace'::CrashFunction [c:\\test_app.cc : 58]" in text
    [listed] = get(f"{base}/crash_reasons/{named['id']}", token).json["crashes"]
    assert listed["bundle_version"] == "2.1"


def test_dumps_of_one_cause_share_a_group_and_others_do_not(services: Services, app: App) -> None:
    names = ["breakpad-minidump2", "breakpad-minidump_32bit_crash_addr", "symbolic-windows-mini"]
    crashes = [post_dump(app, shared_data("minidumps", "dumps", f"{name}.dmp")) for name in names]
    Worker(services).drain()
    first, second, other = (services.crashes.report(number).group_id for number in crashes)
    assert first == second != other
    assert services.crashes.report(crashes[0]).signature
