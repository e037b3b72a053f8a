"""The id that follows a crash from the request it came with to the worker's log lines.

The door takes it (API Gateway's request id; embedded, the client's
`X-Request-ID` or a made one) and answers it. The payload keeps it, and whoever
processes that takes it up again. Log lines name the one that is current.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

HEADER = "X-Request-Id"
_NONE = ""
_FIT = re.compile(r"[\w.:+/=@-]{1,64}", re.ASCII)  # a UUID, a trace id: no line break, no brace

_current: ContextVar[str] = ContextVar("correlation_id", default=_NONE)


def current() -> str:
    """The id of what is in hand; empty: none."""
    return _current.get()


def of_client(told: str | None) -> str:
    """What a client calls its request, if that is fit for a log line; else an id of our own."""
    return told if told and _FIT.fullmatch(told) else secrets.token_hex(8)


def take_up(correlation_id: str) -> None:
    """From now on, what is in hand is this; at most to the end of the `correlated` around it."""
    _current.set(correlation_id)


@contextmanager
def correlated(correlation_id: str = _NONE) -> Iterator[None]:
    """What is done within belongs to the id; afterwards, to what was current before.

    After a failure the id stays current, so that whoever logs the failure names it.
    """
    before = _current.get()
    _current.set(correlation_id)
    yield
    _current.set(before)
