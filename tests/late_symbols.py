"""A service whose symbols come and go, in several processes that may die: what tests drive."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, cast

from chalicelib import bootstrap, clock, group_places, keys
from chalicelib.bootstrap import Services
from chalicelib.bucketing.assignment import Assignment
from chalicelib.bucketing.stack import normalise
from chalicelib.config import Settings
from chalicelib.errors import CrashbucketError, FormatError
from chalicelib.model import AppBuild, Frame, ModuleId, Report, Thread
from chalicelib.payload import Payload
from chalicelib.processing import Processor
from chalicelib.reading import Reader
from chalicelib.rebucketing import Rebucketing
from chalicelib.records import App, Group, StoredReport
from chalicelib.recount import recount_app
from chalicelib.storage.events import object_created
from chalicelib.storage.ports import MAX_BATCH_ITEMS, Blobs, Queue, Table, query_all
from chalicelib.tasks import SymbolsArrived, announce, settled_s
from chalicelib.worker import Worker
from tests.disturbances import Died, Disturbance, Disturbed

BUILDS = tuple(letter * 32 + "0" for letter in "ABCD")
KNOWN_S = 5  # for how long a process goes on with what it knows of a build
_MOST_ROUNDS = 80  # of two minutes, until nothing is left to do
IDLE_ROUNDS = 8  # longer than anything in the queue is delayed

Place = tuple[str, int]


class Clock:
    """The queue's and the service's time, which a test moves on."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()

    def __call__(self) -> float:
        return self.now

    def moment(self) -> datetime:
        return datetime.fromtimestamp(self.now, UTC)

    def let_pass(self, seconds: float) -> None:
        self.now += seconds


class Shelf:
    """The symbols there are, by (scope, build), where a scope is an app's id or None."""

    def __init__(self) -> None:
        self.app_ids: list[str] = []
        self.there: dict[tuple[str | None, str], str] = {}  # and since when
        self.gone: set[tuple[str, str]] = set()  # what an app had, and has no more

    def has(self, app_id: str, build: str) -> bool:
        return (app_id, build) in self.there or (None, build) in self.there

    def add(self, app_id: str | None, build: str) -> None:
        self.there.setdefault((app_id, build), clock.to_stored(clock.now()))
        self.gone = {entry for entry in self.gone if not self.has(*entry)}

    def take(self, app_id: str | None, build: str) -> None:
        had = [name for name in self.app_ids if self.has(name, build)]
        self.there.pop((app_id, build), None)
        self.gone.update((name, build) for name in had if not self.has(name, build))


class KnownSymbols:
    """What one process knows of the shelf: for some seconds as it was."""

    def __init__(self, shelf: Shelf, time: Clock) -> None:
        self._shelf, self._time = shelf, time
        self._known: dict[tuple[str, str], tuple[float, bool]] = {}

    def look_again(self) -> None:
        self._known.clear()

    def were_there(self, app_id: str, build: str, since: str) -> bool:
        times = (self._shelf.there.get((scope, build)) for scope in (app_id, None))
        return any(time is not None and time < since for time in times)

    def source(self, app_id: str) -> SourceOfApp:
        return SourceOfApp(self, app_id)

    def has(self, app_id: str, build: str) -> bool:
        until, found = self._known.get((app_id, build), (0.0, False))
        if self._time() >= until:
            found = self._shelf.has(app_id, build)
            self._known[app_id, build] = (self._time() + KNOWN_S, found)
        return found


class SourceOfApp:
    def __init__(self, known: KnownSymbols, app_id: str) -> None:
        self._known, self._app_id = known, app_id

    def module(self, _: str, debug_id: str) -> object | None:
        return self if self._known.has(self._app_id, debug_id) else None


class NamedByBuilds(Reader):
    """Reads a log that is a JSON object with places in builds, by the symbols there are."""

    def __init__(self, symbols: KnownSymbols) -> None:
        super().__init__()
        self._symbols = symbols

    def report(self, received: Payload) -> Report:
        return self.crash(received)

    def crash(self, received: Payload) -> Report:
        told = json.loads(received.log)
        if told.get("broken"):
            raise FormatError("a damaged log")
        frames = []
        lacking = {}
        for build, offset in told["places"]:
            named = self._symbols.has(received.app_id, build)
            if not named:
                lacking[ModuleId(f"{build[0]}.pdb", build)] = None
            name = f"{build[0]}{build[0].lower()}::part{offset // 2}" if named else None
            frames.append(Frame(function=name, module=build[0], offset=offset, trust="cfi"))
        return Report(
            "windows",
            "SIGSEGV",
            reason=told.get("reason"),
            threads=(Thread(0, crashed=True, frames=tuple(frames)),),
            app=AppBuild(version=told.get("version", "1")),
            lacking=tuple(lacking),
        )


@dataclass
class Process:
    """A process with a worker, and what may happen to it."""

    services: Services
    symbols: KnownSymbols
    disturbance: Disturbance
    worker: Worker


@dataclass(frozen=True)
class Accepted:
    """A crash that the intake took."""

    app_id: str
    places: tuple[Place, ...]
    is_broken: bool


class World:
    """Some processes over one store."""

    def __init__(
        self,
        table: Table,
        blobs: Blobs,
        queue: Queue,
        time: Clock,
        *,
        apps: int = 2,
        settings: Settings = Settings(),
        idle_rounds: int = IDLE_ROUNDS,
    ) -> None:
        self.time = time
        self._idle_rounds = idle_rounds
        self._settings = settings
        self.shelf = Shelf()
        self._ports = (table, blobs, queue)
        self.processes = [self._start() for _ in range(2)]
        self.onlooker = self._start()
        accounts = self.onlooker.services.accounts
        self.apps: list[App] = [accounts.create_app(f"App {n}") for n in range(apps)]
        self.shelf.app_ids = [app.app_id for app in self.apps]
        self.accepted: dict[int, Accepted] = {}
        # An event delivered again just then may bring one back.
        self._erased: dict[int, Accepted] = {}
        # What its sender or starter got no answer for, and does again.
        self._untold: list[SymbolsArrived] = []
        self._unfinished: list[App] = []

    def _start(self) -> Process:
        disturbance = Disturbance()
        table, blobs, queue = (cast(Any, Disturbed(p, disturbance)) for p in self._ports)
        built = bootstrap.build(self._settings, table, blobs, queue)
        symbols = KnownSymbols(self.shelf, self.time)
        reader = NamedByBuilds(symbols)
        processor = Processor(
            built.table, built.blobs, built.bucketing, built.ids, reader.crash,
            built.accounts.find_app, counts=built.counts,
        )  # fmt: skip
        services = replace(built, reader=reader, processor=processor, symbols=cast(Any, symbols))
        return Process(services, symbols, disturbance, Worker(services))

    # --- what happens ---

    def crash(
        self,
        app: App,
        places: Sequence[Place],
        *,
        reason: str = "",
        version: str = "1",
        forced: str | None = None,
        is_broken: bool = False,
    ) -> int:
        told = {"places": places, "reason": reason, "version": version, "broken": is_broken}
        fields = {"force_bucket": forced} if forced else {}
        received = Payload(
            app.app_id, "breakpad", clock.now(), json.dumps(told).encode(), fields=fields
        )
        report_id = self.onlooker.services.intake.receive(received)
        self.accepted[report_id] = Accepted(app.app_id, tuple(places), is_broken)
        return report_id

    def deliver_again(self, report_id: int) -> None:
        key = keys.raw_blob(report_id)
        self.onlooker.services.queue.send(object_created("crashbucket", key, 1))

    @contextmanager
    def mortal(self, place: int) -> Iterator[Process]:
        """A process that another one takes the place of when it dies."""
        process = self.processes[place]
        try:
            yield process
        except Died:
            self.processes[place] = self._start()
        finally:
            process.disturbance.disarm()

    def step(self, place: int) -> None:
        with self.mortal(place) as process, suppress(CrashbucketError):
            process.worker.step()

    def symbols_arrive(self, place: int, app: App | None, build: str) -> None:
        """As the store of symbols does it: kept first, then told."""
        self.shelf.add(app.app_id if app else None, build)
        arrived = SymbolsArrived(build, app.app_id if app else None)
        self._untold.append(arrived)
        with self.mortal(place) as process:
            process.symbols.look_again()
            self._announce(process, arrived)
            self._untold.remove(arrived)

    def _announce(self, process: Process, arrived: SymbolsArrived) -> None:
        announce(process.services.queue, arrived, process.services.settings.visibility_s)

    def symbols_leave(self, app: App | None, build: str) -> None:
        self.shelf.take(app.app_id if app else None, build)

    def rebucket(self, place: int, app: App) -> None:
        self._unfinished.append(app)
        with self.mortal(place) as process, suppress(CrashbucketError):
            Rebucketing(process.services, app.app_id).run()
            self._unfinished.remove(app)

    def erase(self, place: int, app: App) -> None:
        """Whoever asks for it and gets no answer asks again."""
        with self.mortal(place) as process:
            self._erase(process, app)
            return
        self._erase(self.onlooker, app)

    def _erase(self, process: Process, app: App) -> None:
        process.services.eraser.erase([app.app_id])
        left = self.onlooker.services.blobs
        for report_id, known in list(self.accepted.items()):
            if known.app_id == app.app_id and left.size(keys.raw_blob(report_id)) is None:
                self._erased[report_id] = self.accepted.pop(report_id)

    def lacks(self, app: App, build: str) -> bool:
        """Whether a build is listed as missing."""
        listed = self.onlooker.services.missing_symbols.of_app(app.app_id)
        return any(entry.module.debug_id == build for entry in listed)

    # --- in the end ---

    def come_to_rest(self) -> None:
        """Let everybody work until nothing is left to do."""
        for arrived in self._untold:
            self._announce(self.onlooker, arrived)
        for app in self._unfinished:
            Rebucketing(self.onlooker.services, app.app_id).run()
        self._untold.clear()
        self._unfinished.clear()
        settled = settled_s(self._settings.visibility_s) + 1
        idle = 0
        for _ in range(_MOST_ROUNDS):
            done = sum(process.worker.drain() for process in self.processes)
            idle = 0 if done else idle + 1
            if idle > self._idle_rounds:
                break
            self.time.let_pass(settled)
        else:
            waiting = [message.body for message in self.onlooker.services.queue.receive(25)]
            raise AssertionError(f"there is always more to do: {waiting}")
        self.processes[0].worker.fold_what_was_left()

    def differences(self) -> list[str]:
        """What is not as it should be once everything has come to rest."""
        found = list(self._lost())
        for app in self.apps:
            inside = self.onlooker.services
            inside.symbols.look_again()
            found += recount_app(inside, app.app_id).differences
            reports = list(inside.crashes.of_app(app.app_id))
            found += self._of_groups(app, reports)
            found += self._of_stacks(app, reports)
            found += self._of_missing(app, reports)
        return found

    def _lost(self) -> Iterator[str]:
        inside = self.onlooker.services
        stored = Counter(
            report.report_id for app in self.apps for report in inside.crashes.of_app(app.app_id)
        )
        dead = {letter.report_id for letter in inside.crashes.dead_letters()}
        for report_id, known in self.accepted.items():
            if stored[report_id] + (report_id in dead) != 1:
                yield f"{known} is {stored[report_id]} reports, dead: {report_id in dead}"
            if known.is_broken != (report_id in dead):
                yield f"{known} is dead: {report_id in dead}"
        known_ids = self.accepted.keys() | self._erased.keys()
        yield from (f"{other} was never accepted" for other in stored.keys() - known_ids)
        yield from (f"dead letter {other} of nothing" for other in dead - known_ids)

    def _of_groups(self, app: App, reports: Sequence[StoredReport]) -> Iterator[str]:
        inside = self.onlooker.services
        table, bucketing = inside.table, inside.bucketing
        items = group_places.listed(table, app.app_id)
        groups = {group.group_id: group for group in map(Group.from_item, items)}
        sizes = Counter(report.group_id for report in reports)
        for group_id in groups.keys() - sizes.keys():
            yield f"group {group_id} is empty"
        for group_id in sizes.keys() - groups.keys():
            yield f"group {group_id} of {sizes[group_id]} reports is not there"
        for group in groups.values():
            pointer = table.get(keys.group_of_bucket(group.bucket_id, app.app_id))
            if pointer is None or pointer["group_id"] != group.group_id:
                yield f"bucket {group.bucket_id} of {group.group_id} leads to {pointer}"
        names = sorted({report.fingerprint for report in reports})
        decided: dict[str, Assignment] = {}
        for start in range(0, len(names), MAX_BATCH_ITEMS):
            decided |= bucketing.assignments(names[start : start + MAX_BATCH_ITEMS])
        for report in reports:
            assignment = decided.get(report.fingerprint)
            kept = groups.get(report.group_id)
            if assignment is None:
                yield f"the stack of {report.report_id} is not there"
            elif kept and assignment.buckets[bucketing.default_threshold] != kept.bucket_id:
                bucket = assignment.buckets[bucketing.default_threshold]
                yield (
                    f"{report.report_id} {report.fingerprint} of bucket {bucket} is in group "
                    f"{kept.group_id} of {kept.bucket_id}"
                )
            pointer = table.get(keys.stack_in_app(report.fingerprint, app.app_id))
            if pointer is not None and pointer["group_id"] != report.group_id:
                yield f"stack {report.fingerprint} leads to {pointer['group_id']}, not to {report}"
        left = [item["sk"] for item in query_all(table, keys.app_partition(app.app_id))]
        yield from (f"{sk} is left" for sk in left if str(sk).startswith(("left#", "oldstack#")))

    def _of_stacks(self, app: App, reports: Sequence[StoredReport]) -> Iterator[str]:
        counted = Counter(report.fingerprint for report in reports)
        totals = self.onlooker.services.counts.of_stacks(app.app_id, counted)
        for name, reports_of_it in counted.items():
            kept = totals[name].reports if name in totals else 0
            if kept != reports_of_it:
                yield f"stack {name}: {kept} kept, {reports_of_it} counted"

    def _of_missing(self, app: App, reports: Sequence[StoredReport]) -> Iterator[str]:
        inside = self.onlooker.services
        lacking: Counter[str] = Counter()
        for report in reports:
            known = self.accepted.get(report.report_id) or self._erased[report.report_id]
            builds = {build for build, _ in known.places}
            lacking.update(build for build in builds if not self.shelf.has(app.app_id, build))
            is_erased = report.report_id in self._erased  # and came back, without its payload
            if is_erased or any((app.app_id, build) in self.shelf.gone for build in builds):
                continue  # it may have been named while they were there
            read = normalise(inside.reader.report(inside.crashes.payload(report.report_id)))
            is_known_so = report.fingerprint in {read.fingerprint, read.plain_fingerprint}
            forced = inside.crashes.payload(report.report_id).fields.get("force_bucket")
            if not is_known_so and not forced:
                yield f"{report.report_id} is not stored as it reads now: {known.places}"
        listed = {
            entry.module.debug_id: entry.crashes
            for entry in inside.missing_symbols.of_app(app.app_id)
        }
        for build in BUILDS:
            if (app.app_id, build) in self.shelf.gone:
                continue
            if listed.get(build, 0) != lacking[build]:
                yield f"{build[0]}: {listed.get(build, 0)} listed, {lacking[build]} crashes lack it"
