"""Reports drained end to end: posted over HTTP until the last one is visible in its group.

python -m benchmarks.drain [--reports N] [--stored N ...] [--workers N] [--http N] [--runs N]
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import output, processes
from benchmarks.load import CLIENTS, Generator, Job, Posted, Target
from benchmarks.storehouse import Tenant, fill, fresh_folder, make_tenant

CHECKOUT = Path(__file__).resolve().parent.parent
WANTED_PER_S = 600.0
"""Ten times what Bugsink drained on such a machine."""

WORKERS = 1
HTTP_PROCESSES = 1
_WARM_UP = 200  # imports, caches and connections of a fresh server
_LAST_LOOKED_AT = 500  # ids: more than all workers together have in hand
_DRAINED_WITHIN_S = 600.0
_LOOK_EVERY_S = 0.02


@dataclass(frozen=True, slots=True)
class Drained:
    """One run. Rates are per second; `cpu_ms` is the server's processor time for a report."""

    stored: int
    reports: int
    drained_per_s: float
    accepted_per_s: float
    p50_ms: float
    p99_ms: float
    peak_mb: float
    processes: int
    cpu_ms: float
    generator_cpu_share: float


def main() -> None:
    options = _options()
    runs: dict[int, list[Drained]] = {}
    filled_s: dict[int, float] = {}
    for stored in options.stored:
        with fresh_folder() as data:
            tenant = make_tenant(data)
            if stored:
                filled_s[stored] = fill(data, tenant.app_id, stored)
                print(f"filled with {stored:,} reports in {filled_s[stored]:.1f} s", flush=True)
            runs[stored] = []
            for entry in measured(data, tenant, stored, options):
                print(f"  {stored:,} stored: {entry.drained_per_s:,.0f} drained/s", flush=True)
                runs[stored].append(entry)
    medians = [median(of_store) for of_store in runs.values()]
    print(output.table(HEADING, [row(entry) for entry in medians]))
    for entry in medians:
        verdict = "reached" if entry.drained_per_s >= WANTED_PER_S else "MISSED"
        print(f"{WANTED_PER_S:.0f}/s at {entry.stored:,} stored: {verdict}")
    path = output.keep(
        "drain",
        {
            "workers": options.workers,
            "http": options.http,
            "filled_s": filled_s,
            "medians": [asdict(entry) for entry in medians],
            "runs": [asdict(entry) for of_store in runs.values() for entry in of_store],
        },
    )
    print(f"kept in {path.relative_to(CHECKOUT)}")


HEADING = (
    "stored", "drained/s", "accepted/s", "p50 ms", "p99 ms", "peak MB", "processes",
    "server CPU ms/report", "generator CPU",
)  # fmt: skip


def row(entry: Drained) -> tuple[object, ...]:
    return (
        entry.stored,
        entry.drained_per_s,
        entry.accepted_per_s,
        entry.p50_ms,
        entry.p99_ms,
        entry.peak_mb,
        entry.processes,
        entry.cpu_ms,
        f"{entry.generator_cpu_share:.0%}",
    )


def measured(
    data: Path, tenant: Tenant, stored: int, options: argparse.Namespace
) -> Iterator[Drained]:
    """Runs one after another over one folder, each with a server of its own.

    At an empty store every run has a fresh folder instead: the second would find it filled.
    """
    sizes = (options.workers, options.http)
    for seed in range(1, options.runs + 1):
        if stored:
            yield run(data, tenant, stored, options.reports, seed, *sizes)
        else:
            with fresh_folder() as empty:
                yield run(empty, make_tenant(empty), 0, options.reports, seed, *sizes)


def run(
    data: Path,
    tenant: Tenant,
    stored: int,
    reports: int,
    seed: int,
    workers: int,
    http: int,
    *,
    target: Target = "crashbucket",
    clients: int = CLIENTS,
) -> Drained:
    """Start the server, post, wait until everything is visible; proves that nothing is missing."""
    with processes.crashbucket(data, workers=workers, http=http, checkout=CHECKOUT) as (
        port,
        roots,
    ):
        reader = Reader(port, tenant)
        reader.wait_for(warm_up(port, tenant, seed, target).ids)
        before = reader.crashes_in_groups()
        generator = Generator(Job(target, port, tenant.app_id, reports, seed, clients))
        cpu = processes.cpu_seconds(roots)
        with processes.MemoryWatch(roots) as memory:
            posted = generator.post()
            reader.wait_for(posted.ids)
            drained_at = time.monotonic()
            cpu = processes.cpu_seconds(roots) - cpu
        no_refusals(posted, data)
        after = reader.crashes_in_groups()
    if after - before != posted.accepted:
        raise RuntimeError(f"{posted.accepted} accepted, {after - before} counted")
    return Drained(
        stored=stored,
        reports=reports,
        drained_per_s=posted.accepted / (drained_at - posted.began),
        accepted_per_s=posted.accepted_per_s,
        p50_ms=posted.p50_ms,
        p99_ms=posted.p99_ms,
        peak_mb=memory.peak_bytes / 1e6,
        processes=memory.processes,
        cpu_ms=1000 * cpu / posted.accepted,
        generator_cpu_share=posted.cpu_share,
    )


def warm_up(port: int, tenant: Tenant, seed: int, target: Target) -> Posted:
    """Posts of the same kind that are not measured; they need not be processed yet."""
    return Generator(Job(target, port, tenant.app_id, _WARM_UP, seed + 50)).post()


def no_refusals(posted: Posted, data: Path) -> None:
    if posted.refused:
        told = (data / "server.log").read_text()[-2000:]
        raise RuntimeError(f"refused: {posted.refused}\n{told}")


def median(runs: Sequence[Drained]) -> Drained:
    """The run whose drained rate is the middle one."""
    middle = statistics.median_low([entry.drained_per_s for entry in runs])
    return next(entry for entry in runs if entry.drained_per_s == middle)


class Reader:
    """Reads through the HockeyApp API, as its users do."""

    def __init__(self, port: int, tenant: Tenant) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self._app = f"/api/2/apps/{tenant.app_id}"
        self._headers = {"X-HockeyAppToken": tenant.token}

    def wait_for(self, ids: Sequence[int]) -> None:
        """Return once the last crashes posted are processed, each in its group.

        Asking for single crashes costs the server next to nothing while it
        works; that the sums are right is proved afterwards.
        """
        deadline = time.monotonic() + _DRAINED_WITHIN_S
        for crash_id in ids[: -_LAST_LOOKED_AT - 1 : -1]:
            while not self._is_in_group(crash_id):
                if time.monotonic() > deadline:
                    raise TimeoutError(f"crash {crash_id} is not visible")
                time.sleep(_LOOK_EVERY_S)

    def crashes_in_groups(self) -> int:
        """The sum of `number_of_crashes` over every page of `crash_reasons`."""
        total, page, pages = 0, 1, 1
        while page <= pages:
            listed = self._get(f"/crash_reasons?per_page=100&page={page}")[1]
            pages = listed["total_pages"]
            total += sum(group["number_of_crashes"] for group in listed["crash_reasons"])
            page += 1
        return total

    def _is_in_group(self, crash_id: int) -> bool:
        status, crash = self._get(f"/crashes/{crash_id}?format=json")
        return status == 200 and bool(crash["crash_reason_id"])

    def _get(self, path: str) -> tuple[int, Any]:
        try:
            return self._answer(path)
        except (http.client.RemoteDisconnected, ConnectionResetError):
            self._connection.close()  # the server may close a connection that was long idle
            return self._answer(path)

    def _answer(self, path: str) -> tuple[int, Any]:
        self._connection.request("GET", self._app + path, headers=self._headers)
        with self._connection.getresponse() as answer:
            return answer.status, json.loads(answer.read())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reports", type=int, default=10_000, help="reports a run posts")
    parser.add_argument("--stored", type=int, nargs="+", default=[0, 100_000])
    parser.add_argument("--workers", type=int, default=WORKERS)
    parser.add_argument("--http", type=int, default=HTTP_PROCESSES)
    parser.add_argument("--runs", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    main()
