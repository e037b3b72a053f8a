"""From a payload to the report in it, by the format that its door takes."""

from __future__ import annotations

from collections.abc import Callable

from chalicelib.formats import archive_report, log, partycrasher_json
from chalicelib.model import Report
from chalicelib.payload import ARCHIVE_FILES, MINIDUMP_DOORS, OMAHA, PARTYCRASHER, Payload
from chalicelib.symbols.symbolication import NoReportSymbols, ReportSymbols, symbolicate


class Reader:
    """Reads payloads with the symbols of their apps, as they are at that moment.

    `symbols_of` gives the symbols that an app (by its id) may use.
    """

    def __init__(
        self, symbols_of: Callable[[str], ReportSymbols] = lambda _: NoReportSymbols()
    ) -> None:
        self._symbols_of = symbols_of

    def report(self, received: Payload) -> Report:
        """The whole report in a payload; raises `FormatError` when it cannot be read."""
        return self._report(received, whole=True)

    def crash(self, received: Payload) -> Report:
        """The report without what does not tell its crash from others: other threads of a dump."""
        return self._report(received, whole=False)

    def _report(self, received: Payload, *, whole: bool) -> Report:
        if received.door == PARTYCRASHER:
            return partycrasher_json.parse(received.log)
        if received.door == OMAHA and not received.log and received.log_key is None:
            return archive_report.parse(received.fields.get(ARCHIVE_FILES, "").splitlines())
        symbols = self._symbols_of(received.app_id)
        if received.door in MINIDUMP_DOORS:
            from chalicelib.formats.minidump import report  # noqa: PLC0415 - 40 modules of tables

            return report.parse(received.log, symbols, only_crashed=not whole)
        return symbolicate(log.parse(received.log), symbols)
