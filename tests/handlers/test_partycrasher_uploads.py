"""Posting reports to PartyCrasher's API: what is taken, what is refused, and how it is told."""

from __future__ import annotations

import gzip
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import unquote

import pytest

from chalicelib.bootstrap import Services
from chalicelib.recount import recount_app
from tests.partycrasher_client import HOST, ask, get, own_part, post, posted, report
from tests.shared_data import shared_data

pytestmark = pytest.mark.usefixtures("services")

# The document's format page, with the parts it leaves out of its long example left out too.
DOCUMENT_EXAMPLE: dict[str, Any] = {
    "CrashCounter": "1",
    "Disassembly": "0xff99cd48:",
    "ExecutablePath": "/usr/lib/nspluginwrapper/i386/linux/npviewer.bin",
    "ProcEnviron": " PATH=(custom, user)\n LANG=fr_FR.UTF-8\n SHELL=/bin/bash\n",
    "Signal": "11",
    "Title": "npviewer.bin crashed with SIGSEGV",
    "buckets": {
        "1.0": {
            "href": "http://buttercup:5000/Ubuntu/buckets/1.0/launchpad:0000116712",
            "id": "launchpad:0000116712",
            "project": "Ubuntu",
            "threshold": "1.0",
            "total": None,
        },
        "top_match": {
            "href": "http://buttercup:5000/Ubuntu/reports/launchpad:0000444770",
            "project": "Ubuntu",
            "report_id": "launchpad:0000444770",
            "score": "5.913951",
        },
    },
    "cpu": "amd64",
    "database_id": "launchpad:0000450543",
    "date": "2016-11-03T19:14:02.827181",
    "href": "http://buttercup:5000/Ubuntu/reports/launchpad:0000450543",
    "os": "Ubuntu 9.04",
    "project": "Ubuntu",
    "stacktrace": [
        {
            "address": "0xff99cd48",
            "args": "",
            "depth": "0",
            "extra": ["#0  0xff99cd48 in ?? ()"],
            "function": None,
        },
        {
            "address": "0xf688eccf",
            "depth": "1",
            "dylib": "/usr/lib/flashplugin-installer/libflashplayer.so",
            "function": None,
        },
        {
            "address": "0xf7d157d9",
            "args": "",
            "depth": "9",
            "dylib": "/usr/lib32/libgtk-x11-2.0.so.0",
            "function": "gtk_main",
            "logdf": "2.66208067724",
        },
    ],
    "type": "Crash",
}


# --- one report ----------------------------------------------------------


def test_a_report_is_answered_with_201_its_place_and_its_buckets() -> None:
    answer = post("/alan_parsons/reports", report("one", "main"))
    assert answer.status == 201
    href = f"{HOST}/alan_parsons/reports/one"
    assert answer.headers["location"] == href
    assert answer.headers["access-control-allow-origin"] == "*"
    body = answer.json
    assert (body["database_id"], body["project"], body["href"]) == ("one", "alan_parsons", href)
    assert body["project_href"] == f"{HOST}/alan_parsons"
    bucket = body["buckets"]["4.0"]
    assert bucket["id"] == bucket["bucket_id"] == "one"
    assert bucket["href"] == bucket["url"] == f"{HOST}/alan_parsons/buckets/4.0/one"
    assert (bucket["project"], bucket["threshold"], bucket["total"]) == (
        "alan_parsons",
        "4.0",
        None,
    )
    assert body["buckets"]["top_match"] is None
    related = f'<{HOST}/alan_parsons/buckets/4.0/one>; rel="related"'
    assert answer.headers["link"] == related


def test_the_documents_example_can_be_posted_and_its_generated_properties_are_overwritten() -> None:
    assert post("/reports", DOCUMENT_EXAMPLE).status == 201
    stored = get("/Ubuntu/reports/launchpad:0000450543").json
    own = {k: v for k, v in DOCUMENT_EXAMPLE.items() if k not in {"buckets", "href"}}
    own["stacktrace"] = [
        {name: value for name, value in frame.items() if name != "logdf"}
        for frame in own["stacktrace"]
    ]
    assert own_part(stored) == own
    assert stored["href"] == f"{HOST}/Ubuntu/reports/launchpad:0000450543"
    assert stored["buckets"]["1.0"]["id"] == "launchpad:0000450543"
    assert stored["buckets"]["top_match"] is None
    frames = stored["stacktrace"]
    assert "logdf" not in frames[0]
    assert frames[2]["logdf"] == "0.0"  # every crash holds it


@pytest.mark.parametrize("number", range(1, 6))
def test_a_launchpad_crash_comes_back_unchanged(number: int) -> None:
    raw = shared_data("partycrasher", f"launchpad-{number}.json").read_bytes()
    sent = json.loads(raw)
    answer = post("/Ubuntu/reports", raw)
    assert answer.status == 201
    for path in (f"/Ubuntu/reports/{sent['database_id']}", f"/report/{sent['database_id']}"):
        own = own_part(get(path).json)
        if "date" not in sent:
            assert own.pop("date")
        assert own == sent | {"project": "Ubuntu"}


def test_arbitrary_properties_come_back_as_they_were_sent() -> None:
    sent = report(
        "odd",
        "main",
        nested={"list": [1, 2.5, None, {"deep": [[]]}], "text": "žluťoučký \u2028", "": 0},
        true=True,
        large=12345678901234567890123456789012345678901234567890,
    )
    posted_back = post("/reports", sent).json
    assert own_part(posted_back) == sent
    assert own_part(get("/reports/odd").json) == sent


def test_without_a_project_in_the_body_the_path_names_it() -> None:
    body = {"database_id": "a"}
    assert post("/some project/reports", body).json["project"] == "some project"
    assert get("/some project/reports/a").json["href"] == f"{HOST}/some%20project/reports/a"


def test_without_date_and_stacktrace_they_are_the_insertion_and_empty() -> None:
    body = post("/p/reports", {"database_id": "a"}).json
    assert body["stacktrace"] == []
    assert body["date"][:4].isdigit()
    assert get("/p/reports/a").json["date"] == body["date"]


def test_a_gzipped_report_is_taken() -> None:
    raw = gzip.compress(json.dumps(report("zipped", "main")).encode())
    assert post("/reports", raw, Content_Encoding="gzip").status == 201


def test_a_report_that_says_it_is_a_form_is_taken_for_the_json_it_is() -> None:
    """What curl -d sends."""
    sent = report("curl", "main", note="a=1&b=2")
    answer = post("/reports", sent, Content_Type="application/x-www-form-urlencoded")
    assert answer.status == 201
    assert own_part(answer.json) == sent


def test_an_id_with_a_slash_has_links_that_lead_to_it() -> None:
    body = post("/p/reports", {"database_id": "mozilla/12"}).json
    bucket = body["buckets"]["4.0"]["href"]
    # a server decodes a path once
    found = get(unquote(body["href"].removeprefix(HOST)))
    assert found.json["database_id"] == "mozilla/12"
    assert get(unquote(bucket.removeprefix(HOST))).json["total"] == 1


def test_a_dry_run_knows_a_stack_whose_frames_got_names_since() -> None:
    frames = [{"function": None, "dylib": "libacme.so", "address": f"0x{n}234"} for n in (1, 2)]
    sent = {"database_id": "nameless", "stacktrace": frames}
    assert post("/p/reports", sent).status == 201
    named = [{**frame, "function": f"f{n}"} for n, frame in enumerate(frames)]
    assert post("/p/reports", {"database_id": "named", "stacktrace": named}).status == 201
    tried = post("/p/reports/dry-run", {**sent, "database_id": "again"}).json["buckets"]
    assert tried["11.0"]["id"] == tried["top_match"]["report_id"] == "nameless"


def test_force_bucket_decides_at_every_threshold() -> None:
    posted("one", "main", "run")
    forced = posted("two", "main", "run", force_bucket="mine")["buckets"]
    forced.pop("top_match")
    assert {bucket["id"] for bucket in forced.values()} == {"mine"}
    assert get("/alan_parsons/buckets/11.0/mine").json["total"] == 1


def test_the_largest_of_everything_is_taken() -> None:
    """What is stored of a report stays below the store's limit for an item."""
    wide = "\U0001f600"
    frames = [{"function": f"{number}{wide * 3000}", "file": wide * 3000} for number in range(70)]
    content = {f"{number}{wide * 300}": wide * 5000 for number in range(80)}
    said = dict.fromkeys(
        ("exception_type", "message", "version", "oem", "model", "os", "Package", "os_version"),
        wide * 5000,
    )
    assert post("/p/reports", {"database_id": "frames", "stacktrace": frames, **said}).status == 201
    assert post("/p/reports", {"database_id": "content", **content}).status == 201
    longest = {"database_id": "d" * 500, "force_bucket": "\u20ac" * 166, "stacktrace": []}
    assert post("/p/reports", longest).status == 201
    assert get(f"/p/reports/{'d' * 500}").status == 200
    assert get(f"/p/reports/{'d' * 5000}").status == 404
    assert get(f"/p/buckets/4.0/{'d' * 5000}").status == 404


# --- a report that is there ----------------------------------------------


def test_second_post_of_same_database_id_answers_303_with_location(services: Services) -> None:
    posted("one", "main")
    answer = post("/reports", report("one", "other"))
    assert (answer.status, answer.body) == (303, b"")
    assert answer.headers["location"] == f"{HOST}/alan_parsons/reports/one"
    assert get("/reports/one").json["stacktrace"][0]["function"] == "main"
    app = services.projects.project("alan_parsons")
    assert recount_app(services, app.app_id).reports == 1


def test_an_id_is_taken_for_every_project() -> None:
    posted("one", "main")
    answer = post("/other/reports", {"database_id": "one"})
    assert answer.status == 303
    assert answer.headers["location"] == f"{HOST}/alan_parsons/reports/one"


def test_of_posts_of_one_id_at_the_same_moment_one_is_stored(services: Services) -> None:
    def send(number: int) -> int:
        return post("/reports", report("same", "main", number=number)).status

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(send, range(16)))
    assert sorted(statuses) == [201] + [303] * 15
    app = services.projects.project("alan_parsons")
    assert len(list(services.projects.all())) == 1
    found = recount_app(services, app.app_id)
    assert (found.reports, found.differences) == (1, ())
    assert len(list(services.blobs.keys("raw/"))) == 1


# --- an array ------------------------------------------------------------


def test_an_array_is_answered_in_its_order_and_a_bad_report_stops_no_other() -> None:
    posted("old", "main")
    answer = post(
        "/reports",
        [
            report("a", "main"),
            report("bad", 5),  # type: ignore[arg-type]
            report("old", "main"),
            report("b", "main"),
            report("a", "again"),
            "no object",
        ],
    )
    assert answer.status == 201
    first, bad, old, second, again, text = answer.json
    assert (first["database_id"], second["database_id"]) == ("a", "b")
    assert first["buckets"]["4.0"]["bucket_id"] == second["buckets"]["4.0"]["bucket_id"] == "old"
    assert (bad["status"], bad["database_id"]) == (400, "bad")
    assert bad["property"] == "stacktrace[0].function"
    assert (old["status"], old["href"]) == (303, f"{HOST}/alan_parsons/reports/old")
    assert (again["status"], again["database_id"]) == (303, "a")
    assert (text["status"], text["error"]) == (400, "no_report_data_provided")


def test_the_first_report_of_an_array_founds_the_bucket_of_those_like_it() -> None:
    answer = post("/reports", [report(f"r{number}", "read", "main") for number in range(60)])
    assert {entry["buckets"]["4.0"]["id"] for entry in answer.json} == {"r0"}
    assert answer.json[0]["buckets"]["top_match"] is None
    assert answer.json[59]["buckets"]["top_match"]["report_id"] == "r0"


def test_an_array_of_which_nothing_is_stored_is_a_400() -> None:
    answer = post("/reports", [{"database_id": "a"}, {"project": "p"}])
    assert answer.status == 400
    assert [entry["error"] for entry in answer.json] == ["missing_project", "bad_property"]


def test_an_array_of_too_many_reports_is_a_413() -> None:
    assert post("/p/reports", [{"database_id": str(n)} for n in range(1001)]).status == 413


# --- what is refused -----------------------------------------------------


@pytest.mark.parametrize("body", [b"", b"  \n", b"{}", b"[]", b"null", b"5"])
def test_no_report_is_a_400_that_says_so(body: bytes) -> None:
    answer = post("/p/reports", body)
    assert (answer.status, answer.json["error"]) == (400, "no_report_data_provided")


def test_broken_json_is_a_400_that_says_where() -> None:
    answer = post("/p/reports", b'{"database_id": "a",\n "x": }')
    assert answer.json["error"] == "invalid_json"
    assert "line 2" in answer.json["message"]


def test_no_project_is_a_400() -> None:
    answer = post("/reports", {"database_id": "a"})
    assert (answer.status, answer.json["error"]) == (400, "missing_project")


def test_another_project_than_the_paths_is_a_400_that_names_both() -> None:
    answer = post("/mine/reports", {"database_id": "a", "project": "theirs"})
    assert answer.status == 400
    told = {name: answer.json[name] for name in ("error", "expected", "actual")}
    assert told == {"error": "name_mismatch", "expected": "mine", "actual": "theirs"}


def test_a_key_with_a_period_is_a_bad_key_name() -> None:
    answer = post("/p/reports", {"database_id": "a", "sub": [{"b.c": 1}]})
    assert (answer.status, answer.json["error"]) == (400, "BadKeyNameError")
    assert "period is not allowed" in answer.json["description"]
    assert answer.json["property"] == "sub[0]"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"database_id": None}, "database_id"),
        ({"database_id": 7}, "database_id"),
        ({"database_id": " "}, "database_id"),
        ({"database_id": "x" * 501}, "database_id"),
        ({"database_id": "half \ud800"}, "database_id"),
        ({"project": 7}, "project"),
        ({"date": 1184196223}, "date"),
        ({"date": "yesterday"}, "date"),
        ({"date": "2015-02-29"}, "date"),
        ({"force_bucket": []}, "force_bucket"),
        ({"stacktrace": "main"}, "stacktrace"),
        ({"stacktrace": {}}, "stacktrace"),
        ({"stacktrace": ["main"]}, "stacktrace[0]"),
        ({"stacktrace": [{"function": "f"}, {"function": 1}]}, "stacktrace[1].function"),
        ({"stacktrace": [{"function": "f", "address": []}]}, "stacktrace[0].address"),
        ({"stacktrace": [{"function": "f", "dylib": 1}]}, "stacktrace[0].dylib"),
        ({"stacktrace": [{"function": "f", "file": True}]}, "stacktrace[0].file"),
        ({"stacktrace": [{"function": "f", "fileline": {}}]}, "stacktrace[0].fileline"),
    ],
)
def test_a_property_of_a_wrong_type_is_named(change: dict[str, Any], named: str) -> None:
    answer = post("/reports", report("a", "main") | change)
    assert (answer.status, answer.json["error"]) == (400, "bad_property")
    assert answer.json["property"] == named


@pytest.mark.parametrize("name", ["api", "Reports", "healthz", "*", "a/b", "..", " x", "", "a\n"])
def test_a_name_that_no_project_can_have_is_a_400_that_says_why(name: str) -> None:
    answer = post("/reports", {"database_id": "a", "project": name})
    assert (answer.status, answer.json["property"]) == (400, "project")
    assert "must" in answer.json["message"]


def test_nothing_refused_makes_a_project_or_leaves_a_payload(services: Services) -> None:
    post("/p/reports", {"database_id": 7})
    post("/p/reports/dry-run", {"database_id": "a"})
    assert not list(services.projects.all())
    assert not list(services.blobs.keys("raw/"))


# --- dry run -------------------------------------------------------------


@pytest.mark.parametrize("path", ["/reports/dry-run", "/alan_parsons/reports/dry_run"])
def test_a_dry_run_tells_the_buckets_and_stores_nothing(path: str) -> None:
    posted("one", "main", "run")
    answer = post(path, report("two", "main", "run", note="hello"))
    assert answer.status == 200
    body = answer.json
    assert (body["note"], body["project"]) == ("hello", "alan_parsons")
    assert body["href"] == f"{HOST}/alan_parsons/reports/two"
    assert body["buckets"]["4.0"]["bucket_id"] == "one"
    assert body["buckets"]["top_match"]["report_id"] == "one"
    assert get("/reports/two").status == 404


def test_thresholds_without_a_match_are_null_in_a_dry_run() -> None:
    buckets = post("/reports/dry-run", report("two", "never_seen")).json["buckets"]
    assert set(buckets.values()) == {None}
    assert "4.0" in buckets


# --- preflight -----------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/reports", "/p/reports", "/p/buckets/4.0", "/p/search"])
def test_a_preflight_is_answered_with_200(path: str) -> None:
    answer = ask("OPTIONS", path)
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == "*"
