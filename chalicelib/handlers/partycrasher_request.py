"""What a request to PartyCrasher's API asks for, and what who asks may see."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from chalice.app import Blueprint, Request

from chalicelib import clock
from chalicelib.access import Access
from chalicelib.errors import Forbidden, InvalidRequest, NotFound, Unauthenticated
from chalicelib.handlers.common import Incoming, incoming, services
from chalicelib.handlers.partycrasher_dates import moment_of, written
from chalicelib.handlers.partycrasher_shape import Links
from chalicelib.handlers.public_url import public_url
from chalicelib.payload import PARTYCRASHER
from chalicelib.queries import lucene
from chalicelib.queries.query import Query
from chalicelib.records import App

DEFAULT_SIZE = 10
MAX_SIZE = 1000  # entries of 4 kB: Lambda answers with at most 6 MB
_NUMBER = re.compile(r"\d{1,9}", re.ASCII)
_THRESHOLD = re.compile(r"\d{1,3}(?:\.\d{1,6})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, with the links an answer to it may hold."""

    request: Incoming
    links: Links

    def projects(self, name: str | None) -> list[App]:
        """The project of that name, or all of them (None), as far as the caller may see them."""
        if name is None:
            found = list(services().projects.all())
        else:
            project = services().projects.find(name)
            found = [project] if project else []
        return [app for app in found if self.links.sees(app)]

    def app_ids(self, name: str | None) -> list[str]:
        return [app.app_id for app in self.projects(name)]


@dataclass(frozen=True, slots=True)
class Times:
    """A span of time, both ends within it; None is no limit."""

    since: datetime | None
    until: datetime | None

    @property
    def before(self) -> datetime | None:
        """The first moment behind it."""
        if self.until is None or self.until > _LAST_MOMENT:
            return None
        return self.until + timedelta(microseconds=1)

    def told(self) -> dict[str, Any]:
        return {
            "since": written(self.since) if self.since else None,
            "until": written(self.until) if self.until else None,
        }


_LAST_MOMENT = datetime.max.replace(tzinfo=clock.now().tzinfo) - timedelta(days=1)


def reader(routes: Blueprint) -> Asked:
    """The current request, if it may read; raises `Unauthenticated` or `Forbidden` if not."""
    return _asked(routes, must_read=True)


def uploader(routes: Blueprint) -> Asked:
    """The current request, of which no right is asked; what it may not see is left out."""
    return _asked(routes, must_read=False)


def _asked(routes: Blueprint, *, must_read: bool) -> Asked:
    current = routes.current_request
    assert isinstance(current, Request)
    inside = services()
    request = incoming(current, with_form=False)
    is_open = inside.settings.partycrasher_read == "open"
    access: Access | None = None
    if not is_open:
        try:
            access = inside.accounts.authenticate(request.token)
            access.require("read")
        except (Unauthenticated, Forbidden):
            if must_read:
                raise
            access = None

    def sees(app: App) -> bool:
        is_seen = is_open or (access is not None and access.opens(app.app_id))
        return is_seen and app.made_by == PARTYCRASHER

    return Asked(request, Links(public_url(current, inside.settings.base_url), sees))


def page_of(request: Incoming) -> tuple[int, int]:
    """`from` and `size`; raises `InvalidRequest` naming what is no such number."""
    start = _number(request, "from", 0)
    size = _number(request, "size", DEFAULT_SIZE)
    if size > MAX_SIZE:
        raise InvalidRequest({"size": [f"must not be above {MAX_SIZE}"]})
    return start, size


def _number(request: Incoming, name: str, default: int) -> int:
    text = request.query.get(name)
    if text is None or not text.strip():
        return default
    if not _NUMBER.fullmatch(text.strip()):
        raise InvalidRequest({name: ["must be a whole number from 0 on"]})
    return int(text)


def times_of(request: Incoming, since: str | None = None) -> Times:
    """`since` (default: as given) and `until`; raises `InvalidRequest` for what is no date."""
    now = clock.now()
    asked_since = request.query.get("since") or since
    asked_until = request.query.get("until")
    return Times(
        moment_of("since", asked_since, now) if asked_since else None,
        moment_of("until", asked_until, now) if asked_until else None,
    )


def query_of(request: Incoming) -> Query | None:
    """`q`, read; raises `InvalidQuery`. None asks for everything."""
    text = request.query.get("q")
    return lucene.parse(text) if text and text.strip() else None


def threshold_of(text: str) -> str:
    """The threshold as it is configured: `4` is `4.0`; `NotFound` for one that is not."""
    if _THRESHOLD.fullmatch(text):
        for threshold in services().bucketing.thresholds:
            if float(threshold) == float(text):
                return threshold
    raise NotFound("threshold", text)
