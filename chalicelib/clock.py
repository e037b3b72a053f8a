"""Time, in UTC and aware, and its forms on the wire."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    return datetime.now(UTC)


def to_wire(moment: datetime) -> str:
    """`2011-10-18T16:59:03Z`, as the HockeyApp document writes times."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def to_stored(moment: datetime) -> str:
    """`2011-10-18T16:59:03.123456Z`: text whose order is the order of time."""
    naive = moment.astimezone(UTC).replace(tzinfo=None)
    return naive.isoformat(timespec="microseconds") + "Z"


def from_stored(text: str) -> datetime:
    return datetime.fromisoformat(text)


def stored_to_wire(text: str) -> str:
    """A stored time without its fraction of a second."""
    return text[:19] + "Z"
