"""What a run of the suite prints: what was checked, with seconds; how long functions ran."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from statistics import median

from tests.blackbox.client import Sent
from tests.blackbox.ministack import Invocation

_CLOCK_S = 0.002  # by which the log's milliseconds may be off


def checked(tests: Iterable[tuple[str, str, float]]) -> Iterator[str]:
    """A line for each test: of its id, its outcome and its seconds."""
    for test_id, outcome, seconds in tests:
        module, _, name = test_id.rpartition("/")[2].partition("::")
        door = module.removeprefix("test_").removesuffix(".py")
        statement = name.removeprefix("test_").replace("_", " ")
        yield f"{seconds:7.2f} s  {outcome:<8}{door:<16}{statement}"


def durations(
    sent: Sequence[Sent], invocations: Sequence[Invocation], route: Callable[[str], str]
) -> Iterator[str]:
    """Milliseconds of each route of the API, and of each other function.

    The suite sends one request after the other: what the API's function ended
    while one was under way was its answer.
    """
    ran: defaultdict[str, list[float]] = defaultdict(list)
    of_api = sorted((entry for entry in invocations if entry.function == "api"), key=_ended)
    for request in sent:
        for entry in of_api:
            if request.began - _CLOCK_S <= entry.ended <= request.ended + _CLOCK_S:
                ran[f"{request.method} {route(request.path)}"].append(entry.ms)
                break
    for entry in invocations:
        if entry.function != "api":
            ran[f"function {entry.function}"].append(entry.ms)
    yield from _table(ran)


def _table(ran: Mapping[str, Sequence[float]]) -> Iterator[str]:
    yield f"{'runs':>5}{'median':>9}{'least':>8}{'most':>8}  ms of"
    for name, taken in sorted(ran.items()):
        least, most = min(taken), max(taken)
        yield f"{len(taken):5}{median(taken):9.0f}{least:8.0f}{most:8.0f}  {name}"


def _ended(entry: Invocation) -> float:
    return entry.ended
