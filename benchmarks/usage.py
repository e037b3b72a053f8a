"""What one report uses of AWS, by door: requests, units, bytes, and how often it waits for AWS.

The deployed functions run in this process over ports that count. Counts, not
seconds: the same on every machine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from benchmarks import corpus, storehouse
from benchmarks.doors import DOORS, OMAHA_ID, Door
from benchmarks.functions import FUNCTIONS, Functions, Passing, on_lambda
from benchmarks.minidumps import made
from chalicelib import bootstrap
from chalicelib.bootstrap import Services
from chalicelib.config import Settings
from chalicelib.settling import Settling
from chalicelib.storage.counting import CountingBlobs, CountingQueue, CountingTable
from chalicelib.storage.embedded.store import open_store
from chalicelib.telemetry.emf import EmfMetrics

_ACCESS_LOG_BYTES = 400  # that API Gateway writes for a request, where it is to
_NUMBERS_APART = 100_000  # of the crashes that prime a store from those that are measured
_PRIMING_BATCH = 25
# Earlier reports of each known stack for every one that is measured. How many reports have a stack
# is noted with its terms whenever they are twice as many: a stack that is rare pays for that often.
_PRIMED_TIMES = 16
_DELETED_STACKS = 10  # that a stack is rarer is noted with its terms too, for each halving
_PRIMED_CAUSES = 100  # of a store that new stacks come to


@dataclass(frozen=True, slots=True)
class Traffic:
    """How full batches are, and how many reports a minute of folding has."""

    name: str
    a_second: float
    batch: int
    folded_together: int
    reports: int  # measured


# A batch is gathered for a second from its first message on. A fold takes fifty batches at most.
QUIET = Traffic("1 million a month (0.4/s)", a_second=0.4, batch=1, folded_together=24, reports=96)
STEADY = Traffic("10 million a month (4/s)", a_second=4, batch=5, folded_together=240, reports=240)
BUSY = Traffic("26 million a month (10/s)", a_second=10, batch=10, folded_together=240, reports=240)
TRAFFICS = (QUIET, STEADY, BUSY)


@dataclass(frozen=True, slots=True)
class Usage:
    """What one report uses, on average. `waits`: calls of AWS one after another, by function and
    kind; `calls`: of each function."""

    write_units: float
    read_units: float
    puts: float
    gets: float
    deletes: float
    sent: float
    table_bytes: float
    blob_bytes: float
    answer_bytes: float
    log_bytes: Mapping[str, float]
    calls: Mapping[str, float]
    waits: Mapping[str, Mapping[str, float]]

    def mixed(self, other: Usage, share: float) -> Usage:
        """With that share of the reports as in the other."""

        def mix(here: float, there: float) -> float:
            return here * (1 - share) + there * share

        def mix_all(here: Mapping[str, float], there: Mapping[str, float]) -> dict[str, float]:
            return {n: mix(here.get(n, 0), there.get(n, 0)) for n in {*here, *there}}

        numbers = {
            name: mix(value, getattr(other, name))
            for name, value in asdict(self).items()
            if isinstance(value, int | float)
        }
        return replace(
            self,
            **numbers,
            log_bytes=mix_all(self.log_bytes, other.log_bytes),
            calls=mix_all(self.calls, other.calls),
            waits={
                function: mix_all(kinds, other.waits[function])
                for function, kinds in self.waits.items()
            },
        )


class Counting:
    """The services over counting ports of one data folder."""

    def __init__(self, folder: Path) -> None:
        self._store = open_store(folder)
        self.table = CountingTable(self._store.table)
        self.blobs = CountingBlobs(self._store.blobs)
        self.queue = CountingQueue(self._store.queue)

    def services(self) -> Services:
        settings = Settings(visibility_s=360)
        metrics = EmfMetrics()
        return bootstrap.build(settings, self.table, self.blobs, self.queue, metrics=metrics)

    def reset(self) -> None:
        for port in (self.table, self.blobs, self.queue):
            port.reset()

    def close(self) -> None:
        bootstrap.use(None)
        self._store.close()

    def asked(self) -> Counter[str]:
        """How often AWS was asked since the last reset, by kind."""
        table, blobs = self.table.snapshot(), self.blobs.snapshot()
        return Counter(
            puts=blobs.puts + blobs.deletes + blobs.lists,
            gets=blobs.gets + blobs.sizes,
            reads=table.read_requests,
            writes=table.write_requests,
            sends=self.queue.snapshot().sent,
        )


def make_app(services: Services, *, symbols: bool) -> str:
    """The app that every door's crashes are of; its symbols are there if dumps are to come."""
    app = services.accounts.create_app(
        "Shop", bundle_id=corpus.PACKAGE, platform="Android", omaha_id=OMAHA_ID
    )
    if symbols:
        services.symbols.add(made.symbols(), app_id=None, filename=made.SYMBOL_FILE)
    return app.app_id


@dataclass(frozen=True, slots=True)
class Deletion:
    """What one report costs that is deleted with many others, as retention does it: units, with
    the settling of its group."""

    write_units: float
    read_units: float


def measure_deletion(reports: int = 600) -> Deletion:
    """Delete every other report of an app with so many of a few stacks."""
    with storehouse.fresh_folder(in_memory=True) as folder:
        counting = Counting(folder)
        try:
            services = counting.services()
            app_id = make_app(services, symbols=False)
            functions = Functions(services, app_id)
            crashes = [
                replace(crash, cause=corpus.known_cause(crash.number % _DELETED_STACKS))
                for crash in crashes_of(known=True, seed=1, count=reports)
            ]
            prime(functions, DOORS[0], crashes, 2)
            ids = [report.report_id for report in services.crashes.of_app(app_id)][::2]
            counting.reset()
            services.deletion.delete(app_id, ids)
            Settling(services, app_id).run()
            table = counting.table.snapshot()
            return Deletion(table.write_units / len(ids), table.read_units / len(ids))
        finally:
            counting.close()


def crashes_of(*, known: bool, seed: int, count: int) -> list[corpus.Crash]:
    return list(corpus.Corpus(seed, new_share=0.0 if known else 1.0).crashes(count))


def prime(functions: Functions, door: Door, crashes: Sequence[corpus.Crash], times: int) -> None:
    """Send the like of these so many times before, and leave nothing in the queue."""
    for turn in range(1, times + 1):
        for first in range(0, len(crashes), _PRIMING_BATCH):
            for crash in crashes[first : first + _PRIMING_BATCH]:
                functions.send(door, replace(crash, number=crash.number + turn * _NUMBERS_APART))
            while functions.process(_PRIMING_BATCH):
                pass
        functions.minute()


def measure(door: Door, traffic: Traffic, *, known: bool) -> Usage:
    """What a report uses that comes by this door, on a store that knows a few hundred causes."""
    with storehouse.fresh_folder(in_memory=True) as folder:
        counting = Counting(folder)
        try:
            with on_lambda() as passing:
                return _measured(counting, door, traffic, passing, known=known)
        finally:
            counting.close()


def _measured(
    counting: Counting, door: Door, traffic: Traffic, passing: Passing, *, known: bool
) -> Usage:
    services = counting.services()
    app_id = make_app(services, symbols=not door.is_small)
    waits: dict[str, Counter[str]] = {name: Counter() for name in FUNCTIONS}
    seen: Counter[str] = Counter()

    def after(function: str) -> None:
        asked = counting.asked()
        waits[function].update(asked - seen)
        seen.clear()
        seen.update(asked)

    functions = Functions(services, app_id, after)
    crashes = crashes_of(known=known, seed=1, count=traffic.reports)
    if known:
        prime(functions, door, crashes, _PRIMED_TIMES)
    else:
        prime(functions, door, crashes_of(known=True, seed=2, count=_PRIMED_CAUSES), 1)
    counting.reset()
    functions.reset()
    for counts in (seen, *waits.values()):
        counts.clear()
    for first in range(0, len(crashes), traffic.batch):
        for crash in crashes[first : first + traffic.batch]:
            functions.send(door, crash)
            seen.update(counting.asked() - seen)  # what a client puts straight into the bucket
        while functions.process(traffic.batch):
            pass
        passing.let_pass(traffic.batch / traffic.a_second)
        if (first + traffic.batch) % traffic.folded_together == 0:
            functions.minute()
    return _usage(counting, functions, waits, len(crashes))


def _usage(
    counting: Counting, functions: Functions, waits: Mapping[str, Counter[str]], reports: int
) -> Usage:
    table, blobs = counting.table.snapshot(), counting.blobs.snapshot()
    calls = Counter(call.function for call in functions.calls)
    logged: Counter[str] = Counter()
    for call in functions.calls:
        logged[call.function] += call.log_bytes
    logged["api"] += calls["api"] * _ACCESS_LOG_BYTES
    return Usage(
        write_units=table.write_units / reports,
        read_units=table.read_units / reports,
        puts=(blobs.puts + blobs.lists) / reports,
        gets=(blobs.gets + blobs.sizes) / reports,
        deletes=blobs.deletes / reports,
        sent=counting.queue.snapshot().received / reports,
        table_bytes=table.stored_bytes / reports,
        blob_bytes=blobs.bytes_written / reports,
        answer_bytes=sum(call.answer_bytes for call in functions.calls) / reports,
        log_bytes=_each(logged, reports),
        calls=_each(calls, reports),
        waits={function: _each(asked, reports) for function, asked in waits.items()},
    )


def _each(totals: Mapping[str, int], reports: int) -> dict[str, float]:
    return {name: total / reports for name, total in totals.items()}
