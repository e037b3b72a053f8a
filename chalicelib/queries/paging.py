"""Pages by number, as HockeyApp's lists have them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

PER_PAGE_CHOICES = (25, 50, 100)  # HockeyApp's
MAX_PAGES = 100  # HockeyApp's


@dataclass(frozen=True, slots=True)
class Paging:
    """The page asked for: `page` counts from 1."""

    page: int = 1
    per_page: int = 25

    @property
    def start(self) -> int:
        return (self.page - 1) * self.per_page

    @property
    def end(self) -> int:
        return self.start + self.per_page


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """One page of a list, and how much there is in all."""

    entries: tuple[T, ...]
    total_entries: int
    paging: Paging

    @property
    def total_pages(self) -> int:
        return -(-self.total_entries // self.paging.per_page)


@dataclass(frozen=True, slots=True)
class Slice(Generic[T]):
    """Some entries of a list in its order, and the place of the last if more follow."""

    entries: tuple[T, ...]
    after: str | None


def cut(entries: Sequence[T], paging: Paging) -> Listing[T]:
    """The page out of a list that is there in full."""
    return Listing(tuple(entries[paging.start : paging.end]), len(entries), paging)
