"""Prove the counts: count the reports themselves and compare.

Exact while nothing is being processed; with workers at work, a report
committed between the two readings shows as a difference of one.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date
from typing import cast

from chalicelib import keys
from chalicelib.bootstrap import Services
from chalicelib.records import GroupVersion
from chalicelib.storage.ports import query_all
from chalicelib.storage.schema import BY_APP


@dataclass(frozen=True, slots=True)
class Recount:
    """How many reports there are, and a line for each count that says otherwise."""

    reports: int
    differences: tuple[str, ...]


def recount_app(services: Services, app_id: str) -> Recount:
    """Compare every total, day, version and group of an app with its reports."""
    counted: Counter[tuple[str, str]] = Counter()
    groups: set[int] = set()
    reports = 0
    for report in services.crashes.of_app(app_id):
        reports += 1
        groups.add(report.group_id)
        version = keys.version_partition(report.version_id)
        group = keys.group_partition(report.group_id)
        day = report.date[:10]
        counted.update(
            {
                (keys.app_partition(app_id), "total"): 1,
                (keys.app_partition(app_id), day): 1,
                (version, "total"): 1,
                (version, day): 1,
                (group, "total"): 1,
                (group, day): 1,
                (group, f"version {report.version_id}"): 1,
            }
        )
    counted[keys.app_partition(app_id), "groups"] = len(groups)
    kept = _kept(services, app_id)
    differences = tuple(
        f"{partition} {what}: {kept[partition, what]} kept, {counted[partition, what]} counted"
        for partition, what in sorted({*counted, *kept})
        if kept[partition, what] != counted[partition, what]
    )
    return Recount(reports, differences)


def _kept(services: Services, app_id: str) -> Counter[tuple[str, str]]:
    """Every count the service would answer with: what is folded and what is pending."""
    kept: Counter[tuple[str, str]] = Counter()
    app = keys.app_partition(app_id)
    partitions = [app]
    for version in services.groups.versions(app_id):
        partitions.append(keys.version_partition(version.version_id))
    for item in query_all(services.table, keys.groups_of_app(app_id), index=BY_APP):
        group = keys.group_partition(cast(int, item["group_id"]))
        partitions.append(group)
        kept[group, "total"] += cast(int, item["total"])
    for partition in partitions:
        for item in query_all(services.table, partition):
            sk = cast(str, item["sk"])
            if sk == "totals":
                kept[partition, "total"] += cast(int, item.get("total", 0))
                if partition == app:
                    kept[app, "groups"] += cast(int, item.get("groups", 0))
            elif sk.startswith("days#"):
                for name, count in item.items():
                    if name[:1] == "d" and name[1:].isdigit():
                        day = date.fromisoformat(f"{sk[5:]}-{name[1:]}").isoformat()
                        kept[partition, day] += cast(int, count)
            elif sk.startswith("version#"):
                part = GroupVersion.from_item(item)
                kept[partition, f"version {part.version_id}"] += part.total
    pending = services.counts.pending(app_id)
    kept[app, "groups"] += pending.new_groups
    for row in pending.rows:
        version_partition = keys.version_partition(row.version_id)
        group = keys.group_partition(row.group_id)
        for partition in (app, version_partition, group):
            kept[partition, "total"] += row.reports
            kept[partition, row.day] += row.reports
        kept[group, f"version {row.version_id}"] += row.reports
    return kept
