"""The WSGI layer behaves towards the app as API Gateway does, and answers whatever comes."""

from __future__ import annotations

import gzip
import io
import json
import logging
from typing import Any

import pytest
from chalice.app import CORSConfig, Response
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.handlers.application import Application
from chalicelib.handlers.file_response import FileResponse
from infra.wsgi import WsgiApp

LIMIT = 1000


def _app() -> Application:
    app = Application("under-test", configure_logs=False)
    any_type = ["*/*"]

    def seen(**variables: str) -> Response:
        request = app.current_request
        assert request is not None
        event = request.to_original_event()
        told = {
            "route": event["resource"],
            "variables": variables,
            "query": event["multiValueQueryStringParameters"],
            "last": event["queryStringParameters"],
            "headers": dict(request.headers),
            "body": request.raw_body.decode("latin-1"),
            "method": request.method,
        }
        return Response(json.dumps(told), headers={"Content-Type": "application/json"})

    for path in ("/apps", "/apps/{app_id}", "/apps/{app_id}/crashes/{crash_id}"):
        app.route(path, methods=["GET"], cors=True)(seen)
    app.route("/apps/mine", methods=["GET"], name="mine")(lambda: {"route": "mine"})
    app.route("/apps/{app_id}/crashes", methods=["POST"], content_types=any_type)(seen)
    cors = CORSConfig(allow_origin="https://example.org")
    app.route("/shared", methods=["GET", "PUT"], cors=cors, name="shared")(lambda: {})

    @app.route("/answers/{kind}", methods=["GET"])
    def answers(kind: str) -> Response:
        if kind == "bytes":
            return FileResponse(b"\0\xff", "a.bin")
        if kind == "cookies":
            return Response("", headers={"Set-Cookie": ["a=1", "b=2"]})
        if kind == "odd":
            return Response("é", headers={"X-Odd": "a\rb é", "Content-Length": "999"})
        raise RuntimeError("a bug")

    return app


class Client:
    def __init__(self) -> None:
        self.application = WsgiApp(_app(), LIMIT)

    def __call__(
        self, method: str, path: str, body: bytes | io.BytesIO = b"", **environ: Any
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        path_info, _, query = path.partition("?")
        told: list[Any] = []
        sent = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path_info,
            "QUERY_STRING": query,
            "wsgi.input": body if isinstance(body, io.BytesIO) else io.BytesIO(body),
            "CONTENT_LENGTH": str(len(body)) if isinstance(body, bytes) else "",
            **environ,
        }
        parts = self.application(sent, lambda status, headers: told.extend((status, headers)))
        return int(told[0].split()[0]), told[1], b"".join(parts)

    def json(self, method: str, path: str, body: bytes = b"", **environ: Any) -> Any:
        status, _, answer = self(method, path, body, **environ)
        assert status == 200, answer
        return json.loads(answer)

    def refusal(self, method: str, path: str, body: Any = b"", **environ: Any) -> tuple[int, str]:
        status, _, answer = self(method, path, body, **environ)
        return status, json.loads(answer)["message"]


client = Client()


# --- the resource tree ---------------------------------------------------


def test_a_fixed_part_wins_over_a_variable() -> None:
    assert client.json("GET", "/apps/mine") == {"route": "mine"}
    assert client.json("GET", "/apps/yours")["variables"] == {"app_id": "yours"}


def test_a_path_below_a_fixed_part_may_still_be_a_variables() -> None:
    found = client.json("GET", "/apps/mine/crashes/7")
    assert found["variables"] == {"app_id": "mine", "crash_id": "7"}


def test_a_slash_at_the_end_does_not_matter() -> None:
    assert client.json("GET", "/apps/")["route"] == "/apps"


@pytest.mark.parametrize(
    ("raw", "value"), [("a%2Fb", "a/b"), ("%C3%A9", "é"), ("x+y", "x+y"), ("%2541", "%41")]
)
def test_variables_are_percent_decoded_once(raw: str, value: str) -> None:
    found = client.json("GET", "/ignored", RAW_URI=f"/apps/{raw}?x=1")
    assert found["variables"] == {"app_id": value}


@pytest.mark.parametrize("value", ["%41", "é", "a b", "%zz"])
def test_a_path_that_the_server_has_decoded_is_not_decoded_again(value: str) -> None:
    decoded = f"/apps/{value}".encode().decode("latin-1")
    assert client.json("GET", decoded)["variables"] == {"app_id": value}


def test_an_unknown_path_is_a_404_that_names_it() -> None:
    assert client.refusal("GET", "/nothing/here") == (404, "there is nothing at /nothing/here")
    assert client.refusal("GET", "/apps//crashes")[0] == 404


def test_an_unknown_method_is_a_405_that_names_the_known_ones() -> None:
    status, headers, body = client("DELETE", "/shared")
    assert (status, json.loads(body)["message"]) == (405, "use GET, PUT")
    assert ("Allow", "GET, PUT") in headers


def test_head_has_the_headers_of_get_and_no_body() -> None:
    status, headers, body = client("HEAD", "/apps/mine", HTTP_X_REQUEST_ID="mine")
    got = client("GET", "/apps/mine", HTTP_X_REQUEST_ID="mine")
    assert (status, headers, body) == (200, got[1], b"")


def test_preflight_is_answered_as_api_gateway_does() -> None:
    status, headers, body = client("OPTIONS", "/shared")
    assert (status, body) == (200, b"")
    assert dict(headers)["Access-Control-Allow-Origin"] == "https://example.org"
    assert dict(headers)["Access-Control-Allow-Methods"] == "GET,OPTIONS,PUT"
    assert client("OPTIONS", "/apps/mine")[0] == 405


# --- what the app sees ---------------------------------------------------


def test_query_keeps_duplicates_and_blank_values() -> None:
    seen = client.json("GET", "/apps?a=1&a=2&b=&c=%C3%A9+x")
    assert seen["query"] == {"a": ["1", "2"], "b": [""], "c": ["é x"]}
    assert seen["last"]["a"] == "2"
    assert client.json("GET", "/apps")["query"] is None


def test_a_query_of_too_many_fields_is_refused() -> None:
    told = client.refusal("GET", "/apps?" + "a=1&" * 2000)
    assert told == (400, "the query has more than 1000 fields")


def test_headers_arrive_under_their_names() -> None:
    seen = client.json("GET", "/apps", HTTP_X_HOCKEYAPPTOKEN="t", CONTENT_TYPE="application/json")
    assert seen["headers"]["x-hockeyapptoken"] == "t"
    assert seen["headers"]["content-type"] == "application/json"
    assert seen["headers"]["x-forwarded-proto"] == "http"


def test_a_body_arrives_as_it_was_sent_even_compressed() -> None:
    packed = gzip.compress(b"x" * 5000)
    seen = client.json("POST", "/apps/a/crashes", packed, HTTP_CONTENT_ENCODING="gzip")
    assert seen["body"].encode("latin-1") == packed


def test_a_chunked_body_is_read_to_its_end() -> None:
    body = io.BytesIO(b"x" * LIMIT)
    status, _, answer = client("POST", "/apps/a/crashes", body, HTTP_TRANSFER_ENCODING="chunked")
    assert (status, len(json.loads(answer)["body"])) == (200, LIMIT)


# --- bounds --------------------------------------------------------------


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_above_the_limit_is_a_413_that_says_the_limit(chunked: bool) -> None:
    body = b"x" * (LIMIT + 1)
    told = {"HTTP_TRANSFER_ENCODING": "chunked"} if chunked else {}
    source = io.BytesIO(body) if chunked else body
    status, message = client.refusal("POST", "/apps/a/crashes", source, **told)
    assert (status, message) == (413, "the body is larger than 1000 bytes, the limit")


def test_a_refused_body_is_read_so_that_its_sender_comes_to_the_answer() -> None:
    body = io.BytesIO(b"x" * 5000)
    client("POST", "/apps/a/crashes", body, CONTENT_LENGTH="5000")
    assert body.read() == b""


def test_a_sender_who_waits_for_leave_is_refused_without_reading() -> None:
    body = io.BytesIO(b"x" * 5000)
    told = {"CONTENT_LENGTH": "5000", "HTTP_EXPECT": "100-continue"}
    assert client("POST", "/apps/a/crashes", body, **told)[0] == 413
    assert body.tell() == 0


def test_half_a_body_is_not_taken_for_a_whole_one() -> None:
    told = client.refusal("POST", "/apps/a/crashes", io.BytesIO(b"half"), CONTENT_LENGTH="8")
    assert told == (400, "the body ends after 4 of 8 bytes")


@pytest.mark.parametrize("length", ["-1", "1e3", "²", "9" * 30])
def test_a_length_that_is_no_number_is_a_400(length: str) -> None:
    assert client("POST", "/apps/a/crashes", b"", CONTENT_LENGTH=length)[0] == 400


# --- answers -------------------------------------------------------------


def test_a_binary_answer_arrives_as_bytes() -> None:
    status, headers, body = client("GET", "/answers/bytes", HTTP_ACCEPT="text/html")
    assert (status, body) == (200, b"\0\xff")
    assert dict(headers)["Content-Length"] == "2"


def test_a_header_with_several_values_is_sent_several_times() -> None:
    _, headers, _ = client("GET", "/answers/cookies")
    assert [value for name, value in headers if name == "Set-Cookie"] == ["a=1", "b=2"]


def test_no_answer_breaks_the_headers_or_their_length() -> None:
    _, headers, body = client("GET", "/answers/odd")
    assert ("X-Odd", "a b ?") in headers
    assert [value for name, value in headers if name == "Content-Length"] == [str(len(body))]


def test_a_bug_is_a_500_that_tells_the_client_nothing() -> None:
    status, _, body = client("GET", "/answers/bug")
    assert (status, b"a bug" in body) == (500, False)


def test_a_bug_below_the_app_is_logged_and_answered(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken = Client()

    def fail(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(broken.application, "_router", type("Broken", (), {"find": fail})())
    with caplog.at_level(logging.ERROR):
        assert broken.refusal("GET", "/apps") == (500, "internal error")
    assert "broken" in caplog.text


def _anything() -> st.SearchStrategy[str]:
    """Bytes of the wire, as WSGI hands them over."""
    return st.binary(max_size=40).map(lambda raw: raw.decode("latin-1"))


@settings(max_examples=300, deadline=None)
@given(
    method=st.sampled_from(["GET", "HEAD", "POST", "OPTIONS", "PUT", "FOO", ""]),
    path=st.one_of(_anything(), _anything().map(lambda tail: f"/apps/{tail}")),
    query=_anything(),
    body=st.binary(max_size=1200),
    headers=st.dictionaries(
        st.sampled_from(["CONTENT_TYPE", "CONTENT_LENGTH", "HTTP_CONTENT_ENCODING", "HTTP_ACCEPT"]),
        _anything(),
    ),
)
def test_no_request_makes_a_500(
    method: str, path: str, query: str, body: bytes, headers: dict[str, str]
) -> None:
    status, _, _ = client(method, path, body, **{"QUERY_STRING": query, **headers})
    assert status < 500


@pytest.mark.parametrize("path", ["/apps/mine", "/nowhere", "/answers/bug"])
def test_every_answer_names_its_request(path: str) -> None:
    _, headers, _ = client("GET", path, HTTP_X_REQUEST_ID="from-the-proxy:7")
    assert ("X-Request-Id", "from-the-proxy:7") in headers


@pytest.mark.parametrize("told", ["", "a\nline", "x" * 65, "{}", "é"])
def test_an_id_that_does_not_fit_into_a_log_line_is_replaced(told: str) -> None:
    ids = {
        dict(client("GET", "/apps/mine", HTTP_X_REQUEST_ID=told)[1])["X-Request-Id"] for _ in "12"
    }
    assert told not in ids
    assert len(ids) == 2
