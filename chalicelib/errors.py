"""The one error family: every failure a caller can act on is a `CrashbucketError`.

Doors map these to the shape and status of their own API; nothing else in the
code base knows about HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class CrashbucketError(Exception):
    """Something the caller can understand and act on; the message says what to do."""


class InvalidRequest(CrashbucketError):
    """The client's request cannot be taken as it is.

    `fields` names each offending field with what is wrong with it.
    """

    def __init__(self, fields: Mapping[str, Sequence[str]]) -> None:
        super().__init__("; ".join(f"{name}: {', '.join(texts)}" for name, texts in fields.items()))
        self.fields = {name: tuple(texts) for name, texts in fields.items()}


class PayloadTooLarge(CrashbucketError):
    """A part of the request is larger than its documented limit (bytes).

    `size_bytes` is None where reading stopped at the limit; `hint` names the way that larger
    ones take, where there is one.
    """

    def __init__(
        self, field: str, size_bytes: int | None, limit_bytes: int, hint: str = ""
    ) -> None:
        size = f"more than {limit_bytes}" if size_bytes is None else str(size_bytes)
        told = f"{field} has {size} bytes; the limit is {limit_bytes}"
        super().__init__(f"{told}; {hint}" if hint else told)
        self.field = field
        self.hint = hint
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes


class NotFound(CrashbucketError):
    """The named thing does not exist, or the caller may not know that it does."""

    def __init__(self, kind: str, identifier: str) -> None:
        super().__init__(f"{kind} {identifier!r} not found")
        self.kind = kind
        self.identifier = identifier


class Refused(CrashbucketError):
    """What is asked for does not fit what was decided before; `field` names what it is about."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class Unauthenticated(CrashbucketError):
    """No token, or one that is not known."""


class Forbidden(CrashbucketError):
    """A known token whose scope or app does not cover the request."""


class TryAgain(CrashbucketError):
    """Nothing is wrong with what was asked: it cannot be done at this moment.

    `after_s` is when to ask again, in seconds.
    """

    after_s = 1


class TooManyCrashes(TryAgain):
    """An app has had as many crashes in this minute as are taken of it."""

    def __init__(self, limit: int, after_s: int) -> None:
        super().__init__(
            f"more than {limit} crashes in a minute are not taken: try again in {after_s} s"
        )
        self.after_s = after_s


class FormatError(CrashbucketError):
    """A payload is not in the format it claims to be.

    Raised by the pure parsers in `chalicelib.formats`; `where` says where
    reading stopped ("line 3", "byte 17", an element's name).
    """

    def __init__(self, problem: str, where: str | None = None) -> None:
        super().__init__(f"{problem} ({where})" if where else problem)
        self.problem = problem
        self.where = where


class InvalidQuery(CrashbucketError):
    """A search's text cannot be understood; `column` (from 1) is where reading it stopped."""

    def __init__(self, problem: str, column: int) -> None:
        super().__init__(f"{problem} (column {column})")
        self.problem = problem
        self.column = column
