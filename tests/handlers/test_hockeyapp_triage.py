"""Status, ticket and annotation of a group over HockeyApp's API."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

import pytest

from chalicelib.bootstrap import Services
from chalicelib.records import App
from tests.crashes import android_log, drain, receive
from tests.wsgi_client import Answer, get, multipart, request

TICKET = "https://github.com/bitstadium/HockeyApp/issues/15"  # the document's


@pytest.fixture
def token(services: Services) -> str:
    return services.accounts.create_token("write")


@pytest.fixture
def paths(services: Services, app: App) -> dict[str, str]:
    """A group as the path of its app, of its version, and of a version it did not crash in."""
    ids = [receive(services, app, android_log(*c)) for c in (("a", "1"), ("b", "2"))]
    drain(services)
    one, two = (services.crashes.report(report_id) for report_id in ids)
    base = f"/api/2/apps/{app.app_id}"
    return {
        "app": f"{base}/crash_reasons/{one.group_id}",
        "version": f"{base}/app_versions/{one.version_id}/crash_reasons/{one.group_id}",
        "elsewhere": f"{base}/app_versions/{two.version_id}/crash_reasons/{one.group_id}",
    }


def post(path: str, token: str, how: str = "multipart", **fields: str) -> Answer:
    known = {"X-HockeyAppToken": token}
    if how == "query":
        headers = known | {"Content-Type": "application/json"}  # as libhockey posts
        return request("POST", f"{path}?{urlencode(fields)}", b"{}", headers)
    if how == "form":
        headers = known | {"Content-Type": "application/x-www-form-urlencoded"}
        return request("POST", path, urlencode(fields).encode(), headers)
    body, headers = multipart(fields)
    return request("POST", path, body, headers | known)


def shown(path: str, token: str) -> dict[str, Any]:
    told: dict[str, Any] = get(path, token).json["crash_reason"]
    return told


# --- status and ticket ---


@pytest.mark.parametrize("how", ["multipart", "form", "query"])
@pytest.mark.parametrize("of", ["app", "version"])
def test_the_documents_request_resolves_a_group_and_gives_it_a_ticket(
    paths: dict[str, str], token: str, of: str, how: str
) -> None:
    answer = post(paths[of], token, how, status="1", ticket_url=TICKET)
    assert (answer.status, answer.json["status"]) == (200, "success")
    told = answer.json["crash_reason"]
    assert (told["status"], told["fixed"], told["ticket_url"]) == (1, True, TICKET)
    assert told == shown(paths[of], token)
    assert shown(paths["app"], token)["status"] == 1


@pytest.mark.parametrize(("status", "fixed"), [("0", False), ("1", True), ("2", False)])
def test_each_status_is_kept_and_the_ticket_stays(
    paths: dict[str, str], token: str, status: str, fixed: bool
) -> None:
    post(paths["app"], token, ticket_url=TICKET)
    assert post(paths["app"], token, status=status).status == 200
    told = shown(paths["app"], token)
    assert (told["status"], told["fixed"], told["ticket_url"]) == (int(status), fixed, TICKET)
    assert (told["resolved_at"] is None) is not fixed


def test_an_empty_ticket_takes_it_away_and_nothing_changes_nothing(
    paths: dict[str, str], token: str
) -> None:
    before = post(paths["app"], token, status="2", ticket_url=TICKET).json["crash_reason"]
    assert post(paths["app"], token).json["crash_reason"] == before
    assert post(paths["app"], token, ticket_url="").json["crash_reason"]["ticket_url"] is None
    assert shown(paths["app"], token)["status"] == 2


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("status", value) for value in ("3", "-1", "resolved", "", "1.0", "٢")),
        *(
            ("ticket_url", value)
            for value in (
                "HockeyApp#15", "javascript:alert(1)", "ftp://a.example/1", "http://",
                "https:///issues/15", "http://a.example/a b", "http://a.example/\n", "//a.example",
                "http://a.example:99999/", "http://[::1", "http://a.example/" + "x" * 2000,
            )
        ),
    ],
)  # fmt: skip
def test_wrong_values_are_422_naming_the_field_and_change_nothing(
    paths: dict[str, str], token: str, field: str, value: str
) -> None:
    before = shown(paths["app"], token)
    other = {"status": "1"} if field == "ticket_url" else {"ticket_url": TICKET}
    value = value.replace("\n", "\nx")  # what is around it is stripped
    answer = post(paths["app"], token, "query", **{field: value}, **other)
    assert (answer.status, list(answer.json["errors"])) == (422, [field])
    assert shown(paths["app"], token) == before


def test_a_group_is_listed_with_its_status_everywhere(paths: dict[str, str], token: str) -> None:
    post(paths["app"], token, status="2")
    for path in (paths["app"], paths["version"]):
        listed = get(path.rpartition("/")[0], token).json["crash_reasons"]
        group_id = int(path.rpartition("/")[2])
        assert [g["status"] for g in listed if g["id"] == group_id] == [2]


# --- annotations ---


@pytest.mark.parametrize("of", ["app", "version"])
def test_an_annotation_is_set_replaced_and_taken_away(
    paths: dict[str, str], token: str, of: str
) -> None:
    path = f"{paths[of]}/crash_annotations"
    nothing = {"status": "empty", "crash_annotations": None}
    assert get(path, token).json == nothing
    first = post(path, token, "query", text="seen on Pixel only ☃").json
    (noted,) = first["crash_annotations"]
    assert first["status"] == "success"
    assert noted == {
        "id": noted["id"],
        "crash_reason_id": int(paths["app"].rpartition("/")[2]),
        "text": "seen on Pixel only ☃",
        "created_at": noted["created_at"],
        "updated_at": noted["created_at"],
    }
    assert get(path, token).json == first
    (again,) = post(path, token, "form", text="fixed in 1.2").json["crash_annotations"]
    assert (again["id"], again["created_at"]) == (noted["id"], noted["created_at"])
    assert again["text"] == "fixed in 1.2"
    assert again["updated_at"] >= noted["updated_at"]
    (kept,) = post(path, token).json["crash_annotations"]  # `text` is optional
    assert kept == again
    deleted = request("DELETE", path, headers={"X-HockeyAppToken": token})
    assert (deleted.status, deleted.json["status"]) == (200, "success")
    assert get(path, token).json == nothing
    assert request("DELETE", path, headers={"X-HockeyAppToken": token}).status == 200


def test_an_empty_annotation_is_none(paths: dict[str, str], token: str) -> None:
    path = f"{paths['app']}/crash_annotations"
    post(path, token, text="x")
    assert post(path, token, text="  ").json == {"status": "empty", "crash_annotations": None}


def test_an_annotation_may_be_long_but_not_endless(paths: dict[str, str], token: str) -> None:
    path = f"{paths['app']}/crash_annotations"
    longest = "ü" * 50_000
    assert post(path, token, text=longest).json["crash_annotations"][0]["text"] == longest
    answer = post(path, token, text=longest + "x")
    assert (answer.status, list(answer.json["errors"])) == (422, ["text"])


# --- who may ---


@pytest.mark.parametrize(
    ("method", "tail", "scope"),
    [
        ("POST", "?status=1", "write"),
        ("GET", "/crash_annotations", "read"),
        ("POST", "/crash_annotations?text=x", "write"),
        ("DELETE", "/crash_annotations", "write"),
    ],
)
@pytest.mark.parametrize("of", ["app", "version"])
def test_each_needs_a_token_for_this_app_of_the_scope(
    services: Services, app: App, paths: dict[str, str], of: str, method: str, tail: str, scope: str
) -> None:
    def asked(token: str | None) -> Answer:
        headers = {"X-HockeyAppToken": token} if token else {}
        return request(method, paths[of] + tail, headers=headers)

    make = services.accounts.create_token
    other = services.accounts.create_app("Other")
    assert asked(None).status == 401
    assert asked("0" * 32).json == {"errors": {"credentials": ["api token invalid"]}}
    assert asked(make("admin", app_id=other.app_id)).json == {"errors": {"app": ["not found"]}}
    for small in ("upload", *(["read"] if scope == "write" else [])):
        answer = asked(make(small, app_id=app.app_id))
        assert (answer.status, list(answer.json["errors"])) == (403, ["credentials"])
    assert asked(make(scope, app_id=app.app_id)).status == 200


@pytest.mark.parametrize("tail", ["", "/crash_annotations"])
def test_groups_of_others_and_of_no_one_are_404(
    services: Services, app: App, paths: dict[str, str], token: str, tail: str
) -> None:
    other = services.accounts.create_app("Other")
    wrong = (
        paths["app"].replace(app.app_id, other.app_id),
        paths["version"].replace(app.app_id, other.app_id),
        paths["elsewhere"],
        f"{paths['app']}1",
        f"{paths['app'].rpartition('/')[0]}/{quote('no number')}",
    )
    for path in wrong:
        assert post(f"{path}{tail}", token, "query", status="1", text="x").status == 404, path
    assert shown(paths["app"], token)["status"] == 0
