"""The report of an archive without a minidump: what came instead is all that is known of it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from chalicelib.model import Report

REASON = "archive without a minidump"

_NUMBERS = re.compile(r"\b[0-9a-fA-F-]{16,}\b|\d+")


def parse(names: Sequence[str]) -> Report:
    """No frames: it is told from others by the names of the files in its archive.

    Numbers in names (dates, process ids, GUIDs) do not count, nor does the
    order, so that what one client sends again and again is one group.
    """
    alike = sorted({_NUMBERS.sub("#", name) for name in names})
    return Report(
        platform="other",
        reason=REASON,
        properties=tuple(("archive.file", name) for name in alike) or (("archive", "empty"),),
    )
