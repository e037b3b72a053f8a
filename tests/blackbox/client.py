"""An HTTP client that sends what it is told and nothing more, as the SDKs' own ones do."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from urllib.parse import urlencode, urljoin, urlsplit

from tests.minidump_forms import Part, form

_TIMEOUT_S = 40  # API Gateway gives a function 29
POLL_S = 0.25

T = TypeVar("T")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass(frozen=True)
class Sent:
    """A request that was answered; `began` and `ended` are seconds since 1970."""

    method: str
    path: str
    status: int
    began: float
    ended: float


@dataclass(frozen=True)
class Client:
    """Requests to the service at `url`, with `token` unless a request says otherwise.

    `connect` is an address to connect to in the place of the URL's host, as curl's `--connect-to`:
    an emulated API Gateway has host names that no name server knows.
    """

    url: str
    token: str
    connect: tuple[str, int] | None = None
    trusted: ssl.SSLContext | None = None
    sent: list[Sent] = field(default_factory=list, compare=False, repr=False)
    """Every request of this client and of those made of it, in order."""

    def anonymous(self) -> Client:
        return replace(self, token="")

    def send(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """`path` begins with a slash, or is a whole URL that an answer gave.

        A body without a type is sent as curl and most SDKs do: as bytes.
        """
        parts = urlsplit(path if path.startswith("http") else self.url + path)
        told = {"Host": parts.netloc, "Accept": "*/*", "User-Agent": "crashbucket-blackbox"}
        if body:
            told["Content-Type"] = "application/octet-stream"
        if self.token:
            told["X-HockeyAppToken"] = self.token
        told |= headers or {}
        began = time.time()
        connection = self._connection(parts.scheme, parts.hostname or "", parts.port)
        try:
            target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
            connection.request(method, target, body or None, told)
            answer = connection.getresponse()
            lowered = {name.lower(): value for name, value in answer.getheaders()}
            whole = Answer(answer.status, lowered, answer.read())
            self.sent.append(Sent(method, parts.path, whole.status, began, time.time()))
            return whole
        finally:
            connection.close()

    def get(self, path: str, headers: Mapping[str, str] | None = None, **query: str) -> Answer:
        whole = f"{path}?{urlencode(query)}" if query else path
        return self.send("GET", whole, headers=headers)

    def post_json(self, path: str, body: Any, method: str = "POST") -> Answer:
        kind = {"Content-Type": "application/json"}
        return self.send(method, path, json.dumps(body).encode(), kind)

    def post_form(
        self, path: str, parts: Iterable[Part], headers: Mapping[str, str] | None = None
    ) -> Answer:
        body, kind = form(parts)
        return self.send("POST", path, body, {"Content-Type": kind} | dict(headers or {}))

    def located(self, answer: Answer) -> Answer:
        """What is where an answer's `Location` says."""
        return self.send("GET", urljoin(self.url, answer.headers["location"]))

    def follow(self, link: str) -> Answer:
        """What a link of an answer gives, without credentials, through redirects.

        A link without a host is from the root of this one, as RFC 3986 has it.
        """
        whole = urljoin(self.url, link)
        for _ in range(3):
            answer = self.anonymous().send("GET", whole)
            if answer.status not in {301, 302, 303, 307}:
                break
            whole = urljoin(whole, answer.headers["location"])
        return answer

    def _connection(self, scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
        if self.connect and host == urlsplit(self.url).hostname:
            host, port = self.connect
        if scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=_TIMEOUT_S, context=self.trusted)
        return http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)


def basic(name: str, password: str) -> dict[str, str]:
    pair = base64.b64encode(f"{name}:{password}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}


def eventually(look: Callable[[], T], within_s: float, every_s: float = POLL_S) -> T:
    """The first true value of `look()`, asked again and again; fails with the last one."""
    until = time.monotonic() + within_s
    while True:
        value = look()
        if value:
            return value
        assert time.monotonic() < until, f"after {within_s:g} s it was still {value!r}"
        time.sleep(every_s)
