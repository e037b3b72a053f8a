"""File names out of paths of any system."""

from __future__ import annotations

import re

_SEPARATORS = re.compile(r"[/\\]")


def file_name(path: str) -> str:
    """What stands behind the last separator, of either kind: a dump may come from any system."""
    return _SEPARATORS.split(path)[-1]
