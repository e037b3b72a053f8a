"""Notes of which stacks wait for the symbols of which builds.

A stack of an app is noted under each build it lacks, and the build among
those that the app lacks: in the batch that commits a report of the stack, and
only where the note is not there yet, so that a known stack writes none. The
notes go when symbols of the build have come and every report was read again
(see resymbolication.py).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

from chalicelib import keys
from chalicelib.model import ModuleId, Report
from chalicelib.storage.ports import (
    MAX_BATCH_ITEMS,
    Delete,
    Item,
    Key,
    Put,
    SortRange,
    Table,
    query_all,
)
from chalicelib.symbols.debug_file import canonical_id

MAX_LACKING = 8  # builds that a stack is noted under: those of its innermost frames


def lacking_of(report: Report) -> tuple[ModuleId, ...]:
    """The builds that a report's stack waits for, each once, by the ids symbols are kept by."""
    by_id: dict[str, ModuleId] = {}
    for module in filter(lambda module: module.debug_id, report.lacking):
        debug_id = canonical_id(module.debug_id)
        by_id.setdefault(debug_id, ModuleId(module.debug_file, debug_id))
    return tuple(by_id.values())[:MAX_LACKING]


@dataclass(frozen=True, slots=True)
class Notes:
    """What is to be noted of one stack of an app."""

    app_id: str
    fingerprint: str
    lacking: Sequence[ModuleId]

    @property
    def stack_keys(self) -> list[Key]:
        """The stack under each of the builds; where these are there, so are all."""
        return [keys.waiting(self.app_id, m.debug_id, self.fingerprint) for m in self.lacking]

    @property
    def build_keys(self) -> list[Key]:
        return [keys.missing(self.app_id, module.debug_id) for module in self.lacking]

    def puts(self, known: Collection[Key]) -> Iterator[Put]:
        """What is to be written when the items under these keys are there."""
        for place in (self.stack_keys, self.build_keys):
            for key, module in zip(place, self.lacking, strict=True):
                if key not in known:
                    yield Put({"pk": key.pk, "sk": key.sk, "debug_file": module.debug_file})


def stacks_waiting_for(
    table: Table, app_id: str, debug_id: str, after: str, limit: int
) -> tuple[list[str], bool]:
    """Some of the stacks noted under a build, behind the stack `after`; whether these are the
    last."""
    behind = SortRange(low=f"{after}\0" if after else None)
    page = table.query(keys.waiting(app_id, debug_id, "").pk, sort=behind, limit=limit)
    return [cast(str, item["sk"]) for item in page.items], page.cursor is None


def is_waited_for(table: Table, app_id: str, debug_id: str) -> bool:
    return bool(stacks_waiting_for(table, app_id, debug_id, "", 1)[0])


def take_away(table: Table, app_id: str, debug_id: str, stacks: Sequence[str]) -> None:
    """The stacks wait for the build no more; nor does the app, when these were the last."""
    _delete(table, [keys.waiting(app_id, debug_id, stack) for stack in stacks])
    build = keys.missing(app_id, debug_id)
    if is_waited_for(table, app_id, debug_id):
        return
    there = table.get(build)
    if there is None:
        return
    table.write([Delete(build)])
    if is_waited_for(table, app_id, debug_id):  # a crash that saw the item came in between
        table.write([Put(there)])


def every_note(table: Table, app_id: str) -> Iterator[Key]:
    """The keys of all that is noted for an app; the builds after their stacks."""
    for build in list(query_all(table, keys.missing(app_id, "").pk)):
        yield from map(_key, query_all(table, keys.waiting(app_id, str(build["sk"]), "").pk))
        yield _key(build)


def every_stack(table: Table, app_id: str) -> Iterator[str]:
    """The stacks that are noted, some more than once."""
    builds = keys.missing(app_id, "").pk
    return (key.sk for key in every_note(table, app_id) if key.pk != builds)


def _delete(table: Table, doomed: Sequence[Key]) -> None:
    for start in range(0, len(doomed), MAX_BATCH_ITEMS):
        table.write([Delete(key) for key in doomed[start : start + MAX_BATCH_ITEMS]])


def _key(item: Item) -> Key:
    return Key(cast(str, item["pk"]), cast(str, item["sk"]))
