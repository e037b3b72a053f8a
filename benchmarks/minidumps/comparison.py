"""Two unwindings of one dump: where they differ first, and which one is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from benchmarks.minidumps import stackwalk
from benchmarks.minidumps.stackwalk import Row, Stackwalk
from chalicelib.formats.minidump.unwinding import MAX_FRAMES
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
    cpu = report.modules[0].arch if report.modules else None
    difference = None
    if theirs.crashed is not None:
        mine = ours[theirs.crashed].frames if theirs.crashed in ours else ()
        difference = first_difference(mine, theirs.stacks.get(theirs.crashed, ()), cpu)
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


def first_difference(
    frames: Sequence[Frame], rows: Sequence[Row], cpu: str | None = None
) -> Difference | None:
    """Where two stacks of one thread differ first; None when they are the same."""
    ours = _rows(frames)
    if _same(ours, rows):
        return None
    place = next(
        (place for place, pair in enumerate(zip(ours, rows, strict=False)) if pair[0] != pair[1]),
        min(len(ours), len(rows)),
    )
    better, why = _explained(frames, ours, rows, place, cpu)
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
    frames: Sequence[Frame], ours: Sequence[Row], theirs: Sequence[Row], place: int, cpu: str | None
) -> tuple[Better | None, str]:
    """Judged by what the frames are, never by which dump it is."""
    if _without_inlined(frames, theirs):
        return "ours", "the same frames, with the inlined functions that the symbols have"
    once = [row for row, before in zip(theirs, (None, *theirs), strict=False) if row != before]
    if len(once) < len(theirs) and place < len(once) <= len(ours) and ours[place] == once[place]:
        return "ours", "Breakpad gives one frame twice"
    if place >= len(ours):
        if len(ours) >= MAX_FRAMES:
            return "theirs", f"ours shows {MAX_FRAMES} frames of a thread, and says that it goes on"
        return None, "not explained (ours ends)"
    rest = theirs[place] if place < len(theirs) else None
    if (
        rest is not None
        and _is_mangled(rest)
        and replace(rest, function="") == replace(ours[place], function="")
    ):
        return "ours", "the function's name is readable; Breakpad's tool leaves Rust's as it was"
    trust = frames[place].trust
    by_jump = frames[0].module is None and len(frames) > 1 and frames[1].trust == "leaf"
    if place in {1, 2} and by_jump and (rest is None or not rest.module or rest in ours):
        return "ours", (
            "a call through a bad pointer: its caller, from where the call left its return"
            " address; Breakpad follows the frame pointer, which skips one"
        )
    if place == 1 and rest is None:
        return "ours", "Breakpad has no memory of the stack: it reads none of full dumps"
    if cpu in {"arm", "arm64"}:
        why = _explained_on_arm(frames, ours, rest, place)
        if why:
            return "ours", why
    return None, f"not explained (our frame: {trust})"


def _is_mangled(row: Row) -> bool:
    return row.function.startswith(("_R", "_ZN"))


def _explained_on_arm(
    frames: Sequence[Frame], ours: Sequence[Row], rest: Row | None, place: int
) -> str | None:
    """Why ours is right where frame records are involved; None where nobody can tell."""
    trust = frames[place].trust
    if trust == "frame_pointer" and rest is None:
        return (
            "the frame record lies at the stack pointer, as GCC puts it; Breakpad wants it above"
            " where unwind data led to the frame, and ends"
        )
    if trust == "frame_pointer" and place == 1 and rest in ours:
        return "the caller is in the link register; Breakpad searches the stack and passes it over"
    records_before = any(frame.trust == "frame_pointer" for frame in frames[1:place])
    if trust == "cfi" and records_before and ours[place].module:
        return (
            "behind a frame record, unwind data count from the frame pointer, which is known;"
            " Breakpad's from a stack pointer that is not"
        )
    if trust in {"cfi", "frame_pointer"} and ours[place].module and rest and not rest.module:
        return "Breakpad is led to where no code is"
    return None


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
