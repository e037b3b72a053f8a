"""PartyCrasher's API: reports with their explanations, buckets, search, projects."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.bootstrap import Services
from chalicelib.records import App
from tests.crashes import android_log, drain, receive
from tests.partycrasher_client import HOST, get, post, posted, report

pytestmark = pytest.mark.usefixtures("services")

PROJECT = "/alan_parsons"
EVER = "since=2000&until=2525"


def ids(entries: list[dict[str, Any]]) -> list[str]:
    return [entry["database_id"] for entry in entries]


# --- a report ------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    ["/reports/one", "/alan_parsons/reports/one", "/report/one", "/alan_parsons/report/one/"],
)
def test_a_report_is_found_with_and_without_its_project(path: str) -> None:
    posted("one", "main", comment="<some flattering comment>", threads=[{"stacktrace": ["..."]}])
    answer = get(path)
    assert answer.status == 200
    body = answer.json
    assert (body["database_id"], body["project"]) == ("one", "alan_parsons")
    assert body["comment"] == "<some flattering comment>"
    assert body["threads"] == [{"stacktrace": ["..."]}]
    related = f'<{HOST}/alan_parsons/buckets/4.0/one>; rel="related"'
    assert answer.headers["link"] == related


@pytest.mark.parametrize(
    "path", ["/reports/none", "/other/reports/one", "/reports/one/compare/none"]
)
def test_a_report_that_is_not_there_is_a_404_that_names_it(path: str) -> None:
    posted("one", "main")
    answer = get(path)
    assert answer.status == 404
    assert answer.json["not_found"] == path.rpartition("/")[2]


def test_logdf_is_minus_log2_of_the_share_of_reports_that_hold_the_function() -> None:
    for number in range(8):
        posted(f"r{number}", f"own_{number}", "often" if number < 4 else "seldom", "main")
    frames = get("/reports/r0").json["stacktrace"]
    told = {frame["function"]: frame["logdf"] for frame in frames}
    assert all(isinstance(bits, str) for bits in told.values())
    assert float(told["own_0"]) == pytest.approx(math.log2(8))
    assert float(told["often"]) == pytest.approx(1)
    assert float(told["main"]) == 0


def test_a_frame_without_a_function_has_no_logdf() -> None:
    posted("one", None, "main")
    assert "logdf" not in get("/reports/one").json["stacktrace"][0]


def test_the_top_match_is_the_closest_earlier_report_with_its_score_as_text() -> None:
    posted("one", "read", "parse", "main")
    match = posted("two", "read", "parse", "main")["buckets"]["top_match"]
    assert (match["report_id"], match["project"]) == ("one", "alan_parsons")
    assert match["href"] == f"{HOST}/alan_parsons/reports/one"
    assert isinstance(match["score"], str)
    assert float(match["score"]) > 11
    assert get("/reports/one").json["buckets"]["top_match"] is None


def test_a_match_in_an_app_of_another_door_is_not_told(services: Services, app: App) -> None:
    receive(services, app, android_log("cause"))
    drain(services)
    functions = ["de.codenauts.hockeyapp.Cause.fail", "de.codenauts.hockeyapp.Main.run"]
    body = posted("one", *functions, exception_type="java.lang.IllegalStateException")
    assert body["buckets"]["top_match"] is None


def test_a_summary_lists_the_terms_by_falling_weight() -> None:
    posted("one", "read", "parse", "main")
    body = get("/alan_parsons/reports/one/summary").json
    assert (body["database_id"], body["project"]) == ("one", "alan_parsons")
    values = [entry["value"] for entry in body["summary"]]
    assert values == sorted(values, reverse=True)
    assert set(body["summary"][0]) == {"field", "term", "value"}


def test_two_reports_are_compared_with_the_terms_and_frames_side_by_side() -> None:
    posted("one", "read", "parse", "main")
    posted("two", "read", "parse", "main", project="other")
    posted("far", "paint", "loop", "start")
    same = get("/reports/one/compare/two").json
    assert (same["database_id"], same["other_id"]) == ("one", "two")
    assert same["score"] > 11
    assert set(same["buckets"].values()) == {True}
    assert {"terms", "frames"} <= set(same)
    assert set(same["frames"][0]) == {"left", "right", "value"}
    far = get("/alan_parsons/reports/one/compare/far").json
    assert far["score"] < 1
    assert set(far["buckets"].values()) == {False}


# --- top buckets ---------------------------------------------------------


@pytest.mark.parametrize("path", ["/buckets", "/alan_parsons/buckets"])
def test_buckets_redirect_to_the_default_threshold_with_the_query_kept(path: str) -> None:
    answer = get(f"{path}?since=2016-02-29&q=a%20b")
    assert answer.status == 302
    assert answer.headers["location"] == f"{HOST}{path}/4.0?since=2016-02-29&q=a+b"


def test_top_buckets_are_the_largest_of_their_time() -> None:
    for number in range(3):
        posted(f"a{number}", "read", "main", date=f"2016-03-0{number + 1}T00:00:00")
    posted("b", "paint", "loop", date="2016-03-01T14:32:08")
    posted("old", "paint", "loop", date="2016-02-27T14:32:08")
    body = get(f"{PROJECT}/buckets/4.0?since=2016-02-29").json
    assert (body["since"], body["until"]) == ("2016-02-29T00:00:00", None)
    assert (body["threshold"], body["q"]) == ("4.0", None)
    first, second = body["top_buckets"]
    assert first == {
        "id": "a0",
        "href": f"{HOST}/alan_parsons/buckets/4.0/a0",
        "threshold": "4.0",
        "total": 3,
        "first_seen": "2016-03-01T00:00:00Z",
        "project": "alan_parsons",
        "top_reports": None,
    }
    assert (second["id"], second["total"]) == ("b", 1)
    assert second["first_seen"] == "2016-02-27T14:32:08Z"  # of its whole life
    assert ids_of(get(f"{PROJECT}/buckets/4.0?since=2016&from=1&size=1")) == ["b"]
    assert ids_of(get(f"{PROJECT}/buckets/4.0?since=2016&until=2016-02-28")) == ["b"]
    assert ids_of(get(f"{PROJECT}/buckets/4.0?{EVER}&q=database_id:a1")) == ["a0"]
    assert ids_of(get(f"/other/buckets/4.0?{EVER}")) == []


def ids_of(answer: Any) -> list[str]:
    return [bucket["id"] for bucket in answer.json["top_buckets"]]


def test_top_buckets_without_a_project_count_all_projects() -> None:
    posted("one", "read", "main")
    posted("two", "read", "main", project="other")
    (bucket,) = get(f"/buckets/4.0?{EVER}").json["top_buckets"]
    assert (bucket["total"], bucket["project"]) == (2, None)
    assert bucket["href"] == f"{HOST}/buckets/4.0/one"
    (mine,) = get(f"/other/buckets/4.0?{EVER}").json["top_buckets"]
    assert mine["total"] == 1


def test_top_buckets_go_three_days_back_when_nothing_is_said() -> None:
    now = clock.now().replace(tzinfo=None, microsecond=0)
    posted("new", "read", date=(now - timedelta(days=2)).isoformat())
    posted("old", "paint", date=(now - timedelta(days=4)).isoformat())
    answer = get(f"{PROJECT}/buckets/4.0")
    assert ids_of(answer) == ["new"]
    since = datetime.fromisoformat(answer.json["since"])
    assert abs(now - timedelta(days=3) - since) < timedelta(minutes=1)


@pytest.mark.parametrize("threshold", ["4", "4.0", "4.00"])
def test_a_threshold_may_be_written_as_any_number(threshold: str) -> None:
    assert get(f"/buckets/{threshold}").json["threshold"] == "4.0"


@pytest.mark.parametrize("threshold", ["4.2", "x", "1e1", "-4.0", "nan", "٤"])
def test_a_threshold_that_is_not_kept_is_a_404(threshold: str) -> None:
    assert get(f"/buckets/{threshold.encode().decode('latin-1')}").status == 404


@pytest.mark.parametrize(
    ("since", "told"),
    [
        ("2017-01-01", "2017-01-01T00:00:00"),
        ("2017-01-01T10:20:30", "2017-01-01T10:20:30"),
        ("2017-01-01T10:20:30Z", "2017-01-01T10:20:30"),
        ("2017-01-01T10:20:30%2B02:00", "2017-01-01T08:20:30"),
        ("2017-01-01T10:20:30+02:00", "2017-01-01T08:20:30"),
        ("2000", "2000-01-01T00:00:00"),
        ("2016-02", "2016-02-01T00:00:00"),
    ],
)
def test_since_is_told_as_a_full_date_time(since: str, told: str) -> None:
    assert get(f"/buckets/4.0?since={since}").json["since"] == told


@pytest.mark.parametrize("since", ["5-hours-ago", "1-week-ago", "90-days-ago", "2-months-ago"])
def test_since_may_be_relative(since: str) -> None:
    told = datetime.fromisoformat(get(f"/buckets/4.0?since={since}").json["since"])
    assert told < clock.now().replace(tzinfo=None)


@pytest.mark.parametrize("name", ["since", "until"])
@pytest.mark.parametrize(
    "date", ["2015-02-29", "junk", "0000", "99999", "-3-days-ago", "999999999-years-ago", "12:00"]
)
def test_a_date_that_does_not_exist_is_a_400_that_names_the_parameter(name: str, date: str) -> None:
    for path in ("/buckets/4.0", "/alan_parsons/search"):
        answer = get(f"{path}?{name}={date}")
        assert (answer.status, answer.json["property"]) == (400, name)


@pytest.mark.parametrize(
    "query", ["from=-1", "from=x", "size=1.5", "size=1001", "size=99999999999"]
)
def test_a_page_that_cannot_be_is_a_400_that_names_the_parameter(query: str) -> None:
    for path in ("/buckets/4.0", "/buckets/4.0/one", "/alan_parsons/search"):
        answer = get(f"{path}?{query}")
        assert (answer.status, answer.json["property"]) == (400, query.partition("=")[0])


# --- a bucket ------------------------------------------------------------


def test_a_bucket_of_reports_without_frames_lists_them() -> None:
    for name in ("one", "two"):
        posted(name, note="the flux was lost")
    bucket = get("/buckets/4.0/one").json
    assert (bucket["total"], ids(bucket["top_reports"])) == (2, ["two", "one"])


def test_a_bucket_tells_its_total_and_its_newest_reports() -> None:
    for number in range(4):
        posted(f"a{number}", "read", "main", date=f"2016-03-0{number + 1}T00:00:00")
    posted("b", "paint", "loop")
    body = get(f"{PROJECT}/buckets/4.0/a0?from=1&size=2").json
    assert (body["id"], body["project"], body["threshold"]) == ("a0", "alan_parsons", "4.0")
    assert body["href"] == f"{HOST}/alan_parsons/buckets/4.0/a0"
    assert body["total"] == 4
    assert ids(body["top_reports"]) == ["a2", "a1"]
    assert body["top_reports"][0]["href"] == f"{HOST}/alan_parsons/reports/a2"
    assert body["top_reports"][0]["buckets"]["4.0"]["id"] == "a0"


def test_a_bucket_holds_of_a_project_what_is_in_it() -> None:
    posted("one", "read", "main")
    posted("two", "read", "main", project="other", date="2016-03-01T00:00:00")
    assert get("/other/buckets/4.0/one").json["total"] == 1
    both = get("/buckets/4.0/one").json
    assert (both["total"], both["project"]) == (2, None)
    assert ids(both["top_reports"]) == ["two", "one"]


@pytest.mark.parametrize("path", ["/buckets/4.0/none", "/other/buckets/4.0/one"])
def test_a_bucket_that_is_not_there_is_a_404_that_names_it(path: str) -> None:
    posted("one", "read", "main")
    answer = get(path)
    assert answer.status == 404
    assert answer.json == {"error": "not_found", "bucket_id": path.rpartition("/")[2]}


# --- search --------------------------------------------------------------


def test_reports_whose_only_content_is_one_property_are_bucketed_and_found_by_it() -> None:
    for number in range(3):
        sent = {"database_id": f"same{number}", "tfidf_trickery": "wonderful banana"}
        assert post("/p/reports", sent).status == 201
    assert post("/p/reports", {"database_id": "apart", "tfidf_trickery": "pear"}).status == 201
    found = get("/p/search?q=banana").json
    assert sorted(ids(found)) == ["same0", "same1", "same2"]
    buckets = {entry["buckets"]["1.0"]["id"] for entry in found}
    assert len(buckets) == 1
    assert get("/reports/apart").json["buckets"]["1.0"]["id"] not in buckets


def test_a_search_answers_a_bare_list_newest_first() -> None:
    posted("one", "read", "main", comment="first")
    posted("two", "paint", "main", comment="second", date="2016-03-01T00:00:00")
    answer = get(f"{PROJECT}/search?q=main")
    assert ids(answer.json) == ["two", "one"]
    entry = answer.json[1]
    assert entry["href"] == f"{HOST}/alan_parsons/reports/one"
    assert entry["buckets"]["4.0"]["bucket_id"] == "one"
    assert answer.headers["x-total-count"] == "2"
    assert ids(get(f"{PROJECT}/search?q=main first").json) == ["one"]
    assert ids(get(f"{PROJECT}/search?q=main&order=asc").json) == ["one", "two"]
    assert ids(get(f"{PROJECT}/search?q=main&sort=comment&order=desc").json) == ["two", "one"]
    assert ids(get(f"{PROJECT}/search?q=main&from=1&size=5").json) == ["one"]
    assert ids(get(f"{PROJECT}/search?since=2016-03-01").json) == ["two"]
    assert ids(get(f"{PROJECT}/search?until=2016-03-01").json) == ["two", "one"]


@pytest.mark.parametrize("path", ["/*/search", "/search"])
def test_a_star_searches_all_projects(path: str) -> None:
    posted("one", "read")
    posted("two", "read", project="other")
    assert sorted(ids(get(f"{path}?q=read").json)) == ["one", "two"]
    assert ids(get("/other/search?q=read").json) == ["two"]
    assert get("/nowhere/search?q=read").json == []


def test_a_syntax_error_is_a_400_that_points_at_the_column() -> None:
    answer = get(f"{PROJECT}/search?q=a AND )")
    assert (answer.status, answer.json["error"]) == (400, "invalid_query")
    assert answer.json["column"] == 7


def test_a_bad_order_is_a_400() -> None:
    assert get(f"{PROJECT}/search?order=up").json["property"] == "order"


def test_a_page_of_another_site_may_read_how_much_was_found() -> None:
    posted("one", "main")
    headers = get(f"{PROJECT}/search?q=main").headers
    assert headers["x-total-count"] == "1"
    assert "X-Total-Count" in headers["access-control-expose-headers"].split(",")


# --- projects ------------------------------------------------------------


def test_the_root_lists_projects_and_thresholds(services: Services, app: App) -> None:
    posted("one", "main")
    posted("two", "main", project="Äpfel & Birnen")
    body = get("/").json
    assert body["href"] == f"{HOST}/"
    assert body["projects"] == [
        {"name": "alan_parsons", "href": f"{HOST}/alan_parsons"},
        {"name": "Äpfel & Birnen", "href": f"{HOST}/%C3%84pfel%20&%20Birnen"},
    ]
    assert body["config"]["default_threshold"] == 4.0
    assert "3.5" in body["config"]["thresholds"]
    assert body["partycrasher"]["version"] == "0.2.0"
    assert "elastic" in body["partycrasher"]


@pytest.mark.parametrize("path", ["/config", "/alan_parsons/config"])
def test_the_configuration_is_the_default_threshold(path: str) -> None:
    assert get(path).json == {"default_threshold": 4.0}


def test_a_project_tells_where_its_resources_are(app: App) -> None:
    posted("one", "main")
    body = get(PROJECT).json
    assert (body["name"], body["href"]) == ("alan_parsons", f"{HOST}/alan_parsons")
    assert get("/nowhere").status == 404
    assert get(f"/{app.name}").status == 404  # an app of another door is no project


# --- links ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "base"),
    [
        ({"Host": "a.example:5000", "X_Forwarded_Proto": "http"}, "http://a.example:5000"),
        ({"X_Forwarded_Host": "b.example, proxy"}, "https://b.example"),
        ({"Forwarded": 'for=192.0.2.1;host="c.example:8443";proto=http'}, "http://c.example:8443"),
        ({"Forwarded": "for=1, host=inner", "X_Forwarded_Host": "d.example"}, "https://d.example"),
        ({"X_Forwarded_Host": "evil<script>", "Host": "e.example"}, "https://e.example"),
        ({"Host": 'x"; rm -rf'}, "https://localhost"),
        ({"Host": "[2001:db8::1]:80"}, "https://[2001:db8::1]:80"),
    ],
)
def test_links_name_the_host_that_the_client_reached(headers: dict[str, str], base: str) -> None:
    assert get("/", **headers).json["href"] == f"{base}/"


def test_reports_say_what_was_posted_to_the_dry_run_too() -> None:
    sent = report("one", "main")
    assert post("/reports/dry-run", sent).json["stacktrace"] == sent["stacktrace"]
