"""Crashbucket and Bugsink in turn, on the same crashes, by the same load generator.

    python -m benchmarks.bugsink [--reports N] [--events N] [--runs N]

Absolute figures depend on the machine and on what else it does; the ratio of
runs that took turns does not.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import asdict, dataclass

from benchmarks import bugsink_server, drain, output, processes, storehouse
from benchmarks.bugsink_server import Unavailable
from benchmarks.load import Generator, Job

WANTED_RATIO = 10.0
_WARM_UP = 50


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one of the two; rates per second."""

    name: str
    drained_per_s: float
    accepted_per_s: float
    p50_ms: float
    p99_ms: float
    peak_mb: float
    processes: int


def run_bugsink(events: int, seed: int) -> Run:
    """From the first post until the last accepted event is digested."""
    with (
        storehouse.fresh_folder() as folder,
        bugsink_server.running(folder) as server,
    ):
        warm_up = Generator(Job("bugsink", server.port, server.app, _WARM_UP, seed + 50)).post()
        server.wait_for(warm_up.accepted)
        generator = Generator(Job("bugsink", server.port, server.app, events, seed))
        with processes.MemoryWatch(server.roots) as memory:
            posted = generator.post()
            if posted.refused:
                raise RuntimeError(f"Bugsink refused: {posted.refused}")
            server.wait_for(warm_up.accepted + posted.accepted)
            drained_at = time.monotonic()
    return Run(
        name="Bugsink",
        drained_per_s=posted.accepted / (drained_at - posted.began),
        accepted_per_s=posted.accepted_per_s,
        p50_ms=posted.p50_ms,
        p99_ms=posted.p99_ms,
        peak_mb=memory.peak_bytes / 1e6,
        processes=memory.processes,
    )


def run_crashbucket(reports: int, seed: int) -> Run:
    with storehouse.fresh_folder() as folder:
        tenant = storehouse.make_tenant(folder)
        done = drain.run(folder, tenant, 0, reports, seed, drain.WORKERS, drain.HTTP_PROCESSES)
    return Run(
        name="Crashbucket",
        drained_per_s=done.drained_per_s,
        accepted_per_s=done.accepted_per_s,
        p50_ms=done.p50_ms,
        p99_ms=done.p99_ms,
        peak_mb=done.peak_mb,
        processes=done.processes,
    )


def median(runs: list[Run], name: str) -> Run:
    rates = [run.drained_per_s for run in runs if run.name == name]
    return next(run for run in runs if run.drained_per_s == statistics.median_low(rates))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reports", type=int, default=6_000, help="to Crashbucket, a run")
    parser.add_argument("--events", type=int, default=1_500, help="to Bugsink, a run")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    runs: list[Run] = []
    try:
        bugsink_server.install()
        for seed in range(1, options.runs + 1):
            runs.append(run_bugsink(options.events, seed))
            runs.append(run_crashbucket(options.reports, seed))
    except Unavailable as reason:
        print(f"left out: {reason}")
        return
    theirs, ours = median(runs, "Bugsink"), median(runs, "Crashbucket")
    rows = [
        (r.name, r.drained_per_s, r.accepted_per_s, r.p50_ms, r.p99_ms, r.peak_mb, r.processes)
        for r in (theirs, ours)
    ]
    heading = ("", "drained/s", "accepted/s", "p50 ms", "p99 ms", "peak MB", "processes")
    print(output.table(heading, rows))
    ratio = ours.drained_per_s / theirs.drained_per_s
    verdict = "reached" if ratio >= WANTED_RATIO else "MISSED"
    print(f"drained: {ratio:.1f} times Bugsink; {WANTED_RATIO:.0f} times: {verdict}")
    output.keep("bugsink", {"ratio": ratio, "runs": [asdict(run) for run in runs]})


if __name__ == "__main__":
    main()
