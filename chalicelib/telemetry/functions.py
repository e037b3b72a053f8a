"""What surrounds each invocation of a Lambda function; elsewhere nothing does."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TypeVar

from chalicelib.bootstrap import services
from chalicelib.correlation import correlated
from chalicelib.telemetry import on_lambda
from chalicelib.telemetry.tracing import traced

T = TypeVar("T")


def invoked(name: str, run: Callable[[], T], correlation_id: str = "") -> T:
    """What `run` gives: logged as JSON, traced, and with its metrics written."""
    if not on_lambda():
        return run()
    _prepare()
    with correlated(correlation_id):
        try:
            answer: T = traced(name, run, correlation_id=correlation_id)
            return answer
        finally:
            services().metrics.flush()


@cache
def _prepare() -> None:
    from chalicelib.telemetry.logs import log_as_json  # noqa: PLC0415 - powertools

    log_as_json()
