"""What is searchable of a report, read as cheaply as a query allows."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields as dataclass_fields
from typing import Generic, TypeVar, cast

from chalicelib import keys, payload
from chalicelib.bucketing.assignment import Assignment
from chalicelib.bucketing.engine import Bucketing
from chalicelib.errors import FormatError
from chalicelib.formats.partycrasher_json import read_object
from chalicelib.formats.partycrasher_rules import without_generated
from chalicelib.payload import PARTYCRASHER
from chalicelib.queries.document import Document, DocumentBuilder, SharedValues, Value, value_of
from chalicelib.records import App, PostedJson, StoredReport
from chalicelib.storage.ports import MAX_BATCH_ITEMS, BlobNotFound, Blobs, Item, Table, get_all
from chalicelib.ttl_cache import TtlCache

T = TypeVar("T")

_log = logging.getLogger(__name__)

_KNOWN_STACK_S = 60.0  # a person may merge or split buckets; a search may be that late
_MAX_POSTED_BYTES = 20_000_000  # the largest body that is taken

# Of what was posted, the report's item has these; a query for nothing else need not read the rest.
_IN_ITEM = frozenset({"database_id", "project", "date"})
_GENERATED = frozenset({"buckets"})  # what was posted under these names does not count
# Found by name only: a word such as "1" or "true" means the crash, not our book-keeping.
_BOOK_KEEPING = frozenset(
    {
        *("report_id", "app_id", "app_number", "version_id", "group_id", "fingerprint", "door"),
        *("date", "received_at", "occurred_at", "has_description", "attachments", "unread"),
        "jail_break",
    }
)
_SPOKEN = tuple(
    entry.name for entry in dataclass_fields(StoredReport) if entry.name not in _BOOK_KEEPING
)


class DocumentReader:
    """Makes the documents of reports for a query that looks at certain fields."""

    def __init__(
        self, table: Table, blobs: Blobs, bucketing: Bucketing, app_of: Callable[[str], App | None]
    ) -> None:
        self._table = table
        self._blobs = blobs
        self._default_threshold = bucketing.default_threshold
        self._app_of = app_of
        self._assignments = _KnownStacks(bucketing.assignments)
        self._functions = _KnownStacks(
            lambda fingerprints: {
                fingerprint: SharedValues("stacktrace.function", functions)
                for fingerprint, functions in bucketing.functions(fingerprints).items()
            }
        )

    def read(self, reports: Sequence[Item], fields: Collection[str | None]) -> Iterator[Document]:
        """A document for each stored report, with at least the fields asked for (None: all)."""
        asked = {None if name is None else name.casefold().partition(".")[0] for name in fields}
        assignments: Mapping[str, Assignment] = {}
        functions: Mapping[str, SharedValues] = {}
        stacks = [cast(str, report["fingerprint"]) for report in reports]
        if asked & {"buckets", "bucket_id"}:
            assignments = self._assignments.of(stacks)
        if asked & {None, "stacktrace"}:
            functions = self._functions.of(
                stack
                for stack, report in zip(stacks, reports, strict=True)
                if report["door"] != PARTYCRASHER
            )
        anywhere = None in asked
        spoken = tuple(name for name in _SPOKEN if anywhere or name in asked)
        by_name = tuple(name for name in _BOOK_KEEPING if name in asked)
        needs_posted = not asked <= _IN_ITEM | _GENERATED
        posted = self._posted(reports) if needs_posted else {}
        named = anywhere or "database_id" in asked or "project" in asked

        def own(report: Item) -> DocumentBuilder:
            builder = DocumentBuilder()
            builder.add_known(report, spoken)
            builder.add_known(report, by_name, by_name_only=True)
            if named:
                self._add_names(builder, report)
            return builder

        def project_of(report: Item) -> str:
            app = self._app_of(cast(str, report["app_id"]))
            return app.name if app else ""

        for stack, report in zip(stacks, reports, strict=True):
            is_posted = report["door"] == PARTYCRASHER
            if stack in functions and stack not in assignments and not is_posted:
                attributes = _Attributes(report, spoken, project_of(report), own)
                yield Document({}, {}, (functions[stack],), attributes)
                continue
            builder = own(report)
            if stack in assignments:
                self._add_buckets(builder, assignments[stack])
            if is_posted and needs_posted:
                self._add_posted(builder, cast(int, report["report_id"]), posted, asked)
            if stack in functions and not is_posted:
                builder.add_shared(functions[stack])
            yield builder.document()

    def _add_names(self, builder: DocumentBuilder, report: Item) -> None:
        app = self._app_of(cast(str, report["app_id"]))
        names: dict[str, object] = {"project": app.name if app is not None else None}
        if report.get("database_id") is None:
            names["database_id"] = report["report_id"]
        builder.add_known(names, tuple(names))

    def _add_buckets(self, builder: DocumentBuilder, assignment: Assignment) -> None:
        for threshold, bucket_id in assignment.buckets.items():
            builder.add_by_name_only(f"buckets.{threshold}.id", bucket_id)
        builder.add_by_name_only("bucket_id", assignment.buckets.get(self._default_threshold))

    def _add_posted(
        self,
        builder: DocumentBuilder,
        report_id: int,
        deflated: Mapping[int, bytes],
        asked: Collection[str | None],
    ) -> None:
        """The properties that the client posted, of those asked for."""
        try:
            posted = without_generated(read_object(self._json(report_id, deflated.get(report_id))))
        except (FormatError, zlib.error) as error:
            _log.warning("what was posted of report %s is not searched: %s", report_id, error)
            return
        for name, value in posted.items():
            if name not in _IN_ITEM and (None in asked or name.casefold() in asked):
                builder.add(name, value)

    def _posted(self, reports: Sequence[Item]) -> dict[int, bytes]:
        """The deflated JSON of those of PartyCrasher's reports that have it beside them."""
        ids = (
            cast(int, report["report_id"]) for report in reports if report["door"] == PARTYCRASHER
        )
        items = get_all(self._table, map(keys.posted, ids)).values()
        found = map(PostedJson.from_item, items)
        return {posted.report_id: posted.deflated for posted in found}

    def _json(self, report_id: int, deflated: bytes | None) -> bytes:
        if deflated is not None:
            inflated = zlib.decompressobj().decompress(deflated, _MAX_POSTED_BYTES)
        else:
            try:
                inflated = payload.read(self._blobs, keys.raw_blob(report_id)).log
            except BlobNotFound as error:
                raise FormatError("its payload is gone") from error
        if len(inflated) > _MAX_POSTED_BYTES:
            raise FormatError(f"it has more than {_MAX_POSTED_BYTES} bytes")
        return inflated


class _Attributes:
    """What an item says by itself: asked of any field, it is looked at where it lies.

    `builder` makes a document of it, where a field is named.
    """

    __slots__ = ("_builder", "_document", "_item", "_project", "_spoken")

    def __init__(
        self,
        item: Item,
        spoken: Sequence[str],
        project: str,
        builder: Callable[[Item], DocumentBuilder],
    ) -> None:
        self._item, self._spoken, self._project = item, spoken, project
        self._builder = builder
        self._document: Document | None = None

    def values(self, name: str | None) -> Iterator[Value]:
        return self._made().values(name)

    def hold(self, name: str | None, test: Callable[[Value], bool]) -> bool:
        if name is not None:
            return self._made().hold(name, test)
        item = self._item
        for attribute in self._spoken:
            text = item.get(attribute)
            if type(text) is str and test(value_of(text)):
                return True
        if item.get("database_id") is None and test(Value(str(item["report_id"]))):
            return True
        return test(value_of(self._project))

    def _made(self) -> Document:
        if self._document is None:
            self._document = self._builder(self._item).document()
        return self._document


class _KnownStacks(Generic[T]):
    """What bucketing tells of stacks, remembered for a while: many reports share one."""

    def __init__(self, look_up: Callable[[Sequence[str]], Mapping[str, T]]) -> None:
        self._look_up = look_up
        self._known: TtlCache[str, T] = TtlCache(_KNOWN_STACK_S)

    def of(self, fingerprints: Iterable[str]) -> dict[str, T]:
        found: dict[str, T] = {}
        unknown: list[str] = []
        for fingerprint in dict.fromkeys(fingerprints):
            known = self._known.get(fingerprint)
            if known is None:
                unknown.append(fingerprint)
            else:
                found[fingerprint] = known
        for start in range(0, len(unknown), MAX_BATCH_ITEMS):
            for fingerprint, told in self._look_up(
                unknown[start : start + MAX_BATCH_ITEMS]
            ).items():
                self._known.put(fingerprint, told)
                found[fingerprint] = told
        return found
