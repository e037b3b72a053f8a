"""From a payload to the report in it, by the format that its door takes."""

from __future__ import annotations

from chalicelib.formats import log, partycrasher_json
from chalicelib.model import Report
from chalicelib.payload import PARTYCRASHER, Payload


def report_of(received: Payload) -> Report:
    """The report in a payload; raises `FormatError` when it cannot be read."""
    if received.door == PARTYCRASHER:
        return partycrasher_json.parse(received.log)
    return log.parse(received.log)
