"""PartyCrasher's API: who may read, who may delete, and what deleting takes away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from app import app as application
from chalicelib import bootstrap
from chalicelib.bootstrap import Services
from chalicelib.bucketing import terms
from chalicelib.bucketing.index import Index
from chalicelib.projects import RESERVED
from chalicelib.records import App
from chalicelib.recount import recount_app
from tests.crashes import android_log, drain, receive
from tests.partycrasher_client import ask, get, post, posted, report

READS = [
    "/",
    "/mine",
    "/config",
    "/mine/config",
    "/reports/one",
    "/mine/reports/one",
    "/report/one",
    "/mine/reports/one/summary",
    "/reports/one/compare/one",
    "/buckets",
    "/mine/buckets/4.0",
    "/buckets/4.0/one",
    "/mine/search",
    "/*/search",
]


@pytest.fixture
def guarded(services: Services) -> Iterator[Services]:
    """A service that reads for tokens only, with a report in each of two projects."""
    chosen = replace(services, settings=replace(services.settings, partycrasher_read="token"))
    bootstrap.use(chosen)
    posted("one", "main", "run", project="mine")
    posted("two", "main", "run", project="theirs")
    yield chosen


def token_for(services: Services, project: str | None, scope: str = "read") -> str:
    app_id = services.projects.project(project).app_id if project else None
    return services.accounts.create_token(scope, app_id=app_id)


# --- reading -------------------------------------------------------------


@pytest.mark.parametrize("path", READS)
def test_reading_is_open_where_the_settings_say_so(services: Services, path: str) -> None:
    posted("one", "main", project="mine")
    assert get(path).status in {200, 302}


@pytest.mark.parametrize("path", READS)
def test_reading_needs_a_token_where_the_settings_say_so(guarded: Services, path: str) -> None:
    answer = get(path)
    assert (answer.status, answer.json["error"]) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert get(path, Authorization="Bearer wrong").status == 401
    upload = token_for(guarded, "mine", "upload")
    assert get(path, Authorization=f"Bearer {upload}").status == 403
    for token in (token_for(guarded, "mine"), token_for(guarded, None)):
        assert get(path, Authorization=f"Bearer {token}").status in {200, 302}
        assert get(path, X_HockeyAppToken=token).status in {200, 302}


@pytest.mark.parametrize(
    "path",
    [
        "/theirs",
        "/reports/two",
        "/theirs/reports/two",
        "/reports/two/summary",
        "/reports/one/compare/two",
        "/theirs/buckets/4.0/one",
    ],
)
def test_a_token_for_another_project_learns_no_more_than_that_there_is_nothing(
    guarded: Services, path: str
) -> None:
    assert get(path, X_HockeyAppToken=token_for(guarded, "mine")).status == 404


def test_lists_hold_what_the_token_opens(guarded: Services) -> None:
    mine, every = token_for(guarded, "mine"), token_for(guarded, None)
    assert [p["name"] for p in get("/", X_HockeyAppToken=mine).json["projects"]] == ["mine"]
    assert len(get("/", X_HockeyAppToken=every).json["projects"]) == 2
    assert len(get("/*/search?q=main", X_HockeyAppToken=mine).json) == 1
    assert get("/theirs/search?q=main", X_HockeyAppToken=mine).json == []
    assert get("/buckets/4.0/one", X_HockeyAppToken=mine).json["total"] == 1
    assert get("/buckets/4.0/one", X_HockeyAppToken=every).json["total"] == 2
    assert get("/theirs/buckets/4.0?since=2000", X_HockeyAppToken=mine).json["top_buckets"] == []


def test_a_match_that_the_caller_may_not_see_is_null(guarded: Services) -> None:
    mine, theirs, every = (token_for(guarded, name) for name in ("mine", "theirs", None))

    def match(token: str | None) -> object:
        headers = {"X_HockeyAppToken": token} if token else {}
        sent = report("three", "main", "run", project="theirs")
        return post("/reports/dry-run", sent, **headers).json["buckets"]["top_match"]

    assert match(None) is None
    assert match(theirs) is None  # it is in "mine"
    assert match(mine)["report_id"] == match(every)["report_id"] == "one"  # type: ignore[index]
    found = get("/reports/two", X_HockeyAppToken=theirs).json
    assert found["buckets"]["top_match"] is None


def test_uploading_needs_no_token(guarded: Services) -> None:
    assert post("/reports", report("new", "main")).status == 201
    assert post("/reports", report("new", "main")).status == 303


def test_apps_of_other_doors_are_no_projects(services: Services, app: App) -> None:
    receive(services, app, android_log("cause"))
    drain(services)
    posted("one", "main", project=app.name)
    assert len(get("/*/search").json) == 1
    assert len(get("/").json["projects"]) == 1
    (bucket,) = get("/buckets/4.0?since=2000").json["top_buckets"]
    assert bucket["id"] == "one"


def test_an_app_neither_tells_nor_takes_the_names_of_another_ones_frames(
    services: Services,
) -> None:
    def told(database_id: str, project: str, *names: str | None) -> None:
        frames = [
            {"function": name, "dylib": "libacme.so", "address": f"0x1{place}34"}
            for place, name in enumerate(names)
        ]
        sent = {"database_id": database_id, "project": project, "stacktrace": frames}
        assert post("/reports", sent).status == 201

    def functions(database_id: str) -> set[str]:
        summary = get(f"/reports/{database_id}/summary").json["summary"]
        return {entry["term"] for entry in summary}

    told("named", "theirs", "secret_a", "secret_b")
    told("nameless", "mine", None, None)
    assert functions("nameless") == {"libacme.so!1034", "libacme.so!1134"}
    assert get("/reports/nameless").json["buckets"]["1.0"]["id"] == "nameless"
    told("also nameless", "theirs", None, None, "main")
    assert functions("also nameless") == {"secret_a", "secret_b", "main"}


def test_first_path_parts_of_every_route_are_reserved() -> None:
    firsts = {path.split("/")[1] for path in application.routes if len(path) > 1}
    assert firsts - {"{project}"} <= RESERVED


# --- deleting ------------------------------------------------------------


def test_deleting_is_forbidden_unless_the_settings_allow_it(services: Services) -> None:
    posted("one", "main")
    answer = ask("DELETE", "/reports", X_HockeyAppToken=token_for(services, None, "admin"))
    assert answer.status == 403
    assert answer.json["error"] == "Deleting all reports not enabled"
    assert get("/reports/one").status == 200


@pytest.fixture
def deletable(services: Services) -> Iterator[Services]:
    chosen = replace(services, settings=replace(services.settings, allow_delete_all=1))
    bootstrap.use(chosen)
    yield chosen


def test_deleting_needs_an_admin_token_for_everything(deletable: Services) -> None:
    posted("one", "main", project="mine")
    assert ask("DELETE", "/reports").status == 401
    for token in (token_for(deletable, None, "write"), token_for(deletable, "mine", "admin")):
        assert ask("DELETE", "/reports", X_HockeyAppToken=token).status == 403
    assert get("/reports/one").status == 200


def test_deleting_takes_away_everything_of_the_projects_and_nothing_else(
    deletable: Services, app: App
) -> None:
    kept = receive(deletable, app, android_log("cause"))
    drain(deletable)
    deletable.processor.fold()
    before = _everything(deletable)
    for number in range(30):
        posted(f"r{number}", f"f{number % 5}", "main", project=f"p{number % 2}", version=number % 3)
    posted("empty", project="p0")
    posted("forced", "main", project="p1", force_bucket="mine")
    named = {"function": "read", "dylib": "libacme.so", "address": "0x1234"}
    assert post("/p0/reports", {"database_id": "named", "stacktrace": [named]}).status == 201
    admin = token_for(deletable, None, "admin")
    answer = ask("DELETE", "/reports", X_HockeyAppToken=admin)
    assert (answer.status, answer.json) == (200, {"status": "All reports deleted"})
    assert get("/reports/r1").status == 404
    assert get("/*/search").json == []
    assert get("/buckets/4.0/r0").status == 404
    left = _everything(deletable) - before
    assert {key.replace("|", "#").split("#")[0] for key in left} <= {
        "app",
        "appnumber",
        "apps",
        "projects",
        "token",
    }
    assert deletable.crashes.report(kept).app_id == app.app_id
    assert recount_app(deletable, app.app_id).differences == ()
    # and the next report begins anew
    body = posted("r1", "f1", "main", project="p1")
    assert body["buckets"]["top_match"] is None
    assert body["buckets"]["4.0"]["id"] == "r1"
    project = deletable.projects.project("p1")
    assert (recount_app(deletable, project.app_id).reports) == 1
    assert recount_app(deletable, project.app_id).differences == ()


def test_deleting_leaves_to_another_app_what_it_shares(deletable: Services, app: App) -> None:
    kept = receive(deletable, app, android_log("cause"))
    drain(deletable)
    deletable.processor.fold()
    functions = ["de.codenauts.hockeyapp.Cause.fail", "de.codenauts.hockeyapp.Main.run"]
    before = deletable.bucketing.rarity(functions)
    told = {"exception_type": "java.lang.IllegalStateException", "message": "broken cause"}
    for number in range(5):
        posted(f"r{number}", *functions, **told)
        posted(f"s{number}", "paint", "loop")
    assert deletable.bucketing.rarity(functions) != before
    admin = token_for(deletable, None, "admin")
    assert ask("DELETE", "/reports", X_HockeyAppToken=admin).status == 200
    assert deletable.bucketing.rarity(functions) == before
    report_of_app = deletable.crashes.report(kept)
    assert deletable.bucketing.assignments([report_of_app.fingerprint])
    again = receive(deletable, app, android_log("cause"))
    drain(deletable)
    assert deletable.crashes.report(again).group_id == report_of_app.group_id
    assert recount_app(deletable, app.app_id).differences == ()


def test_functions_stay_counted_while_apps_that_share_a_stack_come_and_go(
    deletable: Services, app: App
) -> None:
    functions = ["de.codenauts.hockeyapp.Cause.fail", "de.codenauts.hockeyapp.Main.run"]
    told = {"exception_type": "java.lang.IllegalStateException", "message": "broken cause"}
    asked = [terms.frame(functions[0])]

    def counted() -> set[int]:
        for each in deletable.accounts.apps():
            deletable.counts.fold_all(each.app_id)
        return {posting.reports for posting in Index(deletable.table).read(asked).values()}

    def erase(project: str) -> None:
        deletable.eraser.erase([deletable.projects.project(project).app_id])

    posted("one", *functions, **told, project="first")  # brings the stack
    posted("two", *functions, **told, project="second")
    kept = receive(deletable, app, android_log("cause"))
    drain(deletable)
    assert deletable.reports.report("one").stored.fingerprint == (
        deletable.crashes.report(kept).fingerprint
    )
    assert counted() == {3}
    erase("first")
    assert counted() == {2}
    erase("second")
    assert counted() == {1}
    posted("three", *functions, **told, project="first")
    assert counted() == {2}
    seen = get("/buckets/4.0/one").json["first_seen"]
    assert seen == "2016-02-29T10:00:00Z"
    deletable.eraser.erase([app.app_id])
    erase("first")
    assert counted() == {0}
    posted("four", *functions, **told, project="second")  # brings the stack anew
    assert counted() == {1}


def test_deleting_a_forced_report_leaves_none_of_its_functions(deletable: Services) -> None:
    posted("one", "seldom", project="first")
    posted("two", "seldom", project="second", force_bucket="mine")
    for project in ("first", "second"):
        assert deletable.eraser.erase([deletable.projects.project(project).app_id])
    assert not [key for key in _everything(deletable) if key.startswith("term#")]


def test_deleting_that_takes_too_long_goes_on_at_the_next_try(deletable: Services) -> None:
    posted("one", "main", project="mine")
    project = deletable.projects.project("mine")
    assert not deletable.eraser.erase([project.app_id], within_s=-1)
    assert deletable.eraser.erase([project.app_id])
    assert get("/reports/one").status == 404


def _everything(services: Services) -> set[str]:
    """The partition key of every item and the key of every payload."""
    drain(services)
    rows = services.table._database.reader().execute("SELECT pk, sk FROM items")  # type: ignore[attr-defined]
    return {f"{pk}|{sk}" for pk, sk in rows} | set(services.blobs.keys(""))
