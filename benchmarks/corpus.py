"""Crashes as a benchmark needs them: like real ones, and the same in every run.

A crash is one of 200 known causes, some far more frequent than others, or, in
one case of twenty, of a cause that was never seen before. It is rendered as a
HockeyApp log (about 3 kB, 30 frames, a `Caused by`), with a user, a date and
numbers in its message that no other crash has, or as the Sentry event that
tells the same.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import accumulate

PACKAGE = "com.example.shop"
KNOWN_CAUSES = 200
NEW_SHARE = 0.05
CAUSE_FRAMES = 16
OUTER_FRAMES = 14
VERSIONS = (("410", "4.1.0"), ("411", "4.1.1"), ("420", "4.2.0"))
_VERSION_WEIGHTS = (1, 3, 6)
_DEVICES = (("Google", "Pixel 8"), ("samsung", "SM-S918B"), ("Xiaomi", "23021RAA2Y"))
_STARTED = datetime(2026, 11, 1, tzinfo=UTC)

_PARTS = ("cart", "checkout", "catalogue", "search", "login", "profile", "sync", "image", "push")
_KINDS = ("Repository", "ViewModel", "Adapter", "Mapper", "Interactor", "Store", "Presenter")
_VERBS = ("load", "bind", "parse", "resolve", "commit", "merge", "fetch", "render", "apply")
_TYPES = (
    "java.lang.IllegalStateException",
    "java.lang.NullPointerException",
    "java.lang.IndexOutOfBoundsException",
    "java.io.IOException",
    "org.json.JSONException",
    "android.database.sqlite.SQLiteException",
)
# Where every crash of this app comes from: the host's frames, the same in all of them.
_HOST = (
    ("android.os.Handler", "handleCallback", "Handler.java", 958),
    ("android.os.Handler", "dispatchMessage", "Handler.java", 99),
    ("android.os.Looper", "loopOnce", "Looper.java", 205),
    ("android.os.Looper", "loop", "Looper.java", 294),
    ("android.app.ActivityThread", "main", "ActivityThread.java", 8177),
    ("java.lang.reflect.Method", "invoke", "Method.java", 580),
)

FramePlace = tuple[str, str, str, int]
"""Class, method, file, line."""


@dataclass(frozen=True, slots=True)
class Cause:
    """What some crashes have in common: the frames of the cause and of what was thrown for it."""

    type: str
    subject: str
    inner: tuple[FramePlace, ...]
    outer: tuple[FramePlace, ...]


@dataclass(frozen=True, slots=True)
class Crash:
    """One crash of one device. `number` counts from 0 and is in its message and user."""

    number: int
    cause: Cause
    is_new: bool
    version: tuple[str, str]
    device: tuple[str, str]
    moment: datetime


class Corpus:
    """An endless, seeded row of crashes.

    Corpora of different seeds share the known causes and have no new cause in
    common, so a store may be filled from one and measured with another.
    """

    def __init__(self, seed: int, *, new_share: float = NEW_SHARE) -> None:
        self._seed = seed
        self._new_share = new_share
        # Zipf's law: the n-th cause is 1/n as frequent as the first, as crash statistics go.
        self._weights = list(accumulate(1 / rank for rank in range(1, KNOWN_CAUSES + 1)))

    def crashes(self, count: int) -> Iterator[Crash]:
        """The first `count` of them."""
        chance = random.Random(f"crashes {self._seed}")
        for number in range(count):
            is_new = chance.random() < self._new_share
            known = chance.choices(range(KNOWN_CAUSES), cum_weights=self._weights)[0]
            yield Crash(
                number=self._seed * 10_000_000 + number,
                cause=_cause(f"new {self._seed} {number}") if is_new else known_cause(known),
                is_new=is_new,
                version=chance.choices(VERSIONS, _VERSION_WEIGHTS)[0],
                device=chance.choice(_DEVICES),
                moment=_STARTED + timedelta(seconds=number),
            )


def log(crash: Crash) -> bytes:
    """The crash as a HockeyApp log."""
    cause, number = crash.cause, crash.number
    lines = [
        f"Package: {PACKAGE}",
        f"Version Code: {crash.version[0]}",
        f"Version Name: {crash.version[1]}",
        "Android: 14",
        f"Manufacturer: {crash.device[0]}",
        f"Model: {crash.device[1]}",
        f"Date: {crash.moment:%a %b %d %H:%M:%S GMT+00:00 %Y}",
        f"CrashReporter Key: {number:032X}",
        "",
        f"java.lang.RuntimeException: request {number} of {cause.subject} failed",
        *map(_java_frame, cause.outer),
        f"Caused by: {cause.type}: {cause.subject} {number % 9973} has no entry {number % 101}",
        *map(_java_frame, cause.inner),
        "",
    ]
    return "\n".join(lines).encode()


def user(crash: Crash) -> str:
    return f"user-{crash.number}"


def sentry_event(crash: Crash) -> bytes:
    """The crash as a Sentry event (the body of a post to `/api/PROJECT/store/`).

    The exceptions' values hold no number here: a service that groups by them
    would else make a group of each event, and its work would not compare.
    """
    cause = crash.cause
    event = {
        "event_id": f"{crash.number + 1:032x}",
        "timestamp": crash.moment.isoformat(),
        "platform": "java",
        "release": f"{PACKAGE}@{crash.version[1]}+{crash.version[0]}",
        "user": {"id": user(crash)},
        "contexts": {
            "os": {"name": "Android", "version": "14"},
            "device": {"manufacturer": crash.device[0], "model": crash.device[1]},
        },
        "exception": {
            "values": [
                _sentry_exception(cause.type, f"{cause.subject} has no entry", cause.inner),
                _sentry_exception(
                    "java.lang.RuntimeException", f"{cause.subject} failed", cause.outer
                ),
            ]
        },
    }
    return json.dumps(event, separators=(",", ":")).encode()


@lru_cache(maxsize=KNOWN_CAUSES)
def known_cause(rank: int) -> Cause:
    return _cause(f"known {rank}")


def _cause(name: str) -> Cause:
    """The cause of that name: frames that only it has, above those of its app and the host."""
    chance = random.Random(name)
    mark = f"{chance.getrandbits(32):08x}".translate(str.maketrans("0123456789", "ghijklmnop"))
    inner = [_place(chance, mark) for _ in range(3)]
    inner += [_place(chance) for _ in range(CAUSE_FRAMES - len(inner))]
    outer = [_place(chance) for _ in range(OUTER_FRAMES - len(_HOST))]
    return Cause(
        type=chance.choice(_TYPES),
        subject=f"{chance.choice(_PARTS)} {mark}",
        inner=tuple(inner),
        outer=(*outer, *_HOST),
    )


def _place(chance: random.Random, mark: str = "") -> FramePlace:
    part, kind = chance.choice(_PARTS), chance.choice(_KINDS)
    name = f"{part.title()}{mark.title()}{kind}"
    method = f"{chance.choice(_VERBS)}{chance.choice(_PARTS).title()}"
    return f"{PACKAGE}.features.{part}.{name}", method, f"{name}.java", chance.randint(20, 900)


def _java_frame(place: FramePlace) -> str:
    class_name, method, file, line = place
    return f"\tat {class_name}.{method}({file}:{line})"


def _sentry_exception(kind: str, value: str, places: tuple[FramePlace, ...]) -> dict[str, object]:
    frames = [
        {
            "module": class_name,
            "function": method,
            "lineno": line,
        }
        for class_name, method, _, line in reversed(places)
    ]
    return {"type": kind, "value": value, "stacktrace": {"frames": frames}}
