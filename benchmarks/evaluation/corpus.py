"""Labelled crash reports: PartyCrasher's format, one JSON object a line, and their causes.

A corpus is two files, `NAME.jsonl.gz` in date order and `NAME.oracle.json.gz`
with `database_id -> cause`.
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chalicelib.formats import partycrasher_json
from chalicelib.model import Report

_REPORTS = ".jsonl.gz"
_ORACLE = ".oracle.json.gz"
_DEFAULT = Path("bucketing", "dev" + _REPORTS)
_ROOT = Path(__file__).resolve().parents[2]


class CorpusAbsent(Exception):
    """There is no corpus where it was looked for; the message says where."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One report of a corpus: as it was sent, as it is read, and what caused it."""

    database_id: str
    project: str
    cause: str
    document: Mapping[str, Any]
    report: Report


@dataclass(frozen=True, slots=True)
class Labelled:
    """A corpus by its name, oldest report first."""

    name: str
    entries: tuple[Entry, ...]


def find(path: str | Path | None = None) -> Path:
    """The reports' file: the one given, or the only one of the folder given.

    Without a path it is the one in CRASHBUCKET_CORPUS, else the development
    corpus of the shared crash data (CRASHBUCKET_SHARED_DATA, or
    `../shared/data` beside the repository). Raises CorpusAbsent.
    """
    chosen = path or os.environ.get("CRASHBUCKET_CORPUS")
    if chosen is None:
        shared = os.environ.get("CRASHBUCKET_SHARED_DATA")
        folder = Path(shared) if shared else _ROOT.parent / "shared" / "data"
        found = folder / _DEFAULT
    else:
        found = Path(chosen)
        if found.is_dir():
            inside = sorted(found.glob("*" + _REPORTS))
            if len(inside) != 1:
                raise CorpusAbsent(f"{found} holds {len(inside)} files *{_REPORTS}: name one")
            found = inside[0]
    if not found.is_file():
        raise CorpusAbsent(
            f"needs a labelled corpus: {found} is absent (CRASHBUCKET_CORPUS names another)"
        )
    return found


def read(path: Path) -> Labelled:
    """The corpus of that reports' file; its oracle lies beside it."""
    name = path.name.removesuffix(_REPORTS)
    oracle = path.with_name(name + _ORACLE)
    if not oracle.is_file():
        raise CorpusAbsent(f"needs the causes of the reports: {oracle} is absent")
    causes: dict[str, str] = json.loads(gzip.decompress(oracle.read_bytes()))
    entries = []
    with gzip.open(path, "rb") as lines:
        for line in lines:
            document = json.loads(line)
            entries.append(
                Entry(
                    database_id=document["database_id"],
                    project=document["project"],
                    cause=causes[document["database_id"]],
                    document=document,
                    report=partycrasher_json.parse(line),
                )
            )
    return Labelled(name, tuple(entries))
