"""Crash files from a disk, through the same intake and processing as any other crash."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from chalicelib import clock
from chalicelib.bootstrap import Services
from chalicelib.errors import CrashbucketError, FormatError, InvalidRequest, NotFound
from chalicelib.formats import hockeyapp_log, quincy_xml
from chalicelib.payload import Payload
from chalicelib.quincy_payload import payload_of
from chalicelib.records import App

_MAX_FILE_BYTES = 20_000_000
_BATCH = 25


@dataclass
class Tally:
    """What became of the files: `dead` and `refused` hold (file, reason)."""

    files: int = 0
    stored: int = 0
    dead: list[tuple[str, str]] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return {
            "files": self.files,
            "stored": self.stored,
            "dead": [{"file": name, "reason": reason} for name, reason in self.dead],
            "refused": [{"file": name, "reason": reason} for name, reason in self.refused],
        }


def import_files(services: Services, paths: Sequence[Path], app_id: str | None) -> Tally:
    """Take in every file below the paths, and process it at once.

    Without `app_id` a file goes to the app that its own bundle identifier or
    package names. A progress bar is shown on a terminal.
    """
    if app_id is not None:
        services.accounts.app(app_id)
    tally = Tally()
    names: dict[int, str] = {}
    files = sorted({file for path in paths for file in _files(path)})
    for file in tqdm(files, unit="file", disable=not sys.stderr.isatty()):
        tally.files += 1
        try:
            for received in _payloads(services, file, app_id):
                names[services.intake.receive(received)] = str(file)
        except (CrashbucketError, OSError) as error:
            tally.refused.append((str(file), str(error)))
        if len(names) >= _BATCH:
            _process(services, names, tally)
    _process(services, names, tally)
    services.processor.fold()
    return tally


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from (found for found in path.rglob("*") if found.is_file())
    else:
        yield path


def _payloads(services: Services, file: Path, app_id: str | None) -> list[Payload]:
    """The crashes of a file: one of a log, any number of QuincyKit's XML."""
    if file.stat().st_size > _MAX_FILE_BYTES:
        raise InvalidRequest({"file": [f"is larger than {_MAX_FILE_BYTES} bytes"]})
    content = file.read_bytes()
    if content[:64].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return [
            payload_of(_app(services, app_id, crash.bundleidentifier).app_id, crash, clock.now())
            for crash in quincy_xml.parse(content)
        ]
    package = "" if app_id else hockeyapp_log.read_header(content).get("Package", "")
    app = _app(services, app_id, package)
    return [Payload(app.app_id, "import", clock.now(), content)]


def _app(services: Services, app_id: str | None, bundle_id: str) -> App:
    if app_id is not None:
        return services.accounts.app(app_id)
    if not bundle_id:
        raise FormatError("the file names no app: use --app")
    apps = services.accounts.apps_with_bundle(bundle_id)
    if not apps:
        raise NotFound("app with bundle identifier", bundle_id)
    return apps[0]


def _process(services: Services, names: dict[int, str], tally: Tally) -> None:
    outcome = services.processor.process(names)
    # A worker of a running server may have been faster: stored all the same.
    tally.stored += len(outcome.stored) + len(outcome.already_stored)
    reasons = {letter.report_id: letter.reason for letter in services.crashes.dead_letters()}
    for report_id in outcome.dead:
        tally.dead.append((names[report_id], reasons.get(report_id, "unknown")))
    names.clear()
