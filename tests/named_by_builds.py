"""Crashes whose stacks a test names, and names anew, under a clock that it moves on."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import cast

from chalicelib import bootstrap, clock
from chalicelib.bootstrap import Services
from chalicelib.config import Settings
from chalicelib.model import Frame, ModuleId, Report, Thread
from chalicelib.payload import Payload
from chalicelib.processing import Processor
from chalicelib.reading import Reader
from chalicelib.records import App
from chalicelib.storage.ports import Blobs, Queue, Table
from chalicelib.symbols.store import Symbols
from chalicelib.worker import Worker

GAME, ENGINE = "A" * 32 + "0", "B" * 32 + "0"
LATER_S = 121  # no crash is in work any more that was then


class Clock:
    """The queue's time, which a test moves on."""

    def __init__(self) -> None:
        self.now = clock.now().timestamp()

    def __call__(self) -> float:
        return self.now


class NamedByBuilds(Reader):
    """Reads a log that is a JSON list of [build, offset], with the symbols there are."""

    def __init__(self) -> None:
        super().__init__()
        self.symbols: dict[str, dict[int, str]] = {}

    def crash(self, received: Payload) -> Report:
        frames = []
        lacking = []
        for build, offset in json.loads(received.log):
            named = self.symbols.get(build)
            if named is None:
                lacking.append(ModuleId(f"{build[0]}.pdb", build))
            name = (named or {}).get(offset)
            frames.append(Frame(function=name, module=build[0], offset=offset, trust="cfi"))
        crashed = Thread(0, crashed=True, frames=tuple(frames))
        return Report("windows", "SIGSEGV", threads=(crashed,), lacking=tuple(lacking))


class SymbolsOf:
    """What the reader has, as a worker asks for it."""

    def __init__(self, reader: NamedByBuilds) -> None:
        self._reader = reader

    def look_again(self) -> None:
        """There is nothing that it remembers."""

    def were_there(self, _: str, build: str, __: str) -> bool:
        return build.upper() in {name.upper() for name in self._reader.symbols}


def services_over(table: Table, blobs: Blobs, queue: Queue, reader: NamedByBuilds) -> Services:
    built = bootstrap.build(Settings(), table, blobs, queue)
    processor = Processor(
        built.table, built.blobs, built.bucketing, built.ids, reader.crash,
        built.accounts.find_app,
    )  # fmt: skip
    return replace(
        built, reader=reader, processor=processor, symbols=cast(Symbols, SymbolsOf(reader))
    )


def crash(services: Services, app: App, *places: tuple[str, int], version: str = "") -> int:
    """The id of a crash at these places, the innermost first, which waits to be processed."""
    log = json.dumps(places).encode()
    fields = {"version": version} if version else {}
    return services.intake.receive(
        Payload(app.app_id, "breakpad", clock.now(), log, fields=fields)
    )  # fmt: skip


def let_pass(services: Services, pass_on: Callable[[float], object], rounds: int = 7) -> None:
    """Have everything done that was asked for, also what waits until nobody can be in work."""
    Worker(services).drain()
    for _ in range(rounds):
        pass_on(LATER_S)
        Worker(services).drain()
