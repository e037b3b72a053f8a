"""Real crash data kept outside the repository: found, or the test is skipped saying so."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[1]


def shared_data(*parts: str) -> Path:
    """The path of a shared data file, `apple/spaces.txt` for `("apple", "spaces.txt")`.

    Looked for below CRASHBUCKET_SHARED_DATA, else in `../shared/data` beside
    the repository. Skips the calling test when it is not there.
    """
    folder = Path(os.environ.get("CRASHBUCKET_SHARED_DATA") or _ROOT.parent / "shared" / "data")
    path = folder.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"needs the shared crash data: {path} is absent (CRASHBUCKET_SHARED_DATA)")
    return path
