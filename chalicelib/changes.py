"""What a fold changes in the counts, item by item."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, Literal, TypeAlias, cast

from chalicelib import hours, keys
from chalicelib.deltas import HourCount, Row
from chalicelib.group_places import places
from chalicelib.hours import Additions
from chalicelib.records import GroupVersion, Sample
from chalicelib.sampling import placed
from chalicelib.storage.ports import Item, Key, Update, Value

Kind: TypeAlias = Literal["group", "version", "stack"]


class Span:
    """A total with the first and last date it covers: of a group, a group in a version, a stack.

    What goes away does not narrow it (settling.py does), nor does it widen it.
    """

    def __init__(self, row: Row, kind: Kind) -> None:
        self.group_id, self.version_id = row.group_id, row.version_id
        self.kind = kind
        self.count, self.first, self.last = row.reports, row.first, row.last
        self.sampled = row.sampled
        self._is_widened = row.reports > 0

    def take(self, row: Row) -> None:
        self.count += row.reports
        self.sampled += row.sampled
        if row.reports <= 0:
            return
        is_last = not self._is_widened or row.last > self.last
        self.first = min(self.first, row.first) if self._is_widened else row.first
        if is_last:
            self.last, self.version_id = row.last, row.version_id
        self._is_widened = True

    def update(self, key: Key, current: Item | None) -> Update:
        """Add to the total and widen the span, provided that it is still as it was read."""
        if current is None and self.kind == "version":
            made = GroupVersion(
                self.group_id,
                self.version_id,
                self.count,
                self.first,
                self.last,
                self.sampled or None,
            )
            return Update(key, set={**made.attributes(), **made.orders()}, require={"total": None})
        if self.kind == "stack" and not (current and current.get("reports")):
            made_of = {"reports": self.count, "first_at": self.first, "last_at": self.last}
            before = current.get("reports") if current else None
            return Update(key, set=cast(dict[str, Any], made_of), require={"reports": before})
        if current is None:
            return Update(key, add={"total": self.count}, must_exist=True)  # fails: it is gone
        return self._widened(key, current)

    def _widened(self, key: Key, current: Item) -> Update:
        total_name = "reports" if self.kind == "stack" else "total"
        first_name = "created_at" if self.kind == "group" else "first_at"
        first_at, last_at = cast(str, current[first_name]), cast(str, current["last_at"])
        total = cast(int, current[total_name])
        first, last = (self.first, self.last) if self._is_widened else (first_at, last_at)
        values: dict[str, Any] = {}
        if last > last_at:
            values["last_at"] = last
            if self.kind == "group":
                values["last_version_id"] = self.version_id
        if first < first_at:
            values[first_name] = first
        require = {name: current[name] for name in values if name != "last_version_id"}
        if self.kind != "stack":  # its places in the lists follow
            first_at, last_at = min(first_at, first), max(last_at, last)
            owner = cast(str, current["app_id"]) if self.kind == "group" else self.version_id
            if "app_pk" in current:  # else it was merged into another, and is in none
                values |= places(owner, self.group_id, first_at, total + self.count, last_at)
            require |= {first_name: current[first_name], "last_at": current["last_at"]}
            require |= {"total": total, "app_pk": current.get("app_pk")}
        return Update(
            key,
            add={total_name: self.count, **self._sampled()},
            set=values,
            require=require,
            must_exist=True,
        )

    def _sampled(self) -> dict[str, int]:
        """How many of them are counted and not kept, which is told of groups only."""
        return {"sampled": self.sampled} if self.sampled and self.kind != "stack" else {}


class Changes:
    """What rows change, by item."""

    def __init__(self, app_id: str, new_groups: int, by_hour: Additions, today: date) -> None:
        self.app_id = app_id
        self.by_hour = by_hour
        self._today = today
        self._app = keys.app_partition(app_id)
        self.rows: dict[int, list[Row]] = {}  # by group
        self.stacks: dict[str, None] = {}
        self.counters: dict[Key, dict[str, int]] = {keys.totals(self._app): {"folds": 1}}
        self.spans: dict[Key, Span] = {}
        self.regressed = 0
        self._weights: dict[Key, tuple[Sample, int]] = {}
        if new_groups:
            self.counters[keys.totals(self._app)]["groups"] = new_groups

    def count_group_of_version(self, version_id: int) -> None:
        """A group has crashed in the version for the first time."""
        counters = self.counters[keys.totals(keys.version_partition(version_id))]
        counters["groups"] = counters.get("groups", 0) + 1

    def take(self, row: Row, room: int, sample: Sample | None) -> bool:
        """Take the row, unless the changed items would then be more than `room`.

        One of reports that are counted through a sample counts where that is by now, and nowhere
        if that was deleted.
        """
        if row.sample:
            if sample is None:
                return True
            row = placed(row, sample)
        counted = self._counters_of(row)
        spanned: list[tuple[Key, Kind]] = [
            (keys.group(row.group_id), "group"),
            (keys.group_version(row.group_id, row.version_id), "version"),
        ]
        if row.stack:
            spanned.append((keys.reports_of_stack(row.stack, self.app_id), "stack"))
        new = sum(key not in self.counters for key in {key for key, _ in counted})
        new += sum(key not in self.spans for key, _ in spanned)
        new += sample is not None and sample.key() not in self._weights
        hour = HourCount(row.version_id, row.first[:13], row.reports, 0)
        if sample is not None:
            new += sum(key not in self.by_hour for key in hours.items_of(self.app_id, hour))
        taken = len(self.counters) + len(self.spans) + len(self._weights) + len(self.by_hour)
        if taken + new > room:
            return False
        for key, name in counted:
            counters = self.counters.setdefault(key, {})
            counters[name] = counters.get(name, 0) + row.reports
            beside = _sampled_name(name) if row.sampled else None
            if beside is not None:
                counters[beside] = counters.get(beside, 0) + row.sampled
        if sample is not None:
            _, weight = self._weights.get(sample.key(), (sample, 0))
            self._weights[sample.key()] = (sample, weight + row.reports)
            hours.add(self.by_hour, self.app_id, hour, self._today)
        for key, kind in spanned:
            span = self.spans.get(key)
            if span is None:
                self.spans[key] = Span(row, kind)
            else:
                span.take(row)
        if row.stack:
            self.stacks[row.stack] = None
        self.rows.setdefault(row.group_id, []).append(row)
        return True

    def weights(self) -> Iterator[Update]:
        """What lets samples stand for more, unless one has moved since it was read."""
        for key, (sample, weight) in self._weights.items():
            place: dict[str, Value] = {
                "group_id": sample.group_id,
                "version_id": sample.version_id,
                "fingerprint": sample.fingerprint,
            }
            yield Update(key, add={"weight": weight}, require=place, must_exist=True)

    def without_lost_groups(self, found: Mapping[Key, Item]) -> list[int]:
        """Count nothing for groups that are not there, lest the rest is never counted; which."""
        lost = [
            span.group_id
            for key, span in self.spans.items()
            if span.kind == "group" and key not in found
        ]
        partitions = set(map(keys.group_partition, lost))
        self.spans = {key: span for key, span in self.spans.items() if key.pk not in partitions}
        self.counters = {
            key: counted for key, counted in self.counters.items() if key.pk not in partitions
        }
        return lost

    def _counters_of(self, row: Row) -> list[tuple[Key, str]]:
        version = keys.version_partition(row.version_id)
        month, day = row.day[:7], f"d{row.day[8:]}"
        return [
            (keys.totals(self._app), "total"),
            (keys.totals(version), "total"),
            (keys.days(self._app, month), day),
            (keys.days(version, month), day),
            (keys.days(keys.group_partition(row.group_id), month), day),
        ]


def _sampled_name(counter: str) -> str | None:
    """What counts, beside a counter of all reports that lists go by (`total`, `d21`), those of
    them that are in no list."""
    if counter == "total":
        return "sampled"
    return f"s{counter[1:]}" if counter.startswith("d") else None
