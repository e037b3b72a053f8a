"""Time by stage: functions are wrapped, and each is charged what its own callees are not."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Stopwatch:
    """Seconds by stage. A stage inside another one counts for itself only.

    Costs about half a microsecond a call, which is why whole stages are
    timed, and not every function.
    """

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.calls: Counter[str] = Counter()
        self._inner: list[float] = []  # for each stage that is open: seconds of those within
        self._closed = 0  # open stages that keep what is within for themselves

    @contextmanager
    def wrapping(self, *stages: tuple[object, str, str]) -> Iterator[None]:
        """While open, calls of `target.attribute` count as a stage, given as (target, attribute,
        stage). A stage ending in `*` keeps whatever is called within for itself."""
        originals = [(target, name, _own(target, name)) for target, name, _ in stages]
        for target, name, stage in stages:
            setattr(target, name, self._wrapped(target, name, stage))
        try:
            yield
        finally:
            for target, name, original in originals:
                if original is _ABSENT:
                    delattr(target, name)
                else:
                    setattr(target, name, original)

    def _wrapped(self, target: object, name: str, stage: str) -> Any:
        original = _own(target, name)
        if isinstance(original, property):
            assert original.fget is not None
            return property(self._timed(original.fget, stage))
        return self._timed(getattr(target, name), stage)

    def _timed(self, call: Callable[..., Any], stage: str) -> Callable[..., Any]:
        keeps = stage.endswith("*")
        label = stage.rstrip("*")

        def timed(*args: Any, **kwargs: Any) -> Any:
            if self._closed:
                return call(*args, **kwargs)
            self._closed += keeps
            self._inner.append(0.0)
            began = time.perf_counter()
            try:
                return call(*args, **kwargs)
            finally:
                elapsed = time.perf_counter() - began
                self._closed -= keeps
                self.seconds[label] += elapsed - self._inner.pop()
                self.calls[label] += 1
                if self._inner:
                    self._inner[-1] += elapsed

        return timed


_ABSENT = object()


def _own(target: object, name: str) -> Any:
    """What stands on the target itself: a method of an object stands on its class."""
    return vars(target).get(name, _ABSENT)
