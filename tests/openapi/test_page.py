"""The page of the document: whole, harmless, and readable without scripts."""

from __future__ import annotations

import base64
import hashlib
import re
import shlex
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from chalicelib.bootstrap import Services
from chalicelib.openapi import search_syntax
from chalicelib.openapi.inline import inline
from tests.described import DOCUMENT
from tests.wsgi_client import Answer, request

_VOID = {"meta", "br"}


@pytest.fixture
def page(services: Services) -> Answer:
    return request("GET", "/docs", headers={"Host": "crashes.example.com"})


class _Reader(HTMLParser):
    """Notes what is opened, what is linked, and whether all is closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.headings: list[int] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.tags.add(tag)
        self.ids += [str(named["id"])] if "id" in named else []
        self.links += [str(named[name]) for name in ("href", "src") if name in named]
        if re.fullmatch(r"h\d", tag):
            self.headings.append(int(tag[1]))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def _read(page: Answer) -> _Reader:
    reader = _Reader()
    reader.feed(page.text)
    assert reader.open == []
    return reader


def test_the_page_fetches_nothing_and_runs_nothing(page: Answer) -> None:
    assert not _read(page).tags & {"script", "link", "img", "iframe", "form", "object"}
    assert "url(" not in page.text
    assert "@import" not in page.text
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    style = re.search(r"<style>(.*?)</style>", page.text, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"'sha256-{digest}'" in policy


def test_every_link_inside_the_page_leads_somewhere(page: Answer) -> None:
    reader = _read(page)
    assert len(reader.ids) == len(set(reader.ids))
    inside = [link[1:] for link in reader.links if link.startswith("#")]
    assert inside
    assert set(inside) <= set(reader.ids)
    assert "http://crashes.example.com/openapi.json" in reader.links


def test_headings_go_down_one_level_at_a_time(page: Answer) -> None:
    levels = _read(page).headings
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(below <= above + 1 for above, below in pairwise(levels))


def test_the_page_shows_every_operation_that_does_something(page: Answer) -> None:
    shown = set(_read(page).ids)
    for methods in DOCUMENT["paths"].values():
        for operation in methods.values():
            does = any(status[0] in "23" for status in operation["responses"])
            assert (operation["operationId"] in shown) == does


def test_every_curl_line_is_whole(page: Answer) -> None:
    lines = [unescape(line) for line in re.findall(r"<code>(curl .*?)</code>", page.text)]
    assert len(lines) > 60
    for line in lines:
        words = shlex.split(line)
        assert words[-1].startswith("http://crashes.example.com/")
        assert "{" not in words[-1]


def test_an_upload_is_shown_without_and_a_list_with_a_token(page: Answer) -> None:
    text = unescape(page.text)
    assert "curl -F log=@FILE http://crashes.example.com/api/2/apps/APP_ID/crashes/upload<" in text
    listing = "http://crashes.example.com/api/2/apps/APP_ID/crash_reasons"
    assert f"curl -H 'X-HockeyAppToken: TOKEN' {listing}<" in text
    assert "curl -u EMAIL:PASSWORD http://crashes.example.com/api/crash_report<" in text


def test_the_page_shows_the_syntax_of_searches(page: Answer) -> None:
    text = unescape(page.text)
    for example in search_syntax.EXAMPLES:
        for query in example.queries:
            assert f"<code>{query}</code>" in text


def test_a_host_that_is_markup_stays_out_of_the_page(services: Services) -> None:
    answer = request("GET", "/docs", headers={"Host": '"><script>alert(1)</script>'})
    assert "<script" not in answer.text


def test_marks_become_tags_and_markup_stays_text() -> None:
    assert inline("`a<b>` and **c** *d* 2 * 3 * 4") == (
        "<code>a&lt;b&gt;</code> and <strong>c</strong> <em>d</em> 2 * 3 * 4"
    )
