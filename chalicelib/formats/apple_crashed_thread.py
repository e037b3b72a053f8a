"""Which thread of an Apple report crashed, when the report does not agree with itself."""

from __future__ import annotations

from collections.abc import Sequence

from chalicelib.formats.apple_bounds import Notes


def crashed_index(
    numbers: Sequence[int], marked: int | None, claimed: int | None, notes: Notes
) -> int | None:
    """The index in `numbers` of the crashed thread; None when there are no threads.

    The thread whose number the report claims, else the one at index `marked`,
    else thread 0 (or the first there is). Noted unless the claim held.
    """
    if not numbers:
        notes.add("the report holds no threads")
        return None
    if claimed is not None and claimed in numbers:
        return numbers.index(claimed)
    if marked is not None:
        if claimed is not None:
            notes.add(
                f"the crashed thread {claimed} is not in the report; "
                f"taken to be thread {numbers[marked]}, which is marked so"
            )
        return marked
    chosen = numbers.index(0) if 0 in numbers else 0
    notes.add(f"no thread is marked as crashed; taken to be thread {numbers[chosen]}")
    return chosen
