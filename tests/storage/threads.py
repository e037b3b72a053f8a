"""Many threads that do one thing at one moment."""

from __future__ import annotations

import threading
from collections.abc import Callable

from chalicelib.storage.ports import Conflict, Operation, Table


def together(count: int, work: Callable[[int], None]) -> None:
    """Run `work(0..count-1)` in as many threads, which start at one moment."""
    barrier = threading.Barrier(count)
    errors: list[BaseException] = []

    def run(number: int) -> None:
        barrier.wait()
        try:
            work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def write_until_done(table: Table, *operations: Operation) -> None:
    """Write, and again whenever the adapter gave up in a conflict."""
    while True:
        try:
            table.write(operations)
        except Conflict:
            continue
        return
