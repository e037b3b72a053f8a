"""Posted reports: checked, taken in, processed at once, and what became of each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeAlias

from chalicelib import clock
from chalicelib.errors import CrashbucketError
from chalicelib.formats import bounded_json
from chalicelib.formats.partycrasher_rules import check, without_generated
from chalicelib.handlers.common import Services, services
from chalicelib.handlers.partycrasher_errors import Refused
from chalicelib.payload import PARTYCRASHER, Payload
from chalicelib.projects import check_name
from chalicelib.queries.reports import FiledReport

_RECEIVED_AT_A_TIME = 16
MAX_REPORTS = 1000  # of one array: about what is processed within API Gateway's 29 seconds


@dataclass(frozen=True, slots=True)
class Posted:
    """One report that may be taken: as its owner wrote it, as it came, and its project."""

    own: Mapping[str, Any]
    raw: bytes
    project: str

    @property
    def database_id(self) -> str:
        return str(self.own["database_id"])

    @property
    def force_bucket(self) -> str | None:
        return self.own.get("force_bucket")


@dataclass(frozen=True, slots=True)
class Stored:
    """The report is stored, and in its buckets."""

    posted: Posted
    filed: FiledReport


@dataclass(frozen=True, slots=True)
class Known:
    """A report of that id is there, in that project, and stays as it was."""

    database_id: str
    project: str


@dataclass(frozen=True, slots=True)
class Bad:
    """The report is not taken."""

    error: CrashbucketError
    database_id: str | None


Result: TypeAlias = Stored | Known | Bad


def read_body(body: bytes) -> dict[str, Any] | list[Any]:
    """The object or the array in a body; raises `Refused` or `FormatError` for anything else."""
    if not body.strip():
        raise Refused("no_report_data_provided", "send a report as a JSON object")
    posted = bounded_json.read_exactly(body)
    if not isinstance(posted, (dict, list)):
        raise Refused("no_report_data_provided", "a report must be a JSON object")
    if not posted:
        raise Refused("no_report_data_provided", "there is no report in it")
    if len(posted) > MAX_REPORTS and isinstance(posted, list):
        told = f"{len(posted)} reports; at most {MAX_REPORTS} are taken at a time"
        raise Refused("too_many_reports", told, 413)
    return posted


def checked(posted: Any, project: str | None, raw: bytes | None = None) -> Posted:
    """One report that may be taken; `project` is the path's.

    Raises `Refused`, `BadProperty`, `BadKeyName` or `InvalidRequest` naming what is wrong.
    """
    if not isinstance(posted, dict):
        raise Refused("no_report_data_provided", "a report must be a JSON object")
    own = without_generated(posted)
    named = own.get("project", project)
    if named is None:
        raise Refused("missing_project", "the report names no project, nor does the path")
    check(own)
    if project is not None and named != project:
        told = f"the path says project {project!r}, the report {named!r}"
        raise Refused("name_mismatch", told, expected=project, actual=named)
    check_name(named)
    return Posted(own, json.dumps(posted).encode() if raw is None else raw, named)


def checked_entry(entry: Any, project: str | None) -> Posted | Bad:
    """An entry of an array: what is wrong with it stops no other."""
    try:
        return checked(entry, project)
    except CrashbucketError as error:
        told = entry.get("database_id") if isinstance(entry, dict) else None
        return Bad(error, told if isinstance(told, str) else None)


def store(posts: Sequence[Posted | Bad]) -> list[Result]:
    """Take in what is sound and process it at once; the results in the same order."""
    inside = services()
    wanted = [post for post in posts if isinstance(post, Posted)]
    taken = inside.reports.aliases(post.database_id for post in wanted)
    new: dict[str, Posted] = {}
    for post in wanted:
        if post.database_id not in taken:
            new.setdefault(post.database_id, post)
    at_hand = _receive(inside, new)
    received = {payload.fields["database_id"]: taken for taken, payload in at_hand.items()}
    if at_hand:
        inside.processor.process(at_hand, at_hand)
    aliases = inside.reports.aliases(post.database_id for post in wanted)
    filed = inside.reports.reports(list(received.values()))
    results: list[Result] = []
    for entry in posts:
        if isinstance(entry, Bad):
            results.append(entry)
            continue
        alias = aliases.get(entry.database_id)
        if alias is None:
            results.append(_unreadable(inside, entry, received.get(entry.database_id)))
        elif (mine := filed.get(received.pop(entry.database_id, 0))) is not None:
            results.append(Stored(entry, mine))
        else:
            project = inside.accounts.app(alias.app_id).name
            results.append(Known(entry.database_id, project))
    return results


def _receive(inside: Services, posts: Mapping[str, Posted]) -> dict[int, Payload]:
    """Make each durable, several at a time as each waits for the store; by their ids."""
    projects = dict.fromkeys(post.project for post in posts.values())
    app_ids = {name: inside.projects.open(name).app_id for name in projects}
    for app_id in app_ids.values():  # all are taken or none
        inside.intake.require_open(app_id)

    def receive(post: Posted) -> tuple[int, Payload]:
        fields = {"database_id": post.database_id}
        if post.force_bucket is not None:
            fields["force_bucket"] = post.force_bucket
        app_id, now = app_ids[post.project], clock.now()
        payload = Payload(app_id, PARTYCRASHER, now, post.raw, fields=fields)
        return inside.intake.receive(payload, admitted=True), payload

    if len(posts) == 1:
        return dict(map(receive, posts.values()))
    with ThreadPoolExecutor(_RECEIVED_AT_A_TIME) as pool:
        return dict(pool.map(receive, posts.values()))


def _unreadable(inside: Services, post: Posted, report_id: int | None) -> Bad:
    """The report is kept as a dead letter, which a later version of ours may read."""
    letter = inside.crashes.dead_letter(report_id) if report_id is not None else None
    reason = letter.reason if letter else "it was deleted meanwhile"
    error = Refused("unreadable_report", f"could not be processed: {reason}")
    return Bad(error, post.database_id)
