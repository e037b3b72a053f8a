"""Above an app's quota a sample of its reports is kept, and all are counted.

Of each stack, version and minute one report is kept, the *sample*; others that
come are counted through it. A note takes the place of such a report, so that
its event counts once however often it is delivered; the delta that counts it
names the sample, and folding moves it into the sample's *weight*, to where the
sample is by then. So no two workers write to one sample, and whatever moves or
deletes a report moves or deletes its weight with it. A report whose stack or
group is new is always kept.

A report that is counted only has the sample's date: the same minute.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from chalicelib import clock, keys
from chalicelib.deltas import Row
from chalicelib.quota import minute_of
from chalicelib.records import Sample, StoredReport
from chalicelib.storage.ports import Delete, Key, Table, Update, get_all

# After which no event of a report can come any more: SQS keeps a message for 14 days.
NOTE_KEPT = timedelta(days=15)

_DIGEST_BYTES = 16


def sample_digest(fingerprint: str, version_number: str, version_name: str, date: str) -> str:
    """What reports have in common of which one stands for the others; the version as it is
    called, since that is known before its id is."""
    parts = (fingerprint, version_number, version_name, minute_of(date))
    told = "\0".join(parts).encode("utf-8", "replace")
    return hashlib.blake2b(told, digest_size=_DIGEST_BYTES).hexdigest()


def sample_of(report: StoredReport, key: Key) -> Sample:
    return Sample(
        key.pk.rpartition("#")[2],
        report.app_id,
        report.report_id,
        report.group_id,
        report.version_id,
        report.fingerprint,
        report.date,
    )


def row_behind(sample: Sample) -> Row:
    """The row of one report that is counted through a sample."""
    return Row(
        sample.group_id, sample.version_id, sample.date[:10], sample.fingerprint,
        1, sample.date, sample.date, 1, sample.digest,
    )  # fmt: skip


def placed(row: Row, sample: Sample) -> Row:
    """The row of reports behind a sample, as they count where the sample is now."""
    return row._replace(
        group_id=sample.group_id,
        version_id=sample.version_id,
        day=sample.date[:10],
        stack=sample.fingerprint,
        first=sample.date,
        last=sample.date,
    )


def read_samples(table: Table, app_id: str, digests: Iterable[str]) -> dict[str, Sample]:
    items = get_all(table, (keys.sample(app_id, digest) for digest in digests if digest))
    return {sample.digest: sample for sample in map(Sample.from_item, items.values())}


class Weights:
    """What reports of one app stand for beside themselves, as it was read; to be used at once."""

    def __init__(self, table: Table, app_id: str, reports: Iterable[StoredReport]) -> None:
        """Reads nothing where none of the reports is a sample."""
        ours = (report for report in reports if report.app_id == app_id)
        digests = {report.sample for report in ours if report.sample}
        self._samples = read_samples(table, app_id, sorted(digests)) if digests else {}

    def of(self, report: StoredReport) -> int:
        sample = self._sample(report)
        return sample.weight if sample is not None else 0

    def moved(self, report: StoredReport, to: StoredReport) -> list[Update]:
        """What moves the weight along; fails where it has grown since."""
        sample = self._sample(report)
        if sample is None:
            return []
        place = replace(
            sample, group_id=to.group_id, version_id=to.version_id, fingerprint=to.fingerprint
        )
        values = {name: getattr(place, name) for name in ("group_id", "version_id", "fingerprint")}
        return [Update(sample.key(), set=values, require={"weight": sample.weight})]

    def taken(self, report: StoredReport) -> list[Delete]:
        """What takes the weight away with its report; fails where it has grown since."""
        sample = self._sample(report)
        return [Delete(sample.key(), require={"weight": sample.weight})] if sample else []

    def _sample(self, report: StoredReport) -> Sample | None:
        """The report's sample, unless another report has taken its place."""
        found = self._samples.get(report.sample or "")
        return found if found is not None and found.report_id == report.report_id else None


def note_expiry() -> int:
    """When the note in the place of a report that is counted only may go (seconds since 1970)."""
    return int((clock.now() + NOTE_KEPT).timestamp())
