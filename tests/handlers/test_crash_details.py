"""The form in which users describe their crashes."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from html.parser import HTMLParser
from urllib.parse import urlencode

import pytest

from chalicelib import bootstrap, keys
from chalicelib.bootstrap import Services
from chalicelib.records import App
from tests.crashes import ANDROID_EXAMPLE, drain, receive
from tests.formats.test_crash_archive import archive
from tests.omaha_client import ask, posted
from tests.wsgi_client import Answer, get, post_form, request

PATH = "/service/crash_details/"
THANKS = "/service/crash_details/thanks"
URLENCODED = {"Content-Type": "application/x-www-form-urlencoded"}


class Page(HTMLParser):
    """What a browser would see: elements with their attributes, and the text in them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, Mapping[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self._inside = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.texts[self._inside] = self.texts.get(self._inside, "") + data

    def field(self, name: str) -> Mapping[str, str | None]:
        return next(attributes for _, attributes in self.elements if attributes.get("name") == name)


def send(report_id: object, **fields: str) -> Answer:
    return request("POST", f"{PATH}{report_id}", urlencode(fields).encode(), URLENCODED)


def test_the_form_has_a_label_for_each_field_and_needs_no_script(services: Services) -> None:
    answer = get(f"{PATH}{posted()}")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    page = Page(answer.text)
    labelled = {a["for"] for tag, a in page.elements if tag == "label"}
    assert {page.field(name)["id"] for name in ("summary", "description")} == labelled
    assert page.field("summary")["maxlength"] == "500"
    assert "required" in page.field("summary")
    assert "script" not in {tag for tag, _ in page.elements}
    assert ("form", {"method": "post", "action": "?"}) in page.elements


@pytest.mark.parametrize(
    "comment", ["Crash comment", "</textarea><script>alert(1)</script>", "é ü"]
)
def test_a_comment_is_what_the_description_begins_with(services: Services, comment: str) -> None:
    answer = get(f"{PATH}{posted()}?{urlencode({'comment': comment})}")
    page = Page(answer.text)
    assert page.texts["textarea"].strip() == comment
    assert "script" not in {tag for tag, _ in page.elements}


@pytest.mark.parametrize("processed", [True, False])
def test_what_is_sent_is_kept_and_answered_with_thanks(services: Services, processed: bool) -> None:
    report_id = posted(archive([("trace.log", b"")]))
    if processed:
        drain(services)
    answer = send(report_id, summary=" It broke ", description="I pressed\r\nthe button.")
    assert (answer.status, answer.headers["location"]) == (302, THANKS)
    assert get(THANKS).status == 200
    kept = services.feedback.find(report_id)
    assert kept is not None
    assert (kept.summary, kept.description) == ("It broke", "I pressed\r\nthe button.")
    drain(services)  # and it stays when the crash is processed
    app_id = services.crashes.report(report_id).app_id
    token = services.accounts.create_token("read")
    shown = get(f"/api/2/apps/{app_id}/crashes/{report_id}?format=text", token).text
    assert shown == "It broke\n\nI pressed\r\nthe button."
    assert ask(f"/api/crash_report/{report_id}/", token).json["meta"] is None


def test_multipart_forms_are_taken_too(services: Services) -> None:
    report_id = posted()
    answer = post_form(f"{PATH}{report_id}/", {"summary": "x", "description": ""})
    assert answer.status == 302


def test_behind_a_prefix_the_thanks_are_below_it(services: Services) -> None:
    settings = replace(services.settings, base_url="https://example.com/crashes/")
    bootstrap.use(replace(services, settings=settings))
    assert send(posted(), summary="x").headers["location"] == f"/crashes{THANKS}"


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("crash_id", ["1", "x", "-1", "9" * 40])
def test_a_crash_that_is_not_there_is_a_400(services: Services, method: str, crash_id: str) -> None:
    answer = request(method, f"{PATH}{crash_id}", b"summary=x", URLENCODED)
    assert (answer.status, answer.text) == (400, "no such crash")
    assert answer.headers["content-type"].startswith("text/plain")


def test_a_crash_is_described_once(services: Services) -> None:
    report_id = posted()
    assert send(report_id, summary='<b>"first"').status == 302
    for answer in (get(f"{PATH}{report_id}"), send(report_id, summary="second")):
        assert (answer.status, answer.text) == (400, 'already reported as "<b>"first""')
        assert answer.headers["content-type"].startswith("text/plain")
    kept = services.feedback.find(report_id)
    assert kept is not None
    assert kept.summary == '<b>"first"'


def test_of_many_at_one_moment_one_is_kept(services: Services) -> None:
    report_id = posted()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: send(report_id, summary=f"s{n}"), range(16)))
    assert sorted(answer.status for answer in answers) == [302] + [400] * 15


@pytest.mark.parametrize(
    ("summary", "description", "wrong"),
    [
        ("", "d", "This field is required."),
        ("  ", "", "This field is required."),
        ("s" * 501, "d", "at most 500 characters (it has 501)"),
        ("s", "d" * 50_001, "at most 50000 characters"),
    ],
)
def test_what_is_wrong_is_said_at_the_field_and_nothing_is_lost(
    services: Services, summary: str, description: str, wrong: str
) -> None:
    report_id = posted()
    answer = send(report_id, summary=summary, description=description)
    assert answer.status == 400
    assert wrong in answer.text
    page = Page(answer.text)
    assert page.field("summary")["value"] == summary.strip()
    assert page.texts["textarea"].strip() == description
    faulty = next(a for _, a in page.elements if a.get("aria-invalid") == "true")
    told = str(faulty["aria-describedby"]).split()[-1]
    assert told in {a.get("id") for _, a in page.elements}
    assert services.feedback.find(report_id) is None
    assert send(report_id, summary="s" * 500).status == 302


def test_text_in_a_strange_charset_is_kept_as_far_as_it_is_text(services: Services) -> None:
    report_id = posted()
    body = (
        b'--x\r\nContent-Disposition: form-data; name="summary"\r\n'
        b"Content-Type: text/plain; charset=unicode_escape\r\n\r\n\\ud800\\x00 ok\r\n--x--\r\n"
    )
    answer = request(
        "POST", f"{PATH}{report_id}", body, {"Content-Type": "multipart/form-data; boundary=x"}
    )
    assert answer.status == 302
    kept = services.feedback.find(report_id)
    assert kept is not None
    assert kept.summary.endswith("ok")


def test_only_crashes_whose_clients_ask_for_it_have_the_form(services: Services, app: App) -> None:
    report_id = receive(services, app, ANDROID_EXAMPLE.encode())
    assert get(f"{PATH}{report_id}").status == 400
    drain(services)
    assert get(f"{PATH}{report_id}").status == 400


def test_deleting_the_crashes_deletes_what_was_written(services: Services) -> None:
    processed, dead = posted(archive([("x.log", b"")])), posted(b"MDMP broken")
    drain(services)
    for report_id in (processed, dead):
        assert send(report_id, summary="x").status == 302
    services.eraser.erase([app.app_id for app in services.accounts.apps()])
    for report_id in (processed, dead):
        assert services.feedback.find(report_id) is None
        assert services.table.get(keys.sent(report_id)) is None
        assert get(f"{PATH}{report_id}").text == "no such crash"
