"""The shared dumps, what Breakpad prints of them, and their symbols."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.minidumps import stackwalk
from benchmarks.minidumps.stackwalk import Stackwalk


class DataAbsent(Exception):
    """The shared crash data is not there; says where it was looked for."""


@dataclass(frozen=True, slots=True)
class Dump:
    name: str
    raw: bytes
    expected: Stackwalk


def folder() -> Path:
    """`minidumps` of the shared crash data (CRASHBUCKET_SHARED_DATA, or `../shared/data` beside
    the repository); raises `DataAbsent`."""
    shared = os.environ.get("CRASHBUCKET_SHARED_DATA")
    root = Path(shared) if shared else Path(__file__).resolve().parents[3] / "shared" / "data"
    if not (root / "minidumps").is_dir():
        raise DataAbsent(f"{root / 'minidumps'} is absent (CRASHBUCKET_SHARED_DATA)")
    return root / "minidumps"


def dumps(root: Path) -> Iterator[Dump]:
    """Every `dumps/NAME.dmp` that has an `expected/NAME.txt`, in the order of their names."""
    for path in sorted((root / "dumps").glob("*.dmp")):
        expected = root / "expected" / f"{path.stem}.txt"
        if expected.exists():
            text = expected.read_text("utf-8", "replace")
            yield Dump(path.stem, path.read_bytes(), stackwalk.parse(text))
