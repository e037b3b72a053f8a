"""What came with a minidump beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from chalicelib.payload import ARCHIVE_FILES, MINIDUMP_DOORS, Payload


@dataclass(frozen=True, slots=True)
class Companions:
    """What came with a report's minidump; of a crash from another door, nothing.

    `appid` and `userid` are None where no omaha client sent them.
    """

    has_dump: bool = False
    has_archive: bool = False
    appid: str | None = None
    userid: str | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_payload(cls, received: Payload) -> Companions:
        """The same of a crash that has no report, as it waits or cannot be read."""
        if received.door not in MINIDUMP_DOORS:
            return cls()
        return cls(
            has_dump=bool(received.log) or received.log_key is not None,
            has_archive=ARCHIVE_FILES in received.fields,
            appid=received.fields.get("appid"),
            userid=received.fields.get("userid"),
            annotations=received.annotations,
        )
