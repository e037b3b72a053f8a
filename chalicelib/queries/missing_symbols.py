"""The builds whose symbols are missing, by how many crashes would gain from them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import cast

from chalicelib import keys
from chalicelib.counts import Counts
from chalicelib.model import ModuleId
from chalicelib.storage.ports import Table, query_all

_MAX_BUILDS = 2_000  # an app's own in a year of daily releases, and those of many systems
_MAX_STACKS = 100_000  # read for one list, of all builds together: some seconds, 10 MB


@dataclass(frozen=True, slots=True)
class MissingSymbols:
    """A build without symbols: `crashes` have a frame of it in their crashed thread."""

    module: ModuleId
    crashes: int
    stacks: int


class MissingSymbolsQueries:
    """Reads what crashes wait for."""

    def __init__(self, table: Table, counts: Counts) -> None:
        self._table = table
        self._counts = counts

    def of_app(self, app_id: str) -> list[MissingSymbols]:
        """The builds that crashes of the app lack, most crashes first.

        Of an app whose crashes lack very many, the first builds by their ids;
        where very many stacks lack one, their crashes are more than it says.
        """
        entries = list(islice(query_all(self._table, keys.missing(app_id, "").pk), _MAX_BUILDS))
        waiting: dict[ModuleId, list[str]] = {}
        for entry in entries:
            debug_id = cast(str, entry["sk"])
            stacks = query_all(self._table, keys.waiting(app_id, debug_id, "").pk)
            module = ModuleId(cast(str, entry["debug_file"]), debug_id)
            some = islice(stacks, max(1, _MAX_STACKS // len(entries)))
            waiting[module] = [cast(str, item["sk"]) for item in some]
        everything = {stack for stacks in waiting.values() for stack in stacks}
        totals = self._counts.of_stacks(app_id, everything)
        found = [
            MissingSymbols(module, sum(totals[s].reports for s in known), len(known))
            for module, stacks in waiting.items()
            if (known := [stack for stack in stacks if stack in totals])
        ]
        return sorted(found, key=lambda entry: (-entry.crashes, entry.module.debug_file))
