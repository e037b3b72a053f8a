"""Traces for X-Ray, of the invocations that it chose as samples; the others pay nothing.

X-Ray asks 5 dollars for a million traces and, where a function traces
actively, takes the first request of each second: most requests of a small
stack. The SDK costs 130 ms to import, which only a sampled invocation does.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aws_lambda_powertools import Tracer

_HEADER = "_X_AMZN_TRACE_ID"  # Lambda sets it for each invocation


def traced(name: str, run: Callable[[], Any], **annotations: str) -> Any:
    """What `run` gives, as a subsegment of the invocation's trace if that has one."""
    if "Sampled=1" not in os.environ.get(_HEADER, ""):
        return run()
    with _tracer().provider.in_subsegment(name=f"## {name}") as subsegment:
        for key, value in annotations.items():
            if value:
                subsegment.put_annotation(key=key, value=value)
        return run()


@cache
def _tracer() -> Tracer:
    from aws_lambda_powertools import Tracer  # noqa: PLC0415 - on Lambda only

    return Tracer(patch_modules=["botocore"])  # calls of the store are subsegments, too
