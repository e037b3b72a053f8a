"""What the intake queue holds beside the store's events: work that a worker does later.

A task may be delivered more than once and in any order; doing it again changes
nothing. Each is a JSON object `{"task": NAME, ...}`.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, TypeAlias, Union

from chalicelib.errors import FormatError
from chalicelib.storage.ports import Queue


@dataclass(frozen=True, slots=True)
class SymbolsArrived:
    """Symbols of a build came: for one app, or (None) for all.

    `final` comes when no crash is in work any more that had not seen them.
    `after` is how far it is: an app, or where in the stacks of one.
    """

    debug_id: str
    app_id: str | None
    final: bool = False
    after: str = ""


@dataclass(frozen=True, slots=True)
class MappingArrived:
    """A ProGuard or R8 mapping came for a version of an app; `after` is how far it is."""

    app_id: str
    version_id: int
    after: str = ""


@dataclass(frozen=True, slots=True)
class ReadAnew:
    """Read reports of a group again: those of the stacks, those of the version, or `everything`.

    `after` is how far it is. With `waited_for` (a build) it is the last time
    for these stacks: what is kept of them as waiting goes away.
    """

    app_id: str
    group_id: int
    stacks: tuple[str, ...] = ()
    version_id: int | None = None
    everything: bool = False
    after: str = ""
    waited_for: str = ""


@dataclass(frozen=True, slots=True)
class Settle:
    """Settle the groups of an app that reports were taken from."""

    app_id: str


@dataclass(frozen=True, slots=True)
class Place:
    """Bring what is in a group where people decided that it belongs (see placing.py).

    `subject` is the group that was decided about; `after` is how far it is in
    this `round`.
    """

    app_id: str
    group_id: int
    subject: int
    round: int = 0
    after: str = ""


@dataclass(frozen=True, slots=True)
class FinishDeletion:
    """Delete what is left of crashes whose deletion was begun, and settle their groups."""

    app_id: str
    report_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ExportReport:
    """Write the file of a report's export."""

    report_id: int


@dataclass(frozen=True, slots=True)
class Expire:
    """Take away the reports of an app from before a day (`YYYY-MM-DD`)."""

    app_id: str
    before: str


@dataclass(frozen=True, slots=True)
class ErasePerson:
    """Erase what is kept of a person in an app, found in these places (see persons.py).

    `after` is how far it is, and `erased` how many so far; the last look is
    done again until it finds nothing.
    """

    app_id: str
    identifier: str
    where: tuple[str, ...]
    after: str = ""
    erased: int = 0
    is_last: bool = False


SymbolTask: TypeAlias = Union[SymbolsArrived, MappingArrived, ReadAnew, Settle]
Task: TypeAlias = Union[SymbolTask, Place, FinishDeletion, ExportReport, Expire, ErasePerson]

_NAMES: dict[str, type[Task]] = {
    "symbols_arrived": SymbolsArrived,
    "mapping_arrived": MappingArrived,
    "read_anew": ReadAnew,
    "settle": Settle,
    "place": Place,
    "finish_deletion": FinishDeletion,
    "export_report": ExportReport,
    "expire": Expire,
    "erase_person": ErasePerson,
}


_IDENTIFIER = re.compile(r'("identifier":)"(?:[^"\\]|\\.)*"')

BATCH = 25  # messages at a time: what one commit takes of known crashes
MAX_DELAY_S = 900  # SQS's limit
_PART_OF_VISIBILITY = 0.25
_MAX_WORK_S = 15.0


def work_s(visibility_s: int) -> float:
    """For how many seconds a task works before it leaves the rest to another message.

    A function that Lambda ends after a minute begins a task in the first quarter of that.
    """
    return min(visibility_s * _PART_OF_VISIBILITY, _MAX_WORK_S)


def settled_s(visibility_s: int) -> int:
    """After how many seconds no worker is at work any more that was so before."""
    return min(2 * visibility_s, MAX_DELAY_S)


def announce(queue: Queue, arrived: SymbolsArrived | MappingArrived, visibility_s: int) -> None:
    """Have it done by the workers: at once, and again when nobody can have missed it."""
    queue.send(encode(arrived))
    last = replace(arrived, final=True) if isinstance(arrived, SymbolsArrived) else arrived
    queue.send(encode(last), delay_s=settled_s(visibility_s))


def encode(task: Task) -> str:
    name = next(name for name, kind in _NAMES.items() if isinstance(task, kind))
    return json.dumps({"task": name, **asdict(task)}, separators=(",", ":"))


def is_task(body: str) -> bool:
    """Whether a message is a task of ours rather than an event of the store."""
    return body.startswith('{"task":')


def for_log(body: str) -> str:
    """A task as a log may have it: without whom it is about."""
    return _IDENTIFIER.sub(r'\1"..."', body)


def decode(body: str) -> Task | None:
    """The task in a message; None for a message of another kind.

    Raises `FormatError` for a task that is not as `encode` writes it.
    """
    if not is_task(body):
        return None
    try:
        told: dict[str, Any] = json.loads(body)
        kind = _NAMES[told.pop("task")]
        known = {field.name for field in fields(kind)}
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in told.items()
            if name in known
        }
        return kind(**values)
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(f"the message is no task of ours: {error}") from error
