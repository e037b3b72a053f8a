"""What people decide about groups: their status, their ticket, what they note about them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast
from urllib.parse import urlsplit

from chalicelib import clock, keys
from chalicelib.counts import Counts
from chalicelib.errors import InvalidRequest, NotFound
from chalicelib.ids import IdSource
from chalicelib.records import IGNORED, OPEN, RESOLVED, Annotation, Group, Version
from chalicelib.storage.ports import (
    Check,
    ConditionFailed,
    Conflict,
    Delete,
    Put,
    SortRange,
    Table,
    Update,
    Value,
    get_all,
    query_all,
)
from chalicelib.version_order import newest

MAX_TICKET_CHARS = 2000  # what browsers and trackers take as a URL
MAX_ANNOTATION_CHARS = 50_000  # 200 kB at most in UTF-8: half of an item
_MAX_ATTEMPTS = 10  # to write an annotation while others write it


class Triage:
    """Changes groups. Those of another app than the one named are `NotFound`."""

    def __init__(self, table: Table, counts: Counts, ids: IdSource) -> None:
        self._table = table
        self._counts = counts
        self._ids = ids

    def update(
        self,
        app_id: str,
        group_id: int,
        *,
        status: int | None = None,
        ticket_url: str | None = None,
        version: Version | None = None,
    ) -> None:
        """Set the status, the ticket, or both; None leaves it, an empty ticket takes it away.

        A group is resolved in `version`, or else in the newest version that it
        has crashed in: a crash in a newer one opens it again (regressions.py).
        Raises `InvalidRequest` by field.
        """
        self._group(app_id, group_id)
        set_: dict[str, Value] = {}
        removed: list[str] = []
        now = clock.to_stored(clock.now())
        if status is not None:
            if status not in {OPEN, RESOLVED, IGNORED}:
                raise InvalidRequest({"status": ["must be 0 (open), 1 (resolved) or 2 (ignored)"]})
            set_["status"] = status
            removed += ["resolved_at", "resolved_in_version_id"]
        if status == RESOLVED:
            resolved_in = version or newest(self._crashed_in(app_id, group_id))
            set_["resolved_at"] = now
            if resolved_in is not None:
                set_["resolved_in_version_id"] = resolved_in.version_id
            removed += ["regressed_at", "regressed_in_version_id"]
        if ticket_url:
            set_["ticket_url"] = _checked(ticket_url)
        elif ticket_url is not None:
            removed.append("ticket_url")
        if not (set_ or removed):
            return
        set_["updated_at"] = now
        removed = [name for name in removed if name not in set_]
        update = Update(keys.group(group_id), set=set_, remove=tuple(removed), must_exist=True)
        try:
            self._table.write([update])
        except ConditionFailed as error:
            raise NotFound("crash reason", str(group_id)) from error

    # --- annotations ---

    def annotation(self, app_id: str, group_id: int) -> Annotation | None:
        self._group(app_id, group_id)
        return self._annotation(group_id)

    def annotate(self, app_id: str, group_id: int, text: str) -> Annotation | None:
        """Note this about the group, in place of what was noted; an empty text takes that away."""
        if len(text) > MAX_ANNOTATION_CHARS:
            told = f"must not be longer than {MAX_ANNOTATION_CHARS} characters"
            raise InvalidRequest({"text": [told]})
        if not text:
            self.remove_annotation(app_id, group_id)
            return None
        for _ in range(_MAX_ATTEMPTS):
            self._group(app_id, group_id)
            now = clock.to_stored(clock.now())
            known = self._annotation(group_id)
            made = Annotation(
                known.annotation_id if known else self._ids.next(),
                group_id,
                text,
                known.created_at if known else now,
                now,
            )
            if known is None:
                write: Put | Update = Put(made.item(), if_absent=True)
            else:
                write = Update(
                    keys.annotation(group_id),
                    set={"text": text, "updated_at": now},
                    require={"annotation_id": known.annotation_id},
                )
            try:
                self._table.write([write, Check(keys.group(group_id))])
            except ConditionFailed:  # another one was written, or it or the group was taken away
                continue
            return made
        raise Conflict(f"others keep writing the annotation of group {group_id}")

    def remove_annotation(self, app_id: str, group_id: int) -> None:
        self._group(app_id, group_id)
        self._table.write([Delete(keys.annotation(group_id))])

    # --- helpers ---

    def _group(self, app_id: str, group_id: int) -> Group:
        item = self._table.get(keys.group(group_id))
        if item is None or item["app_id"] != app_id:
            raise NotFound("crash reason", str(group_id))
        return Group.from_item(item)

    def _annotation(self, group_id: int) -> Annotation | None:
        item = self._table.get(keys.annotation(group_id))
        return Annotation.from_item(item) if item else None

    def _crashed_in(self, app_id: str, group_id: int) -> Iterator[Version]:
        """The versions that the group has crashed in."""
        parts = SortRange.beginning_with(keys.group_version(group_id, 0).sk.rstrip("0"))
        rows = (row for row in self._counts.pending(app_id).rows if row.group_id == group_id)
        ids = {row.version_id for row in rows}
        for item in query_all(self._table, keys.group_partition(group_id), sort=parts):
            ids.add(cast(int, item["version_id"]))
        found = get_all(self._table, map(keys.version_by_id, sorted(ids)))
        return map(Version.from_item, found.values())


def _checked(ticket_url: str) -> str:
    """A web address, as it was given; raises `InvalidRequest`."""
    problem = "must be the URL of a ticket, beginning with http:// or https://"
    if len(ticket_url) > MAX_TICKET_CHARS:
        told = f"must not be longer than {MAX_TICKET_CHARS} characters"
        raise InvalidRequest({"ticket_url": [told]})
    try:
        parts = urlsplit(ticket_url)
        is_web = parts.scheme in {"http", "https"} and bool(parts.hostname)
        _ = parts.port  # raises for what is no port
    except ValueError:
        is_web = False
    if not is_web or " " in ticket_url or not ticket_url.isprintable():
        raise InvalidRequest({"ticket_url": [problem]})
    return ticket_url
