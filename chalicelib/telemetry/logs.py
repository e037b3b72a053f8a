"""How log records are written: for people as lines, on Lambda as JSON; both with the id of the
request that a crash came with.

The service logs little: nothing of a crash that is as others are. CloudWatch
asks 0.50 dollars for a gigabyte of lines.
"""

from __future__ import annotations

import logging
import os
import sys

from chalicelib import correlation

_PLAIN = "%(asctime)s %(levelname)s %(name)s [%(correlation_id)s] %(message)s"


def log_plainly(level: int = logging.WARNING) -> None:
    """A line for each record on standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(_PLAIN))
    handler.addFilter(_correlate_plainly)
    logging.basicConfig(level=level, handlers=[handler], force=True)


def log_as_json() -> None:
    """A JSON object for each record on standard output, as powertools' logger writes them, for
    every logger of this process; in the place of Lambda's own handler."""
    from aws_lambda_powertools.logging.formatter import (  # noqa: PLC0415 - on Lambda only
        LambdaPowertoolsFormatter,
    )

    formatter = LambdaPowertoolsFormatter(
        log_record_order=["level", "message", "correlation_id"],
        service=os.environ.get("POWERTOOLS_SERVICE_NAME"),
        utc=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    handler.addFilter(_correlate)
    level = os.environ.get("POWERTOOLS_LOG_LEVEL") or os.environ.get("AWS_LAMBDA_LOG_LEVEL")
    logging.basicConfig(level=(level or "INFO").upper(), handlers=[handler], force=True)
    logging.getLogger("botocore").setLevel(logging.WARNING)  # names its credentials' source


def _correlate(record: logging.LogRecord) -> bool:
    if current := correlation.current():
        record.correlation_id = current
    return True


def _correlate_plainly(record: logging.LogRecord) -> bool:
    record.correlation_id = correlation.current() or "-"
    return True
