"""Pages as Django REST framework's `PageNumberPagination` gives them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from chalicelib.handlers.common import Incoming
from chalicelib.handlers.omaha_errors import InvalidPage
from chalicelib.queries.paging import Listing, Paging

DEFAULT_PAGE_SIZE = 10
MAX_PAGE_SIZE = 100
_MAX_DIGITS = 9


def page_asked(request: Incoming) -> Paging:
    """`page` and `page_size`; a size that is none is the default, a page that is none an error."""
    size = _positive(request.query.get("page_size") or "")
    page = _positive(request.query.get("page") or "1")
    if page is None:
        raise InvalidPage("no number")
    return Paging(page, min(size or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE))


def envelope(
    listed: Listing[Any], url: str, query: Mapping[str, str], results: list[dict[str, Any]]
) -> dict[str, Any]:
    """The results with `count`, and links to the pages around them."""
    page = listed.paging.page
    following = _link(url, query, page + 1) if page < listed.total_pages else None
    return {
        "count": listed.total_entries,
        "next": following,
        "previous": _link(url, query, page - 1) if page > 1 else None,
        "results": results,
    }


def require_page(listed: Listing[Any]) -> None:
    """Raises `InvalidPage` behind the last one; the first is there even when it is empty."""
    if listed.paging.page > max(listed.total_pages, 1):
        raise InvalidPage(f"page {listed.paging.page} of {listed.total_pages}")


def _link(url: str, query: Mapping[str, str], page: int) -> str:
    """The URL with the query as it was, but for the page; the first page is not named."""
    asked = {name: value for name, value in query.items() if name != "page"}
    if page > 1:
        asked["page"] = str(page)
    text = urlencode(sorted(asked.items()))
    return f"{url}?{text}" if text else url


def _positive(text: str) -> int | None:
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
        return None
    return int(text) or None
