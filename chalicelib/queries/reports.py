"""Reports by the ids their clients gave them, with their buckets and what explains those."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chalicelib import keys
from chalicelib.accounts import Accounts
from chalicelib.bucketing.assignment import Assignment, Comparison, Match, Preview, Weight
from chalicelib.bucketing.engine import Bucketing
from chalicelib.bucketing.stack import Stack, normalise
from chalicelib.errors import NotFound
from chalicelib.formats.partycrasher_json import parse, read_object
from chalicelib.formats.partycrasher_rules import is_possible_id, without_generated
from chalicelib.queries.crashes import CrashQueries
from chalicelib.reading import Reader
from chalicelib.records import Alias, App, StoredReport
from chalicelib.storage.ports import MAX_BATCH_ITEMS, Table, get_all


@dataclass(frozen=True, slots=True)
class TopMatch:
    """The report closest to another one, of those known before it; `score` from 0 to 12."""

    database_id: str
    app: App
    score: float


@dataclass(frozen=True, slots=True)
class FiledReport:
    """A stored report with its app and its bucket at each threshold."""

    stored: StoredReport
    app: App
    buckets: Mapping[str, str]
    top_match: TopMatch | None

    @property
    def database_id(self) -> str:
        return self.stored.database_id or str(self.stored.report_id)


@dataclass(frozen=True, slots=True)
class DryRun:
    """Where a report would go; None at a threshold where it would open a bucket."""

    buckets: Mapping[str, str | None]
    top_match: TopMatch | None


@dataclass(frozen=True, slots=True)
class ReportComparison:
    """Two reports side by side; `same` tells for each threshold whether they share a bucket."""

    comparison: Comparison
    same: Mapping[str, bool]


class ReportQueries:
    """Reads reports that came with an id of their own."""

    def __init__(
        self,
        table: Table,
        crashes: CrashQueries,
        bucketing: Bucketing,
        accounts: Accounts,
        reader: Reader,
    ) -> None:
        self._table = table
        self._crashes = crashes
        self._bucketing = bucketing
        self._accounts = accounts
        self._reader = reader

    def aliases(self, database_ids: Iterable[str]) -> dict[str, Alias]:
        """Who has these ids, of those that are taken."""
        possible = filter(is_possible_id, database_ids)
        items = get_all(self._table, map(keys.database_id, possible))
        found = map(Alias.from_item, items.values())
        return {alias.database_id: alias for alias in found}

    def report(self, database_id: str) -> FiledReport:
        """The report of that id; `NotFound` when no report has it."""
        alias = self.aliases([database_id]).get(database_id)
        found = StoredReport.at(self._table.get(keys.report(alias.report_id))) if alias else None
        if found is None:
            raise NotFound("report", database_id)
        return self.filed([found])[0]

    def reports(self, report_ids: Sequence[int]) -> dict[int, FiledReport]:
        """Those of the reports that exist, by their ids."""
        items = get_all(self._table, map(keys.report, report_ids))
        found = (StoredReport.at(item) for item in items.values())
        filed = self.filed([report for report in found if report is not None])
        return {entry.stored.report_id: entry for entry in filed}

    def filed(self, reports: Sequence[StoredReport]) -> list[FiledReport]:
        """The same reports, in the same order, with their buckets."""
        assignments = self._assignments(report.fingerprint for report in reports)
        matches: dict[int, Match] = {}
        for report in reports:
            assignment = assignments.get(report.fingerprint)
            own_id = report.database_id or str(report.report_id)
            if assignment and (match := assignment.match_of(own_id)):
                matches[report.report_id] = match
        known = self._known_matches(matches.values())
        filed = []
        for report in reports:
            assignment = assignments.get(report.fingerprint)
            top = matches.get(report.report_id)
            filed.append(
                FiledReport(
                    stored=report,
                    app=self._accounts.app(report.app_id),
                    buckets=assignment.buckets if assignment else {},
                    top_match=known.get(top) if top else None,
                )
            )
        return filed

    def posted(self, report: StoredReport) -> dict[str, Any]:
        """What was posted, as it was, but for the properties that are generated."""
        return without_generated(read_object(self._crashes.payload(report.report_id).log))

    def rarity(self, posted: Mapping[str, Any]) -> Mapping[str, float]:
        """`logdf` of the functions in the stack trace: minus log2 of the share of reports
        that hold each (bits)."""
        names = {
            frame["function"]
            for frame in posted.get("stacktrace") or ()
            if isinstance(frame, dict) and isinstance(frame.get("function"), str)
        }
        return self._bucketing.rarity(sorted(names)) if names else {}

    # --- explaining ---

    def dry_run(self, raw: bytes, app: App | None, forced: str | None) -> DryRun:
        """Where the posted report would be put in the app, if it is there; nothing is stored."""
        preview = self._bucketing.preview(normalise(parse(raw)), app.app_id if app else None)
        if forced is not None:
            preview = Preview(dict.fromkeys(self._bucketing.thresholds, forced), preview.match)
        match = preview.match
        known = self._known_matches([match]) if match else {}
        return DryRun(preview.buckets, known.get(match) if match else None)

    def summary(self, report: StoredReport) -> tuple[Weight, ...]:
        """What makes the report what it is: its terms by falling weight."""
        return self._bucketing.summary(self._stack(report))

    def compare(self, report: FiledReport, other: FiledReport) -> ReportComparison:
        comparison = self._bucketing.compare(self._stack(report.stored), self._stack(other.stored))
        same = {
            threshold: other.buckets.get(threshold) == bucket_id
            for threshold, bucket_id in report.buckets.items()
        }
        return ReportComparison(comparison, same)

    # --- helpers ---

    def _stack(self, report: StoredReport) -> Stack:
        stack = normalise(self._reader.crash(self._crashes.payload(report.report_id)))
        return self._bucketing.named(stack, report.app_id)

    def _assignments(self, fingerprints: Iterable[str]) -> dict[str, Assignment]:
        distinct = list(dict.fromkeys(fingerprints))
        found: dict[str, Assignment] = {}
        for start in range(0, len(distinct), MAX_BATCH_ITEMS):
            found.update(self._bucketing.assignments(distinct[start : start + MAX_BATCH_ITEMS]))
        return found

    def _known_matches(self, matches: Iterable[Match]) -> dict[Match, TopMatch]:
        """The matches whose report is still there; it may have been deleted since."""
        distinct = set(matches)
        aliases = self.aliases({match.founder.database_id for match in distinct})
        return dict(self._top_matches(distinct, aliases))

    def _top_matches(
        self, matches: Iterable[Match], aliases: Mapping[str, Alias]
    ) -> Iterator[tuple[Match, TopMatch]]:
        for match in matches:
            alias = aliases.get(match.founder.database_id)
            if alias is not None and alias.app_id == match.founder.app_id:
                app = self._accounts.app(alias.app_id)
                yield match, TopMatch(alias.database_id, app, match.score)
