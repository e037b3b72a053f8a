"""Which crashes of a batch are kept, and which are counted only (sampling.py)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from chalicelib import clock, keys
from chalicelib.crash import Crash
from chalicelib.landing import CLAIM, DOOR
from chalicelib.payload import MINIDUMP_DOORS
from chalicelib.records import App, Deleted, Landing, Sample, StoredReport
from chalicelib.sampling import note_expiry, sample_of
from chalicelib.storage.ports import Check, Item, Key, Operation, Put, Table


class Keeping:
    """Decides for the crashes of one batch, in their order; sees what it has decided so far.

    `room` tells how many more reports an app keeps in a minute; None: any number.
    """

    def __init__(self, table: Table, room: Callable[[App, str], int | None]) -> None:
        self._table = table
        self._room = room
        self._samples: dict[Key, Sample | None] = {}
        self._described: dict[Key, bool] = {}
        self.kept: Counter[tuple[str, str]] = Counter()  # by app and minute
        self.counted: dict[int, Crash] = {}  # those that are counted only, by their ids

    def wanted(self, crashes: Iterable[Crash], coming: int) -> list[Key]:
        """What is to be looked up for those of the crashes that may be above their quota."""
        wanted: list[Key] = []
        for crash in crashes:
            if crash.stack.fingerprint and self.is_above(crash, coming=coming):
                wanted.append(crash.sample_key(crash.stack.fingerprint))
                if crash.received.door in MINIDUMP_DOORS:
                    wanted.append(keys.feedback(crash.report_id))
        return wanted

    def looked_up(self, wanted: Iterable[Key], found: Mapping[Key, Item]) -> None:
        for key in wanted:
            item = found.get(key)
            if key.sk != keys.SAMPLE:
                self._described[key] = item is not None
            else:
                self._samples[key] = Sample.from_item(item) if item is not None else None

    def is_above(self, crash: Crash, *, coming: int = 0) -> bool:
        """Whether its app has had its reports of the minute; with those that are `coming` yet."""
        if crash.is_always_kept:
            return False
        room = self._room(crash.app, crash.minute)
        return room is not None and self.kept[crash.app.app_id, crash.minute] + coming >= room

    def sample(self, crash: Crash, fingerprint: str) -> Sample | None:
        """The report through which a crash may be counted: stored, or to be in this batch."""
        key = crash.sample_key(fingerprint)
        if key not in self._samples:
            self.looked_up([key], self._table.batch_get([key]))
        return self._samples[key]

    def is_described(self, crash: Crash) -> bool:
        """Whether its user wrote about it by itself already: then it is kept."""
        if crash.received.door not in MINIDUMP_DOORS:
            return False
        key = keys.feedback(crash.report_id)
        if key not in self._described:
            self._described[key] = self._table.get(key) is not None
        return self._described[key]

    def keep(self, crash: Crash) -> None:
        self.kept[crash.app.app_id, crash.minute] += 1

    def as_sample(self, crash: Crash, report: StoredReport) -> tuple[StoredReport, list[Operation]]:
        """The report as one that stands for those that come after it, if none does yet."""
        # Without frames its stack is its own, and no other comes.
        if not crash.stack.frames or self.sample(crash, report.fingerprint) is not None:
            return report, []
        key = crash.sample_key(report.fingerprint)
        sample = sample_of(report, key)
        self._samples[key] = sample
        return replace(report, sample=sample.digest), [Put(sample.item(), if_absent=True)]

    def count(self, crash: Crash, sample: Sample) -> list[Operation]:
        """What takes the place of the report, first of all a note, without which its event would
        count again."""
        expires_at = note_expiry()
        door, app_id = crash.received.door, crash.app.app_id
        note = Deleted(
            crash.report_id,
            app_id,
            clock.to_stored(clock.now()),
            door,
            expires_at=expires_at,
            counted_by=sample.report_id,
        )
        operations: list[Operation] = [Put(note.item(), if_absent=True)]
        if door in MINIDUMP_DOORS:  # what its user writes meanwhile must not be left without it
            operations.append(Check(keys.feedback(crash.report_id), exists=False))
        claim = crash.received.fields.get(CLAIM) if door == DOOR else None
        if claim is not None:  # until no event of what landed can come any more
            operations.append(Put(Landing(claim, app_id, crash.report_id, expires_at).item()))
        self.counted[crash.report_id] = crash
        return operations
