"""How a view answers failures: caught in one place, told in the shape of each API."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

from chalice.app import Response

from chalicelib.errors import CrashbucketError, TooManyCrashes, TryAgain

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
                return timed(shape(error), error)

        return answered

    return decorated


def busy_status(error: TryAgain) -> int:
    """429 where the caller's app has too much, 503 where the service has."""
    return 429 if isinstance(error, TooManyCrashes) else 503


def timed(answer: Response, error: CrashbucketError) -> Response:
    """The answer, with when to ask again where that may help."""
    if isinstance(error, TryAgain):
        answer.headers["Retry-After"] = str(error.after_s)
    return answer
