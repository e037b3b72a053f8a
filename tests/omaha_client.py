"""What omaha-server's clients and API users send."""

from __future__ import annotations

import base64
from urllib.parse import urlsplit

from tests.minidump_forms import DUMP
from tests.wsgi_client import Answer, post_form, request

CRASHES = "/api/crash_report/"
GUID = "{D0AB2EBC-931B-4013-9FEB-C9C4C2225C8C}"
USER = "{2882CF9B-D9C2-4edb-9AAF-8ED5FCF366F7}"
HOST = {"Host": "crashes.example.com"}


def post(file: bytes | None = DUMP, **fields: str) -> Answer:
    """A crash as a client posts it."""
    files = {} if file is None else {"upload_file_minidump": file}
    return post_form("/service/crash_report/", {"appid": GUID, "userid": USER} | fields, files)


def posted(file: bytes = DUMP, **fields: str) -> int:
    """The id under which a crash was taken."""
    answer = post(file, **fields)
    assert answer.status == 200, answer.text
    return int(answer.text)


def basic(name: str, password: str) -> dict[str, str]:
    pair = base64.b64encode(f"{name}:{password}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}


def ask(path: str, token: str | None = None, method: str = "GET") -> Answer:
    """With a token as the password, as a script would."""
    return request(method, path, headers=HOST | (basic("", token) if token else {}))


def follow(link: str) -> Answer:
    """What a link gives, without credentials."""
    parts = urlsplit(link)
    assert parts.netloc in {HOST["Host"], ""}
    return request("GET", f"{parts.path}?{parts.query}")
