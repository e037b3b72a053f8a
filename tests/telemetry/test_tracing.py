"""What X-Ray's daemon is sent of an invocation that was chosen as a sample."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from typing import Any

from tests.server import ROOT

_INVOKED = """
import sys
from chalicelib.telemetry.tracing import traced
def failing(): raise ValueError("the table is away")
assert traced("process", lambda: 7, correlation_id="abc") == 7
try:
    traced("process", failing)
except ValueError:
    print(*[name for name in sys.modules if name == "aws_xray_sdk"])
"""
_TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled="


def invoked(sampled: str) -> tuple[list[dict[str, Any]], str]:
    """The segments that were sent, and whether the library was imported."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.bind(("127.0.0.1", 0))
        daemon.setblocking(False)
        environment = {
            **os.environ,
            "AWS_LAMBDA_FUNCTION_NAME": "process",
            "LAMBDA_TASK_ROOT": "/var/task",
            "AWS_XRAY_DAEMON_ADDRESS": f"127.0.0.1:{daemon.getsockname()[1]}",
            "_X_AMZN_TRACE_ID": _TRACE + sampled,
        }
        done = subprocess.run(
            [sys.executable, "-c", _INVOKED],
            env=environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        segments = []
        while True:
            try:
                segments.append(json.loads(daemon.recv(65_000).split(b"\n", 1)[1]))
            except BlockingIOError:
                return segments, done.stdout.strip()


def test_a_sample_is_a_subsegment_with_the_requests_id_and_with_what_failed() -> None:
    (well, failed), imported = invoked("1")
    assert imported == "aws_xray_sdk"
    assert (well["name"], well["parent_id"]) == ("## process", "53995c3f42cd8ad8")
    assert well["annotations"] == {"correlation_id": "abc"}
    assert failed["fault"]
    assert failed["cause"]["exceptions"][0]["message"] == "the table is away"


def test_what_is_no_sample_costs_nothing() -> None:
    assert invoked("0") == ([], "")
