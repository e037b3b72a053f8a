"""File names out of paths of any system."""

from __future__ import annotations


def file_name(path: str) -> str:
    """What stands behind the last separator, of either kind: a dump may come from any system."""
    return path[max(path.rfind("/"), path.rfind("\\")) + 1 :]
