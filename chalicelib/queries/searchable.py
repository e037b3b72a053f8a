"""What is searchable of a report, read as cheaply as a query allows."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from chalicelib import keys, payload
from chalicelib.bucketing.assignment import Assignment
from chalicelib.bucketing.engine import Bucketing
from chalicelib.errors import FormatError
from chalicelib.formats.bounded_json import read_object
from chalicelib.queries.document import Document, document, flattened
from chalicelib.records import App, StoredReport
from chalicelib.storage.ports import MAX_BATCH_ITEMS, BlobNotFound, Blobs
from chalicelib.ttl_cache import TtlCache

POSTED_DOOR = "partycrasher"  # the door whose payload's log is the posted JSON

_log = logging.getLogger(__name__)

_KNOWN_STACK_S = 60.0  # a person may merge or split buckets; a search may be that late
_MAX_POSTED_CHARS = 4_000_000  # JSON read for a search; what is beyond any door's limit is forged

# Ours, whatever was posted under these names.
_CANONICAL = frozenset(
    {
        *("report_id", "app_id", "app_number", "version_id", "group_id", "fingerprint", "door"),
        *("database_id", "project", "date", "received_at", "bucket_id", "buckets"),
    }
)
_GENERATED = frozenset({"buckets", "bucket_id", "href", "top_match", "date", "project"})
# Found by name only: a word such as "1" or "true" means the crash, not our book-keeping.
_ONLY_BY_NAME = frozenset(
    {
        *("report_id", "app_id", "app_number", "version_id", "group_id", "fingerprint", "door"),
        *("received_at", "bucket_id", "buckets", "has_description", "attachments", "unread"),
        *("jail_break", "date", "occurred_at"),
    }
)


class DocumentReader:
    """Makes the documents of reports for a query that looks at certain fields."""

    def __init__(
        self, blobs: Blobs, bucketing: Bucketing, app_of: Callable[[str], App | None]
    ) -> None:
        self._blobs = blobs
        self._bucketing = bucketing
        self._app_of = app_of
        self._assignments: TtlCache[str, Assignment] = TtlCache(_KNOWN_STACK_S)

    def read(
        self, reports: Sequence[StoredReport], fields: Collection[str | None]
    ) -> Iterator[Document]:
        """A document for each report, with at least the fields asked for (None: all)."""
        names = {None if name is None else name.casefold().partition(".")[0] for name in fields}
        buckets: Mapping[str, Assignment] = {}
        if names & {"buckets", "bucket_id"}:
            buckets = self._assigned({report.fingerprint for report in reports})
        needs_posted = not names <= _CANONICAL
        for report in reports:
            pairs = list(self._attributes(report)) if names else []
            if report.fingerprint in buckets:
                pairs.extend(self._buckets(buckets[report.fingerprint]))
            if needs_posted and report.door == POSTED_DOOR:
                pairs.extend(self._posted(report))
            yield document(pairs, _ONLY_BY_NAME)

    def _attributes(self, report: StoredReport) -> Iterator[tuple[str, str]]:
        attributes: dict[str, Any] = report.attributes()
        attributes.pop("posted", None)
        attributes.setdefault("database_id", str(report.report_id))
        app = self._app_of(report.app_id)
        if app is not None:
            attributes["project"] = app.name
        return flattened(attributes)

    def _buckets(self, assignment: Assignment) -> Iterator[tuple[str, str]]:
        for threshold, bucket_id in assignment.buckets.items():
            yield f"buckets.{threshold}.id", bucket_id
        default = assignment.buckets.get(self._bucketing.default_threshold)
        if default is not None:
            yield "bucket_id", default

    def _posted(self, report: StoredReport) -> Iterable[tuple[str, str]]:
        """The properties that a client posted, those that are the report's own attributes too."""
        try:
            text = self._posted_text(report)
            if len(text) > _MAX_POSTED_CHARS:
                return ()
            posted, _ = read_object(text.lstrip())
        except (FormatError, zlib.error) as error:
            _log.warning(
                "what was posted of report %s is not searched: %s", report.report_id, error
            )
            return ()
        own = {name: value for name, value in posted.items() if name not in _GENERATED}
        return flattened(own)

    def _posted_text(self, report: StoredReport) -> str:
        if report.posted is not None:
            inflated = zlib.decompressobj().decompress(report.posted, _MAX_POSTED_CHARS)
        else:
            try:
                inflated = payload.read(self._blobs, keys.raw_blob(report.report_id)).log
            except BlobNotFound as error:
                raise FormatError("its payload is gone") from error
        return inflated.decode("utf-8", "replace")

    def _assigned(self, fingerprints: Iterable[str]) -> dict[str, Assignment]:
        found: dict[str, Assignment] = {}
        unknown: list[str] = []
        for fingerprint in fingerprints:
            known = self._assignments.get(fingerprint)
            if known is None:
                unknown.append(fingerprint)
            else:
                found[fingerprint] = known
        for start in range(0, len(unknown), MAX_BATCH_ITEMS):
            read = self._bucketing.assignments(unknown[start : start + MAX_BATCH_ITEMS])
            for fingerprint, assignment in read.items():
                self._assignments.put(fingerprint, assignment)
                found[fingerprint] = assignment
        return found
