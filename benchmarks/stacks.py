"""Made-up crashes with the term statistics of real ones: as many distinct stacks as wanted.

A call graph grows while stacks are drawn from it. At each step down from a
program's entry either a callee is taken that was taken there before, as likely
as often, or a new one (a Pitman-Yor process, which gives the power laws that
names in programs follow). Stacks come in families: one crash reached through
other callers, with frames inlined away, deeper, or with a recursion unrolled.
The constants were chosen so that the numbers of `benchmarks.stack_statistics`
come near those of a labelled corpus.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from chalicelib.model import Frame, Report, Thread

# (strength, discount) of a Pitman-Yor process: the next is new with
# (strength + discount * kinds) / (strength + drawn).
_FAMILIES = (3.0, 0.45)
_CALLEES = (0.02, 0.18)
_FUNCTIONS = (10.0, 0.8)
_MODULES = (3.0, 0.45)
_DEPTH = (2.1, 0.35)  # of a walk down from an entry: ln of the median, and its spread
_SAME_MODULE = 0.4  # of the calls to functions that others call too
_HOST_FRAMES = 3  # of a program: its own main loop, below everything
_MAX_WALK = 30  # frames; recursion comes on top
_TRIES = 4  # for a distinct variation, before a new family is begun
_NAMELESS = 0.06  # of the native stacks: one library without symbols
_BUILDS = 4  # of each program, whose lines differ

_VARIATIONS = ("callers", "inlined", "deeper", "recursion")
_VARIATION_SHARES = (0.62, 0.24, 0.10, 0.04)

_VERBS = [
    "get", "set", "read", "write", "open", "close", "parse", "load", "save", "find", "make",
    "build", "send", "fetch", "check", "apply", "merge", "split", "visit", "render", "handle",
    "process", "update", "convert", "resolve", "create", "remove", "decode", "encode", "flush",
]  # fmt: skip
_NOUNS = [
    "Node", "Token", "Stream", "Buffer", "Header", "Field", "Value", "Index", "Table", "Cache",
    "Session", "Request", "Response", "Event", "Message", "Queue", "Worker", "Context",
    "Document", "Element", "Attribute", "Block", "Line", "Font", "Image", "Layout", "Filter",
    "Range", "Cursor", "Record", "Schema", "Query", "Result", "Entry", "Path", "File", "Option",
    "Rule", "State", "Scope", "Module", "Symbol",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Runtime:
    """What stacks of one platform have in common."""

    name: str
    bottom: tuple[str, ...]  # outermost first
    raising: tuple[tuple[str, ...], ...]  # on top of some stacks, outermost first
    system: str | None  # the module of both
    types: tuple[str, ...]
    separator: str
    suffix: str


_RUNTIMES = (
    _Runtime(
        "native",
        ("_start", "__libc_start_main", "__libc_start_call_main", "main"),
        (
            ("__cxa_throw", "std::terminate", "abort", "raise", "__pthread_kill_implementation"),
            ("__assert_fail", "abort", "raise", "__pthread_kill_implementation"),
            (),
        ),
        "libc.so.6",
        ("SIGABRT", "SIGSEGV", "SIGFPE", "SIGBUS"),
        "::",
        "()",
    ),
    _Runtime(
        "python",
        ("<module>",),
        ((),),
        None,
        ("AttributeError", "TypeError", "KeyError", "IndexError", "ValueError", "RuntimeError",
         "UnboundLocalError", "RecursionError"),
        ".",
        "",
    ),
    _Runtime(
        "java",
        ("java.lang.Thread.run", "java.util.concurrent.ThreadPoolExecutor$Worker.run"),
        ((), (), ("java.util.Objects.requireNonNull",)),
        None,
        ("java.lang.NullPointerException", "java.lang.IllegalStateException",
         "java.lang.IndexOutOfBoundsException", "java.lang.ClassCastException"),
        ".",
        "",
    ),
)  # fmt: skip
_PROGRAMS = ((0, 3), (1, 6), (2, 3))  # of each runtime, how many ways in


@dataclass(frozen=True, slots=True)
class Made:
    """One crash, of a stack that no other has, and the number of its family."""

    report: Report
    family: int


@dataclass(slots=True)
class _Function:
    name: str
    runtime: int
    module: int
    callees: list[int]  # one entry for each time it was called from here
    callers: list[int]
    distinct: set[int]  # of the callees


@dataclass(frozen=True, slots=True)
class _Family:
    """A crash: its first path, outermost first, and what is said of it."""

    number: int
    runtime: _Runtime
    path: tuple[int, ...]
    type: str
    message: str
    raising: tuple[str, ...]


class _CallGraph:
    """Functions in modules, and who calls whom how often; grows as it is walked."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.functions: list[_Function] = []
        self.entries: list[list[int]] = []  # each with the host's frames, outermost first
        self._names: set[str] = set()
        self._modules: list[list[int]] = []  # by module: its functions, as often as called
        self._modules_of: list[list[int]] = [[] for _ in _RUNTIMES]  # one for each function
        self._called: list[list[int]] = [[] for _ in _RUNTIMES]
        for runtime, programs in _PROGRAMS:
            self.entries.extend(self._new_program(runtime) for _ in range(programs))

    def walk(self, entry: Sequence[int], steps: int) -> list[int]:
        """Functions from the entry down."""
        path = [*entry]
        for _ in range(steps):
            path.append(self.step(path[-1]))
        return path

    def step(self, caller: int) -> int:
        """A callee of the function, which from now on is likelier."""
        function = self.functions[caller]
        if self._is_new(_CALLEES, len(function.callees), len(function.distinct)):
            callee = self._any_function(function)
        else:
            callee = self._chance.choice(function.callees)
        function.callees.append(callee)
        function.distinct.add(callee)
        self.functions[callee].callers.append(caller)
        return callee

    def callers(self, function: int) -> list[int]:
        """A way from some entry to the function, without it, outermost first."""
        path = [function]
        while len(path) < _MAX_WALK and (known := self.functions[path[-1]].callers):
            caller = self._chance.choice(known)
            if caller in path:  # around a cycle once is enough
                break
            path.append(caller)
        return path[:0:-1]

    def _any_function(self, caller: _Function) -> int:
        called = self._called[caller.runtime]
        known = len(self._modules_of[caller.runtime])
        if not called or self._is_new(_FUNCTIONS, len(called), known):
            callee = self._new_function(caller.runtime, caller.module)
        elif self._chance.random() < _SAME_MODULE:
            callee = self._chance.choice(self._modules[caller.module])
        else:
            callee = self._chance.choice(called)
        called.append(callee)
        self._modules[self.functions[callee].module].append(callee)
        return callee

    def _new_program(self, runtime: int) -> list[int]:
        frames = [self._new_function(runtime)]
        while len(frames) < _HOST_FRAMES:
            host = self.functions[frames[-1]]
            frames.append(self._new_function(runtime, host.module))
            self.functions[frames[-1]].callers.append(frames[-2])
        return frames

    def _new_function(self, runtime: int, near: int | None = None) -> int:
        of_runtime = self._modules_of[runtime]
        kinds = len(set(of_runtime)) if len(of_runtime) < 50 else len(of_runtime) // 8
        if not of_runtime or self._is_new(_MODULES, len(of_runtime), kinds):
            module = len(self._modules)
            self._modules.append([])
        elif near is not None and self._chance.random() < _SAME_MODULE:
            module = near
        else:
            module = self._chance.choice(of_runtime)
        number = len(self.functions)
        of_runtime.append(module)
        self._modules[module].append(number)
        self.functions.append(
            _Function(self._name(runtime, module), runtime, module, [], [], set())
        )
        return number

    def _name(self, runtime: int, module: int) -> str:
        style = _RUNTIMES[runtime]
        for length in count(1):
            nouns = "".join(self._chance.choices(_NOUNS, k=length))
            holder = _NOUNS[(module * 7 + self._chance.randrange(3)) % len(_NOUNS)]
            parts = (f"app{module}", holder, self._chance.choice(_VERBS) + nouns)
            name = style.separator.join(parts) + style.suffix
            if name not in self._names:
                self._names.add(name)
                return name
        raise AssertionError("names are endless")

    def _is_new(self, process: tuple[float, float], drawn: int, kinds: int) -> bool:
        strength, discount = process
        return self._chance.random() * (strength + drawn) < strength + discount * kinds


def crashes(seed: int = 1) -> Iterator[Made]:
    """Crashes without end, each of a distinct stack; the same for the same seed."""
    chance = random.Random(seed)
    graph = _CallGraph(chance)
    families: list[_Family] = []
    drawn: list[_Family] = []  # one entry for each stack
    seen: set[tuple[str, ...]] = set()
    while True:
        strength, discount = _FAMILIES
        old = chance.random() * (strength + len(drawn)) >= strength + discount * len(families)
        for _ in range(_TRIES):
            if old:
                family = chance.choice(drawn)
                path = _varied(graph, chance, family.path)
            else:
                family = _new_family(graph, chance, len(families))
                path = list(family.path)
            names = tuple(graph.functions[number].name for number in path)
            told = (family.type, *family.raising, *names)
            if told not in seen:
                break
        else:
            continue
        seen.add(told)
        if not old:
            families.append(family)
        drawn.append(family)
        yield Made(_report(graph, chance, family, path), family.number)


def _new_family(graph: _CallGraph, chance: random.Random, number: int) -> _Family:
    entry = chance.choice(graph.entries)
    steps = min(_MAX_WALK, max(2, round(chance.lognormvariate(*_DEPTH))))
    runtime = _RUNTIMES[graph.functions[entry[0]].runtime]
    rank = min(int(chance.paretovariate(1.0)), len(runtime.types)) - 1
    what = chance.choice(_NOUNS)
    return _Family(
        number=number,
        runtime=runtime,
        path=tuple(graph.walk(entry, steps)),
        type=runtime.types[rank],
        message=runtime.types[rank] if runtime.system else f"no {what} {chance.choice(_NOUNS)}",
        raising=chance.choice(runtime.raising),
    )


def _varied(graph: _CallGraph, chance: random.Random, path: Sequence[int]) -> list[int]:
    """The family's crash, met in another way."""
    (kind,) = chance.choices(_VARIATIONS, _VARIATION_SHARES)
    place = chance.randrange(1, len(path))
    match kind:
        case "callers":
            return [*graph.callers(path[place]), *path[place:]]
        case "inlined":
            return [*path[:place], *path[place + 1 :]] or list(path)
        case "deeper":
            return [*path, graph.step(path[-1])]
        case _:
            again = list(path[max(1, place - chance.randrange(1, 5)) : place + 1])
            return [*path[:place], *(again * chance.randrange(2, 9)), *path[place:]]


def _report(
    graph: _CallGraph, chance: random.Random, family: _Family, path: Sequence[int]
) -> Report:
    runtime, build = family.runtime, chance.randrange(_BUILDS)
    nameless = None
    if runtime.system and chance.random() < _NAMELESS:
        nameless = graph.functions[chance.choice(path)].module
    frames = [Frame(function=name, module=runtime.system) for name in runtime.bottom]
    for place, number in enumerate(path):
        function = graph.functions[number]
        callee = path[place + 1] if place + 1 < len(path) else number
        frames.append(_frame(function, number, callee, build, nameless))
    frames.extend(Frame(function=name, module=runtime.system) for name in family.raising)
    frames.reverse()
    return Report(
        platform="other",
        exception_type=family.type,
        reason=family.message if runtime.system else f"{family.message} {chance.randrange(9_999)}",
        threads=(Thread(0, crashed=True, frames=tuple(frames)),),
    )


def _frame(
    function: _Function, number: int, callee: int, build: int, nameless: int | None
) -> Frame:
    # A call has its line, which moves a little from build to build.
    line = 20 + number * 37 % 900 + callee * 13 % 40 + build * (number % 3)
    if function.module == nameless:
        return Frame(module=f"libapp{function.module}.so", offset=line * 16)
    native = function.runtime == 0
    return Frame(
        function=function.name,
        module=f"libapp{function.module}.so" if native else None,
        file=f"app/module{function.module}.{'cc' if native else 'py'}",
        line=line,
        in_app=True,
    )
