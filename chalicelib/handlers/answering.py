"""How a view answers failures: caught in one place, told in the shape of each API."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

from chalice.app import Response

from chalicelib.errors import CrashbucketError

P = ParamSpec("P")


def answering(
    shape: Callable[[CrashbucketError], Response],
) -> Callable[[Callable[P, Response]], Callable[P, Response]]:
    """A decorator of views that answers each failure as `shape` tells it.

    `shape` raises the failure again when no client can do anything about it.
    """

    def decorated(view: Callable[P, Response]) -> Callable[P, Response]:
        @wraps(view)
        def answered(*args: P.args, **kwargs: P.kwargs) -> Response:
            try:
                return view(*args, **kwargs)
            except CrashbucketError as error:
                return shape(error)

        return answered

    return decorated
