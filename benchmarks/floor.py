"""The storage floor: what the disk and SQLite could take if nothing else were to be done.

    python -m benchmarks.floor [--seconds S]

Not a goal, since it parses, groups and answers nothing, but the line below
which no time can be saved.
"""

from __future__ import annotations

import argparse
import os
import random
import sqlite3
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import output
from benchmarks.storehouse import fresh_folder

_ROW_BYTES = 3_000
_FILE_BYTES = 40_000
_BATCH = 25
_COUNTERS = 4
_GROUPS = 200

_SCHEMA = """
PRAGMA journal_mode = WAL;
CREATE TABLE reports (
    id INTEGER PRIMARY KEY, app TEXT, grp TEXT, user TEXT, date TEXT, data BLOB
);
CREATE INDEX by_app ON reports (app, date);
CREATE INDEX by_group ON reports (grp, date);
CREATE INDEX by_user ON reports (user, date);
CREATE TABLE counters (name TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID;
"""
_INSERT = "INSERT INTO reports (app, grp, user, date, data) VALUES (?, ?, ?, ?, ?)"
_COUNT = "INSERT INTO counters VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET n = n + 1"


@dataclass(frozen=True, slots=True)
class Floor:
    """Rates per second, by how they were done."""

    rows_one_by_one_full: float
    rows_one_by_one_normal: float
    rows_in_batches_full: float
    rows_in_batches_normal: float
    files_with_fsync: float


def measure(seconds: float) -> Floor:
    """Each way for that long."""
    with fresh_folder() as folder:
        return Floor(
            rows_one_by_one_full=_rows(folder / "a.db", "FULL", 1, seconds),
            rows_one_by_one_normal=_rows(folder / "b.db", "NORMAL", 1, seconds),
            rows_in_batches_full=_rows(folder / "c.db", "FULL", _BATCH, seconds),
            rows_in_batches_normal=_rows(folder / "d.db", "NORMAL", _BATCH, seconds),
            files_with_fsync=_files(folder, seconds),
        )


def rows(floor: Floor) -> list[tuple[str, float]]:
    return [
        ("row of 3 kB, 3 indexes, 4 counters: one by one, FULL", floor.rows_one_by_one_full),
        ("the same, NORMAL", floor.rows_one_by_one_normal),
        (f"the same, batches of {_BATCH}, FULL", floor.rows_in_batches_full),
        (f"the same, batches of {_BATCH}, NORMAL", floor.rows_in_batches_normal),
        ("file of 40 kB, fsync of file and folder", floor.files_with_fsync),
    ]


def _rows(path: Path, synchronous: str, batch: int, seconds: float) -> float:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(_SCHEMA)
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    chance = random.Random(1)
    data = chance.randbytes(_ROW_BYTES)

    def write() -> int:
        connection.execute("BEGIN IMMEDIATE")
        for _ in range(batch):
            group = f"group{chance.randrange(_GROUPS)}"
            row = ("app", group, f"user{chance.randrange(10**6)}", f"{time.time():.6f}", data)
            connection.execute(_INSERT, row)
            for counter in range(_COUNTERS):
                connection.execute(_COUNT, (f"{group} {counter}",))
        connection.execute("COMMIT")
        return batch

    try:
        return _per_second(write, seconds)
    finally:
        connection.close()


def _files(folder: Path, seconds: float) -> float:
    data = random.Random(1).randbytes(_FILE_BYTES)
    number = iter(range(10**9))

    def write() -> int:
        with (folder / f"file{next(number)}").open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        descriptor = os.open(folder, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
        return 1

    return _per_second(write, seconds)


def _per_second(write: Callable[[], int], seconds: float) -> float:
    done, began = 0, time.perf_counter()
    while (now := time.perf_counter()) < began + seconds:
        done += write()
    return done / (now - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each way")
    floor = measure(parser.parse_args().seconds)
    print(output.table(("storage floor", "per second"), rows(floor)))
    output.keep("floor", asdict(floor))


if __name__ == "__main__":
    main()
