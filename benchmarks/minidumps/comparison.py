"""Two unwindings of one dump: where they differ first, and which one is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.minidumps import stackwalk
from benchmarks.minidumps.stackwalk import Row, Stackwalk
from chalicelib.model import Frame, Report, Thread

Better = Literal["ours", "theirs"]


@dataclass(frozen=True, slots=True)
class Difference:
    """The first frame that differs, and why; `better` is None where nobody can tell."""

    frame: int
    ours: str
    theirs: str
    better: Better | None
    why: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """One dump. `difference` is that of the crashing stack, None when it is identical.

    `threads`, of all that Breakpad lists: how many are wholly equal, and in
    their five innermost frames.
    """

    name: str
    reason_equal: bool
    address_equal: bool
    crashed_equal: bool
    difference: Difference | None
    frames: int
    inlined: int
    threads: int
    threads_equal: int
    threads_top_5_equal: int

    @property
    def stack_equal(self) -> bool:
        return self.crashed_equal and self.difference is None


def compare(name: str, report: Report, theirs: Stackwalk) -> Comparison:
    crashed = report.crashed_thread
    ours = {thread.number: thread for thread in report.threads}
    difference = None
    if theirs.crashed is not None:
        mine = ours[theirs.crashed].frames if theirs.crashed in ours else ()
        difference = first_difference(mine, theirs.stacks.get(theirs.crashed, ()))
    pairs = [
        (ours.get(number, Thread(number)).frames, rows) for number, rows in theirs.stacks.items()
    ]
    return Comparison(
        name=name,
        reason_equal=report.exception_type == theirs.reason,
        address_equal=report.crash_address == theirs.address,
        crashed_equal=(crashed.number if crashed else None) == theirs.crashed,
        difference=difference,
        frames=len(crashed.frames) if crashed else 0,
        inlined=sum(frame.inlined for frame in crashed.frames) if crashed else 0,
        threads=len(pairs),
        threads_equal=sum(first_difference(*pair) is None for pair in pairs),
        threads_top_5_equal=sum(_same(_rows(mine)[:5], rows[:5]) for mine, rows in pairs),
    )


def first_difference(frames: Sequence[Frame], rows: Sequence[Row]) -> Difference | None:
    ours = _rows(frames)
    if _same(ours, rows):
        return None
    place = next(
        (place for place, pair in enumerate(zip(ours, rows, strict=False)) if pair[0] != pair[1]),
        min(len(ours), len(rows)),
    )
    better, why = _explained(frames, ours, rows, place)
    return Difference(
        frame=place,
        ours=str(ours[place]) if place < len(ours) else "-",
        theirs=str(rows[place]) if place < len(rows) else "-",
        better=better,
        why=why,
    )


def _same(ours: Sequence[Row], theirs: Sequence[Row]) -> bool:
    return list(ours) == list(theirs)


def _rows(frames: Sequence[Frame]) -> list[Row]:
    return [
        stackwalk.row(
            frame.module or "",
            frame.function or "",
            frame.file or "",
            frame.line,
            frame.address if frame.module is None else frame.offset,
        )
        for frame in frames
    ]


def _explained(
    frames: Sequence[Frame], ours: Sequence[Row], theirs: Sequence[Row], place: int
) -> tuple[Better | None, str]:
    """Judged by what the frames are, never by which dump it is."""
    if _without_inlined(frames, theirs):
        return "ours", "the same frames, with the inlined functions that the symbols have"
    if place == 1 and frames[0].module is None and len(frames) > 1 and frames[1].trust == "leaf":
        rest = theirs[1] if len(theirs) > 1 else None
        if rest is None or rest in ours:
            return "ours", (
                "a call through a bad pointer: its caller, from where the call left its return"
                " address; Breakpad follows the frame pointer, which skips it"
            )
    once = [row for row, before in zip(theirs, (None, *theirs), strict=False) if row != before]
    if len(once) < len(theirs) and list(ours[: len(once)]) == once:
        return "ours", "Breakpad gives one frame twice"
    trust = frames[place].trust if place < len(frames) else None
    return None, f"not explained (our frame: {trust or 'none'})"


def _without_inlined(frames: Sequence[Frame], theirs: Sequence[Row]) -> bool:
    """Whether theirs are our frames without the inlined ones: the function of the frame with the
    place in the source of any function that was compiled into it."""
    physical: list[tuple[Row, set[tuple[str, int | None]]]] = []
    places: set[tuple[str, int | None]] = set()
    for frame, row in zip(frames, _rows(frames), strict=True):
        places.add((row.file, row.line))
        if not frame.inlined:
            physical.append((row, places))
            places = set()
    return len(physical) == len(theirs) and all(
        (row.module, row.function, row.offset) == (other.module, other.function, other.offset)
        and (other.file, other.line) in known
        for (row, known), other in zip(physical, theirs, strict=True)
    )
