"""Crash logs in text, whichever of the formats they are in."""

from __future__ import annotations

from chalicelib.errors import FormatError
from chalicelib.formats import apple_ips, apple_text, hockeyapp_log
from chalicelib.formats.detect import detect
from chalicelib.model import Report


def parse(raw: bytes) -> Report:
    """The report in a log that an SDK or a person uploaded.

    Raises `FormatError` when it is in none of the known formats, or cannot be
    read in the one it is in.
    """
    match detect(raw):
        case "apple_text":
            return apple_text.parse(raw)
        case "apple_ips":
            return apple_ips.parse(raw)
        case "hockeyapp_log":
            return hockeyapp_log.parse(raw)
        case None:
            raise FormatError("neither a HockeyApp log nor an Apple crash report")
