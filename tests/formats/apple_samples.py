"""The Apple samples beside the tests, and what every parser of one must hold to."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from hypothesis import settings

from chalicelib.errors import FormatError
from chalicelib.model import Report

# No deadline: a single example may be slow on a loaded machine.
PROPERTY = settings(max_examples=100, deadline=None)
SAMPLES = Path(__file__).parent / "samples"


def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


def assert_report_or_format_error(parse: Callable[[bytes], Report], raw: bytes) -> None:
    """A bounded, storable report, or FormatError, and soon."""
    begin = time.perf_counter()
    try:
        report = parse(raw)
    except FormatError:
        report = None
    # Far above what a loaded machine needs for 4 MB, far below what a quadratic step takes.
    assert time.perf_counter() - begin < 20
    if report is None:
        return
    assert len(report.threads) <= 1024
    assert len(report.modules) <= 4096
    assert sum(thread.crashed for thread in report.threads) <= 1
    stacks = [thread.frames for thread in report.threads]
    stacks += [exception.frames for exception in report.exceptions]
    assert all(len(frames) <= 512 for frames in stacks)
    for frame in report.stack:
        assert frame.address is None or 0 <= frame.address < 1 << 64
    assert report.occurred_at is None or report.occurred_at.utcoffset() is not None
    str(asdict(report)).encode("utf-8")
