"""Crash files from a disk, through the same intake and processing as any other crash."""

from __future__ import annotations

import hashlib
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from chalicelib import clock, keys
from chalicelib.bootstrap import Services
from chalicelib.errors import CrashbucketError, FormatError, InvalidRequest, NotFound
from chalicelib.formats import hockeyapp_log, log, quincy_xml
from chalicelib.formats.detect import detect
from chalicelib.landing import DOOR as DUMPS
from chalicelib.minidump_payload import GZIP_MAGIC, PostedDump, is_dump, unpacked
from chalicelib.minidump_payload import payload_of as dump_payload
from chalicelib.payload import KEPT, Payload
from chalicelib.quincy_payload import payload_of
from chalicelib.records import App, DeadLetter
from chalicelib.storage.ports import MAX_BATCH_ITEMS
from chalicelib.worker import Worker

_MAX_FILE_BYTES = 20_000_000  # of one file: as much as a door takes
_AT_ONCE = 500  # crashes taken before they are processed: keeps memory and queue small
_PAUSE_S = 0.05  # while a worker of a running server has what is still waited for
_LOOK_EVERY_S = 1.0  # at what the functions of a stack have done: each look is reads to pay for
_PATIENCE_S = 600.0  # without one crash done: the functions are off, or in trouble


@dataclass
class Tally:
    """What became of the crashes; `counts` by (kind, outcome).

    `dead` and `refused` hold (file, reason): the first were taken and could
    not be read, the others were not taken.
    """

    files: int = 0
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    dead: list[tuple[str, str]] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)

    def total(self, outcome: str) -> int:
        return sum(count for (_, name), count in self.counts.items() if name == outcome)

    def as_json(self) -> dict[str, Any]:
        kinds: dict[str, dict[str, int]] = {}
        for (kind, outcome), count in sorted(self.counts.items()):
            kinds.setdefault(kind, {})[outcome] = count
        return {
            "files": self.files,
            "kinds": kinds,
            "dead": [{"file": name, "reason": reason} for name, reason in self.dead],
            "refused": [{"file": name, "reason": reason} for name, reason in self.refused],
        }

    def lines(self) -> Iterator[str]:
        for kind, outcomes in self.as_json()["kinds"].items():
            told = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())
            yield f"{kind}: {told}"
        for name, reason in (*self.dead, *self.refused):
            yield f"{name}: {reason}"
        yield f"{self.files} files: {self.total('stored')} stored, {len(self.dead)} dead, " + (
            f"{self.total('duplicate')} duplicate, {len(self.refused)} refused"
        )


class Import:
    """One run: files in, tally out. The same crash in two files of a run is taken once."""

    def __init__(self, services: Services, app_id: str | None, *, wait: bool = True) -> None:
        """Without `app_id` a file goes to the app that its own bundle identifier or package
        names. Without `wait` the crashes are left in the queue, for a server's workers. On a
        stack its functions process them; it is waited for as long as they get on."""
        if app_id is not None:
            services.accounts.app(app_id)
        self._services = services
        self._app_id = app_id
        self._wait = wait
        self._worker = Worker(services) if services.settings.store == "embedded" else None
        self._seen: set[bytes] = set()
        self._taken: dict[int, tuple[str, str]] = {}
        self.tally = Tally()

    def run(self, paths: Sequence[Path]) -> Tally:
        """Take in every file below the paths, with a progress bar on a terminal."""
        files = sorted({file for path in paths for file in _files(path)})
        with tqdm(files, unit="file", disable=not sys.stderr.isatty()) as bar:
            for file in bar:
                self.tally.files += 1
                try:
                    self._take(file)
                except (CrashbucketError, OSError) as error:
                    self.tally.refused.append((str(file), str(error)))
                if len(self._taken) >= _AT_ONCE:
                    self._settle(bar)
            self._settle(bar)
        return self.tally

    def _take(self, file: Path) -> None:
        for kind, received in self._payloads(file):
            mark = _fingerprint(received)
            if mark in self._seen:
                self.tally.counts[kind, "duplicate"] += 1
                continue
            self._seen.add(mark)
            self._taken[self._services.intake.receive(_kept(received))] = (kind, str(file))

    def _payloads(self, file: Path) -> list[tuple[str, Payload]]:
        """The crashes of a file, with their kind: one of a log or a minidump, any number of
        QuincyKit's XML."""
        if file.stat().st_size > _MAX_FILE_BYTES:
            raise InvalidRequest({"file": [f"is larger than {_MAX_FILE_BYTES} bytes"]})
        content = file.read_bytes()
        if content[:64].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
            return [
                ("quincy_xml", payload_of(self._app(crash.bundleidentifier), crash, clock.now()))
                for crash in quincy_xml.parse(content)
            ]
        if content.startswith(GZIP_MAGIC):
            content = unpacked(content, _MAX_FILE_BYTES)
        if is_dump(content):
            posted = PostedDump(content, {"filename": file.name})
            return [("minidump", dump_payload(self._app(""), DUMPS, posted, clock.now()))]
        kind = detect(content) or "unknown"
        app_id = self._app_id or self._app(_package(kind, content))
        return [(kind, Payload(app_id, "import", clock.now(), content))]

    def _app(self, bundle_id: str) -> str:
        if self._app_id is not None:
            return self._app_id
        if not bundle_id:
            raise FormatError("the file names no app: use --app")
        apps: Sequence[App] = self._services.accounts.apps_with_bundle(bundle_id)
        if not apps:
            raise NotFound("app with bundle identifier", bundle_id)
        return apps[0].app_id

    # --- what became of them ---

    def _settle(self, bar: tqdm[Path]) -> None:
        """Process what was taken, or see it processed by a running server's workers or a stack's
        functions."""
        got_on_at = time.monotonic()
        while self._wait and self._taken:
            before = len(self._taken)
            bar.set_postfix_str(f"{before} being processed")
            worked = self._worker.step() if self._worker else 0
            self._tell_apart()
            if worked or len(self._taken) < before:
                got_on_at = time.monotonic()
            elif self._worker is None and time.monotonic() - got_on_at > _PATIENCE_S:
                break
            if self._taken and not worked:
                time.sleep(_PAUSE_S if self._worker else _LOOK_EVERY_S)
        bar.set_postfix_str("")
        for kind, _ in self._taken.values():
            self.tally.counts[kind, "waiting"] += 1
        self._taken.clear()

    def _tell_apart(self) -> None:
        """Tally what is a report or a dead letter by now."""
        ids = list(self._taken)
        for start in range(0, len(ids), MAX_BATCH_ITEMS // 2):
            part = ids[start : start + MAX_BATCH_ITEMS // 2]
            places = [key for i in part for key in (keys.report(i), keys.deadletter(i))]
            found = self._services.table.batch_get(places)
            for report_id in part:
                letter = found.get(keys.deadletter(report_id))
                if keys.report(report_id) in found:
                    kind, _ = self._taken.pop(report_id)
                    self.tally.counts[kind, "stored"] += 1
                elif letter is not None:
                    kind, name = self._taken.pop(report_id)
                    self.tally.counts[kind, "dead"] += 1
                    self.tally.dead.append((name, DeadLetter.from_item(letter).reason))


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from (found for found in path.rglob("*") if found.is_file())
    else:
        yield path


def _package(kind: str, content: bytes) -> str:
    """The bundle identifier or package that a log names; empty when it names none."""
    if kind.startswith("apple"):
        return log.parse(content).app.package or ""
    return hockeyapp_log.read_header(content).get("Package", "")


def _kept(received: Payload) -> Payload:
    """Whoever brings crashes in wants all of them, however many a minute takes."""
    return replace(received, fields={**received.fields, KEPT: "1"})


def _fingerprint(received: Payload) -> bytes:
    """What two copies of one crash have in common."""
    parts = (received.app_id.encode(), received.log, received.description, *_fields(received))
    return hashlib.sha256(b"\0".join(parts)).digest()


def _fields(received: Payload) -> Iterator[bytes]:
    for name, value in sorted(received.fields.items()):
        yield f"{name}={value}".encode("utf-8", "replace")
