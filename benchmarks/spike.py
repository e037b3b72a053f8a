"""A crash storm of one app on a simulated clock: how much each partition key has to take.

DynamoDB takes 1,000 write units a second on one partition key, of the table
and of each index; above that it refuses.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from benchmarks import corpus
from benchmarks.counted import Counted, second
from chalicelib.storage.counting import BASE

LIMIT_PER_S = 1_000
REPORTS_PER_S = 5_000
_BATCH = 10  # what one Lambda is given
_WORKERS = 64
_SEED = 7
_ENGINE_PARTITIONS = ("stack#", "term#", "members#", "content#")  # `chalicelib.keys`
_ID = re.compile(r"[0-9a-f]{12,}|\d{9,}")


@dataclass(frozen=True, slots=True)
class Storm:
    """The busiest key of the busiest second, of all, of those of indexes, and of those that
    bucketing writes; and what a report of all seconds but the first cost, in write units of the
    table and its indexes."""

    reports: int
    seconds: int
    writes_per_s: int
    busiest_key: str
    units_per_s: int
    busiest_key_by_units: str
    index_units_per_s: int
    busiest_index_key: str
    engine_writes_per_s: int
    busiest_engine_key: str
    units_per_report: float


def simulate(
    folder: Path,
    app_id: str,
    *,
    seconds: int,
    one_cause: bool,
    one_user: bool = False,
    scale: int = 1,
    stored_per_minute: int = 0,
) -> Storm:
    """5,000 reports/s by 64 workers in batches of 10.

    `one_cause`: every report is of one known stack, as in a real storm;
    `one_user`: every report names the same user, as some apps' SDKs do.
    Above `stored_per_minute` (0: no quota) a sample of them is kept.
    With `scale`, so many times fewer reports by fewer workers, and what they
    did taken so many times: quicker, and less exact, as each of fewer workers
    then weighs more in the one shard that it writes its deltas to.
    """
    workers, rate = _WORKERS // scale, REPORTS_PER_S // scale
    quota = -(-stored_per_minute // scale)
    counted = Counted(folder, app_id, workers=workers, stored_per_minute=quota)
    try:
        crashes = corpus.Corpus(_SEED).crashes(seconds * rate)
        writes: Counter[tuple[str, str]] = Counter()
        units: Counter[tuple[str, str]] = Counter()
        batches = spent = 0
        for now in range(seconds):
            counted.reset()
            for part in range(rate // _BATCH):
                batch = list(islice(crashes, _BATCH))
                if one_cause:
                    cause = corpus.known_cause(0)
                    batch = [replace(crash, cause=cause) for crash in batch]
                if one_user:
                    batch = [replace(crash, number=1) for crash in batch]
                counted.take_together(batch, second(now + part * _BATCH / rate))
                counted.step(batches % workers)
                batches += 1
            counts = counted.table.snapshot()
            spent += counts.write_units if now or seconds == 1 else 0
            writes |= counts.writes_per_key  # the larger of the two, for each key
            units |= counts.write_units_per_key
    finally:
        counted.close()
    ((most_key, most),) = writes.most_common(1)
    of_engine = Counter({key: count for key, count in writes.items() if _is_engines(key[1])})
    ((engine_key, of_engine_most),) = of_engine.most_common(1) or [(("", ""), 0)]
    ((most_units_key, most_units),) = units.most_common(1)
    of_indexes = Counter({key: count for key, count in units.items() if key[0] != BASE})
    ((index_key, of_indexes_most),) = of_indexes.most_common(1)
    return Storm(
        reports=seconds * rate,
        seconds=seconds,
        writes_per_s=most * scale,
        busiest_key=key_name(most_key),
        units_per_s=most_units * scale,
        busiest_key_by_units=key_name(most_units_key),
        index_units_per_s=of_indexes_most * scale,
        busiest_index_key=key_name(index_key),
        engine_writes_per_s=of_engine_most * scale,
        busiest_engine_key=key_name(engine_key),
        units_per_report=spent / (rate * max(1, seconds - 1)),
    )


def _is_engines(partition: str) -> bool:
    return partition.startswith(_ENGINE_PARTITIONS)


def key_name(partition: tuple[str, str]) -> str:
    """`by_app reports#*#3`: the index, and the key without its ids."""
    return f"{partition[0]} {_ID.sub('*', partition[1])}"
