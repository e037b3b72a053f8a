"""How the HockeyApp documents frame lists, and how clients ask for a part of one."""

from __future__ import annotations

from typing import Any, TypeVar

from chalicelib import crash_uuid
from chalicelib.errors import InvalidRequest
from chalicelib.handlers.common import Incoming
from chalicelib.queries.paging import MAX_PAGES, PER_PAGE_CHOICES, Listing, Paging

T = TypeVar("T")


def listing(listed: Listing[T], **entries: Any) -> dict[str, Any]:
    """A page as the document frames it: the entries, then where we are."""
    return {
        **entries,
        "total_entries": listed.total_entries,
        "total_pages": listed.total_pages,
        "per_page": listed.paging.per_page,
        "status": "success",
        "current_page": listed.paging.page,
    }


def paging(request: Incoming) -> Paging:
    """The page asked for; below 1 is 1, as one client counts from 0."""
    page = _whole_number(request, "page", 1)
    per_page = _whole_number(request, "per_page", PER_PAGE_CHOICES[0])
    wrong: dict[str, list[str]] = {}
    if page > MAX_PAGES:
        wrong["page"] = [f"must not be above {MAX_PAGES}; use per_page=100 or a search"]
    if per_page not in PER_PAGE_CHOICES:
        wrong["per_page"] = [f"must be one of {', '.join(map(str, PER_PAGE_CHOICES))}"]
    if wrong:
        raise InvalidRequest(wrong)
    return Paging(max(page, 1), per_page)


def choice(request: Incoming, name: str, choices: tuple[T, ...]) -> T:
    """A parameter that takes one of some words; the first is the default."""
    value = request.parameter(name)
    if not value:
        return choices[0]
    for known in choices:
        if value == known:
            return known
    raise InvalidRequest({name: [f"must be one of {', '.join(map(str, choices))}"]})


def identifier(text: str) -> int:
    """An id from a path, as a number or as we write it as a UUID; -1 for anything else."""
    given = crash_uuid.report_id(text)
    if given is not None:
        return given
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 16 else -1


def _whole_number(request: Incoming, name: str, default: int) -> int:
    value = (request.parameter(name) or "").strip()
    if not value:
        return default
    digits = value.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 9):
        raise InvalidRequest({name: ["must be a whole number"]})
    return int(value)
