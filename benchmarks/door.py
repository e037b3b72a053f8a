"""Minidumps of 40 kB over HTTP: what the door takes, durably, and what is drained end to end.

python -m benchmarks.door [--reports N] [--runs N] [--workers N] [--http N]

Two measurements by turns, each with a fresh folder and a server of its own:

- **The door alone.** The workers are held while the dumps are posted. The moment the last answer
  is there, every process of the server is killed with SIGKILL; it is started again and drains
  what the first one accepted. Every crash answered for must be there, each once.
- **End to end.** The workers run while the dumps are posted, with the app's symbols warm; the
  clock stops when the last crash can be read with its group.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import drain, output, processes
from benchmarks.drain import CHECKOUT, Drained, Reader
from benchmarks.load import Generator, Job
from benchmarks.minidumps import made
from benchmarks.storehouse import Tenant, fresh_folder, make_tenant, open_services

ACCEPTED_PER_S = 840.0
"""What Mozilla's Antenna takes on such a machine; it writes files and leaves out the fsync."""
DRAINED_PER_S = 260.0
"""Ten times the events that Bugsink digests on such a machine."""

_CLIENTS = 8
_WARM_UP = 200


@dataclass(frozen=True, slots=True)
class Taken:
    """One run of the door alone. `cpu_ms` is the server's processor time for a dump; `load` the
    machine's processes in line before the run, without which the rates say little."""

    reports: int
    accepted_per_s: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float
    generator_cpu_share: float
    found_after_kill: int
    load: float


def main() -> None:
    options = _options()
    taken: list[Taken] = []
    drained: list[Drained] = []
    for seed in range(1, options.runs + 1):
        taken.append(door_alone(options.reports, seed, options.workers, options.http))
        drained.append(end_to_end(options.reports, seed, options.workers, options.http))
    door = _middle(taken, [run.accepted_per_s for run in taken])
    print(
        output.table(
            ("door alone", "accepted/s", "p50 ms", "p99 ms", "server CPU ms/dump",
             "generator CPU", "there after kill -9", "load before"),
            [
                (
                    f"{run.reports:,} dumps",
                    run.accepted_per_s,
                    run.p50_ms,
                    run.p99_ms,
                    run.cpu_ms,
                    f"{run.generator_cpu_share:.0%}",
                    run.found_after_kill,
                    run.load,
                )
                for run in taken
            ],
        )
    )  # fmt: skip
    whole = drain.median(drained)
    print(output.table(drain.HEADING, [drain.row(run) for run in drained]))
    for what, rate, wanted in (
        ("accepted", door.accepted_per_s, ACCEPTED_PER_S),
        ("drained", whole.drained_per_s, DRAINED_PER_S),
    ):
        verdict = "reached" if rate >= wanted else "MISSED"
        print(f"{what}: {rate:,.0f}/s in the middle; {wanted:.0f}/s: {verdict}")
    output.keep(
        "door",
        {
            "dump_bytes": made.DUMP_BYTES,
            "workers": options.workers,
            "http": options.http,
            "clients": _CLIENTS,
            "door": [asdict(run) for run in taken],
            "drained": [asdict(run) for run in drained],
        },
    )


def door_alone(reports: int, seed: int, workers: int, http: int) -> Taken:
    """Post with the workers held, kill everything, start again; raises when a crash is lost."""
    load = os.getloadavg()[0]

    def server(folder: Path) -> AbstractContextManager[tuple[int, list[int]]]:
        return processes.crashbucket(folder, workers=workers, http=http, checkout=CHECKOUT)

    with fresh_folder() as folder:
        tenant = make_tenant_with_symbols(folder)
        with server(folder) as (port, roots):
            warm_up = drain.warm_up(port, tenant, seed, "minidumps")
            Reader(port, tenant).wait_for(warm_up.ids)
            job = Job("minidumps", port, tenant.app_id, reports, seed, _CLIENTS)
            generator = Generator(job)
            with held(_workers(roots)):
                cpu = processes.cpu_seconds(roots)
                posted = generator.post()
                cpu = processes.cpu_seconds(roots) - cpu
                kill(roots)
        drain.no_refusals(posted, folder)
        with server(folder) as (port, _):
            reader = Reader(port, tenant)
            reader.wait_for(posted.ids)
            found = reader.crashes_in_groups() - warm_up.accepted
    if found != posted.accepted:
        raise RuntimeError(f"{posted.accepted} accepted, {found} there after the kill")
    return Taken(
        reports=reports,
        accepted_per_s=posted.accepted_per_s,
        p50_ms=posted.p50_ms,
        p99_ms=posted.p99_ms,
        cpu_ms=1000 * cpu / posted.accepted,
        generator_cpu_share=posted.cpu_share,
        found_after_kill=found,
        load=load,
    )


def end_to_end(reports: int, seed: int, workers: int, http: int) -> Drained:
    """Post with the workers running; raises when the groups' sums are not what was accepted."""
    with fresh_folder() as folder:
        return drain.run(
            folder,
            make_tenant_with_symbols(folder),
            0,
            reports,
            seed,
            workers,
            http,
            target="minidumps",
            clients=_CLIENTS,
        )


def make_tenant_with_symbols(folder: Path) -> Tenant:
    tenant = make_tenant(folder)
    symbols = open_services(folder).symbols
    symbols.add(made.symbols(), app_id=tenant.app_id, filename=made.SYMBOL_FILE)
    return tenant


@contextmanager
def held(process_ids: Sequence[int]) -> Iterator[None]:
    """The processes stand still meanwhile; one that is gone by the end is no error."""
    for process in process_ids:
        os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in process_ids:
            try:
                os.kill(process, signal.SIGCONT)
            except ProcessLookupError:
                continue


def kill(roots: Sequence[int]) -> None:
    """End the processes and all below them with SIGKILL, and wait until they are gone."""
    family = processes.descendants(roots)
    for process in family:
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:  # it went with its parent
            continue
    processes.wait_until(lambda: not any(map(_is_alive, family)), "the end of the server")


def _is_alive(process: int) -> bool:
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
    # The benchmark's own child is a zombie until somebody waits for it.
    return stat.rpartition(")")[2].split()[0] != "Z"


def _workers(roots: Sequence[int]) -> list[int]:
    found = [
        process
        for process in processes.descendants(roots)
        if b"infra.worker_process" in Path(f"/proc/{process}/cmdline").read_bytes()
    ]
    if not found:
        raise RuntimeError("the server has no workers")
    return found


def _middle(runs: Sequence[Taken], rates: Sequence[float]) -> Taken:
    return runs[list(rates).index(statistics.median_low(rates))]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--reports", type=int, default=5_000, help="dumps a run posts")
    parser.add_argument("--workers", type=int, default=drain.WORKERS)
    parser.add_argument("--http", type=int, default=drain.HTTP_PROCESSES)
    parser.add_argument("--runs", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    main()
