"""Nothing that a stranger sends makes the service fail: no request ends in a 500."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app import app as application
from chalicelib import clock, keys
from chalicelib.alerts.model import Alert, AlertKind
from chalicelib.alerts.webhooks import Webhook
from chalicelib.bootstrap import Services
from chalicelib.job_ids import job_id
from chalicelib.queries.paging import Paging
from chalicelib.records import App
from chalicelib.storage.embedded.blobs import EmbeddedBlobs
from chalicelib.storage.ports import Put
from infra.signed_links import SignedLinks
from infra.wsgi import WsgiApp
from tests.crashes import ANDROID_EXAMPLE, drain, receive
from tests.formats.test_crash_archive import archive
from tests.handlers.test_omaha_symbols import SYM
from tests.minidump_forms import DUMP
from tests.omaha_client import basic, posted
from tests.wsgi_client import multipart, request

_ROUTES = sorted(
    (path, method) for path, methods in application.routes.items() for method in methods
)
_XML = (
    "<crashes><crash><bundleidentifier>de.codenauts.hockeyapp</bundleidentifier>"
    f"<log><![CDATA[{ANDROID_EXAMPLE}]]></log></crash></crashes>"
).encode()
_REPORTS = json.dumps(
    [
        {
            "database_id": "posted",
            "project": "p",
            "date": "2016-02-29T10:00:00",
            "Signal": 11,
            "stacktrace": [{"function": "f", "address": "0xff", "file": "a.c:3", "fileline": "1"}],
            "threads": [{"stacktrace": [{"function": None}]}],
            "odd": [{"x": [1.5, None, True, "\ud800"]}],
        }
    ]
).encode()
_COMPLETE = b'{ symbol_id: {debug_file: "a", debug_id: "b" }, symbol_upload_type: "BREAKPAD" }'
_UPLOAD = b'{"filename": "a.dmp", "size": 9, "annotations": {"ver": "1"}}'
_WEBHOOK = b'{"url": "https://127.0.0.1/", "kinds": ["spike"], "active": false}'
_PARAMETERS = (
    *("page", "per_page", "sort", "order", "format", "q", "symbolicated"),
    *("since", "until", "from", "size"),
    *("page_size", "comment", "expires", "signature"),
    *("query", "start_date", "end_date", "status", "ticket_url", "text", "symbolication"),
    *("sentry_client", "bundle_version", "bundle_short_version", "product", "version"),
    *("id", "log_id", "date", "after", "identifier", "in", "state", "alert_id"),
)
_MANY = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture
def known(services: Services, app: App) -> Iterator[dict[str, str]]:
    """Values that path variables may have, and a token that opens everything."""
    report_id = receive(services, app, ANDROID_EXAMPLE.encode())
    drain(services)
    report = services.crashes.report(report_id)
    filed = json.dumps({"database_id": "known", "project": "p", "stacktrace": [{}]}).encode()
    assert request("POST", "/reports", filed).status == 201
    archived = posted(archive([("trace.log", b"x")]), appid=app.app_id)
    drain(services)
    services.exports.start(report)
    (added,) = services.symbols.add(SYM, app_id=None, filename="App.sym")
    place = services.symbol_uploads.open(app.app_id)
    at = clock.to_stored(clock.now())
    services.alerts.open(Alert(app.app_id, AlertKind.SPIKE, "app", "spike:1", at, "many crashes"))
    (alert,) = services.alerts.list(app.app_id, open_only=True, paging=Paging()).entries
    for owner in (app.app_id, None):  # where no ping gets to
        hook = Webhook(1, "http://127.0.0.1:9/", at, owner)
        services.table.write([Put(hook.item())])
    services.symbol_uploads.put(app.app_id, place, SYM)
    yield {
        "project": f"p {app.app_id} {app.number}",
        "report_id": "known",
        "other_id": "known",
        "threshold": "4.0",
        "bucket_id": "known",
        "app_id": app.app_id,
        "crash_id": f"{report_id} {archived}",  # one or the other
        "name": "archive attachment0",
        "symbol_id": str(added.file.file_id),
        "version_id": str(report.version_id),
        "alert_id": str(alert.alert_id),
        "webhook_id": "1",
        "group_id": str(report.group_id),
        "crash_identifier": str(report.group_id),
        "job_id": f"{job_id('export', report_id)} {job_id('occurrences', report.group_id)}",
        "upload_id": services.uploads.begin(app.app_id, None, {}).upload_id,
        "action": "uploads:create",
        "debug_file": added.file.debug_file,
        "build": f"{added.file.debug_id}:checkStatus",
        "upload": f"{place} {place}:complete",
        "token": services.accounts.create_token("admin"),
    }
    accepted = drain(services)  # and what was accepted can be processed, or is a dead letter
    dead = {letter.report_id for letter in services.crashes.dead_letters()}
    assert all(i in dead or services.table.get(keys.report(i)) for i in accepted)


def wild_text() -> st.SearchStrategy[str]:
    """Bytes of the wire, as WSGI hands them over."""
    return st.binary(max_size=30).map(lambda raw: raw.decode("latin-1"))


def numbers() -> st.SearchStrategy[str]:
    return st.sampled_from(["0", "-1", "1e9", "٣", "9" * 20, "9" * 5000, "NaN", "1.5", "", "0x1"])


def variables() -> st.SearchStrategy[str | None]:
    """None: the value that is there."""
    return st.none() | numbers() | wild_text()


@st.composite
def damaged(draw: st.DrawFn, sound: bytes) -> bytes:
    """The sound bytes with some cut out, put in or changed."""
    body = bytearray(sound)
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(body)))
        length = draw(st.integers(0, 60))
        body[at : at + length] = draw(st.binary(max_size=60))
    return bytes(body)


def bodies() -> st.SearchStrategy[tuple[bytes, dict[str, str]]]:
    """Bodies with their content type: forms, XML, and anything at all, sound or damaged."""
    fields = {"userID": "u", "contact": "c", "page": "1", "status": "1"}
    form, form_type = multipart(fields, {"log": ANDROID_EXAMPLE.encode(), "attachment0": b"\0"})
    raw, raw_type = multipart({"raw": ANDROID_EXAMPLE, "sdk": "s"})
    posted, posted_type = multipart({"xmlstring": _XML})
    dump, dump_type = multipart({"appid": "a", "userid": "u"}, {"upload_file_minidump": DUMP})
    packed, packed_type = multipart({"appid": "a"}, {"upload_file_minidump": archive()})
    symbols, symbols_type = multipart({"appid": ""}, {"file": SYM})
    details, details_type = multipart({"summary": "s", "description": "d"})
    mapping, mapping_type = multipart(
        {"bundle_version": "1"}, {"dsym": b"a.B -> a.a:\n    int f -> a\n", "symbol_file": SYM}
    )
    sentry, sentry_type = multipart(
        {"sentry[release]": "a@1", "sentry": "{}"},
        {"upload_file_minidump": DUMP, "__sentry-event": b"\x81\xa7release\xa3a@1"},
    )
    kinds = [
        (dump, dump_type),
        (packed, packed_type),
        (symbols, symbols_type),
        (details, details_type),
        (mapping, mapping_type),
        (sentry, sentry_type),
        (SYM, {"Content-Type": "application/octet-stream"}),
        (DUMP, {"Content-Type": "application/x-dmp"}),
        (_COMPLETE, {"Content-Type": "application/son"}),
        (_UPLOAD, {"Content-Type": "application/json"}),
        (_WEBHOOK, {"Content-Type": "application/json"}),
        (form, form_type),
        (raw, raw_type),
        (posted, posted_type),
        (_XML, {"Content-Type": "application/xml"}),
        (b"raw=x&userID=%FF", {"Content-Type": "application/x-www-form-urlencoded"}),
        (b'{"a": 1}', {"Content-Type": "application/json"}),
        (b'{"email": "jo@x", "password": "open sesame"}', {"Content-Type": "application/json"}),
        (_REPORTS, {"Content-Type": "application/json"}),
        (_REPORTS[1:-1], {"Content-Type": "application/json"}),
    ]
    sound = st.sampled_from(kinds)
    return st.one_of(
        sound,
        sound.flatmap(lambda kind: damaged(kind[0]).map(lambda body: (body, kind[1]))),
        st.tuples(st.binary(max_size=300), st.builds(dict, st.just({}))),
        st.tuples(st.binary(max_size=100), wild_text().map(lambda text: {"Content-Type": text})),
        sound.map(lambda kind: (gzip.compress(kind[0]), kind[1] | {"Content-Encoding": "gzip"})),
        sound.map(lambda kind: (gzip.compress(kind[0]), kind[1])),
        sound.map(lambda kind: (gzip.compress(kind[0])[:-9], {"Content-Encoding": "gzip"})),
    )


def test_every_variable_of_a_path_has_a_value_that_leads_somewhere(known: dict[str, str]) -> None:
    variables = {name for path, _ in _ROUTES for name in re.findall(r"{(\w+)}", path)}
    assert variables <= set(known)


@_MANY
@given(data=st.data())
def test_no_request_to_any_route_makes_a_500(known: dict[str, str], data: st.DataObject) -> None:
    path, method = data.draw(st.sampled_from(_ROUTES))
    for name, value in known.items():
        given_value = data.draw(variables())
        value = data.draw(st.sampled_from(value.split()))  # noqa: PLW2901
        path = path.replace(f"{{{name}}}", value if given_value is None else given_value)
    query = data.draw(
        st.dictionaries(
            st.sampled_from(_PARAMETERS),
            numbers()
            | st.sampled_from(["log", "json", "text", "class", "desc", "50"])
            | st.sampled_from(["2016", "2016-02-30", "3-days-ago", "a:(b", "[1 TO 2]", "date"]),
            max_size=4,
        )
    )
    body, headers = data.draw(bodies())
    tokens = [{}, {"X-HockeyAppToken": known["token"]}, {"Authorization": "Bearer x"}]
    tokens += [basic("", known["token"]), basic("jo@x", "open sesame")]
    if data.draw(st.booleans()):
        query["key"] = data.draw(st.sampled_from([known["token"], "x", "%C3%BF", ""]))
    tokens += [{"X-HockeyAppToken": "ÿ\0"}, {"Authorization": "Basic é"}, {"Accept": "*/*"}]
    headers |= data.draw(st.sampled_from(tokens))
    path += "?" + "&".join(f"{name}={value}" for name, value in query.items())
    wire_path = path.encode("utf-8", "replace").decode("latin-1")
    answer = request(method, wire_path, body, headers, chunked=data.draw(st.booleans()))
    assert answer.status < 500, answer.body


@_MANY
@given(data=st.data())
def test_nothing_sent_to_a_signed_link_makes_a_500(
    services: Services, app: App, data: st.DataObject
) -> None:
    blobs = services.blobs
    assert isinstance(blobs, EmbeddedBlobs)
    served = WsgiApp(application, 1000, SignedLinks(blobs))
    form = services.uploads.begin(app.app_id, 1000, {}).form
    fields = dict(form.fields)
    for name in data.draw(st.lists(st.sampled_from(sorted(fields)), max_size=1)):
        fields[name] = data.draw(numbers() | st.text(max_size=9))
    body, headers = multipart(fields, {"file": DUMP})
    body = data.draw(st.just(body) | damaged(body) | st.binary(max_size=200))
    blobs.put("raw/any", b"x")
    link = blobs.signed_download("raw/any", expires_in_s=60, filename="a\r\nX: y")
    query = data.draw(st.just(link.partition("?")[2]) | wild_text())
    method, path = data.draw(
        st.sampled_from(
            [("POST", form.url), ("GET", "/blobs/download"), ("HEAD", "/blobs/download"),
             ("PUT", form.url), ("GET", "/blobs/x/../y"), ("POST", "/blobs/download")]
        )
    )  # fmt: skip
    answer = request(
        method,
        f"{path}?{query}",
        body,
        data.draw(st.sampled_from([headers, {}, {"Content-Type": "multipart/form-data"}])),
        chunked=data.draw(st.booleans()),
        application=served,
    )
    assert answer.status < 500, answer.body
