"""What the queue of notifications holds: whom to tell of what.

Each is a JSON object `{"notify": NAME, ...}`. A message may come twice and in any order: who has
been told is not told again.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TypeAlias, Union

from chalicelib.errors import FormatError


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell everybody who wants to know of an alert."""

    app_id: str
    alert_id: int


@dataclass(frozen=True, slots=True)
class Deliver:
    """Deliver the notification of an alert to one receiver (see `delivery.py`)."""

    app_id: str
    alert_id: int
    receiver: str


Notification: TypeAlias = Union[Tell, Deliver]

_NAMES: dict[str, type[Notification]] = {"alert": Tell, "deliver": Deliver}


def encode(message: Notification) -> str:
    name = next(name for name, kind in _NAMES.items() if isinstance(message, kind))
    return json.dumps({"notify": name, **asdict(message)}, separators=(",", ":"))


def is_notification(body: str) -> bool:
    """Whether a message is one of these rather than one of the intake queue."""
    return body.startswith('{"notify":')


def decode(body: str) -> Notification:
    """Raises `FormatError` for what `encode` did not write."""
    try:
        told = json.loads(body)
        return _NAMES[told.pop("notify")](**told)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FormatError(f"the message is no notification: {error}") from error
