"""Ports at whose n-th call something happens: the process dies, or another one gets its turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

WRITES = frozenset({"write", "put", "delete", "send", "ack", "release"})
READS = frozenset({"get", "batch_get", "query", "fetch", "size", "receive"})


class Died(BaseException):
    """kill -9: nothing of the process runs after it."""


class Disturbance:
    """What happens at one of the calls that a process makes of its store; nothing until armed."""

    def __init__(self) -> None:
        self.calls = 0
        self._at = 0
        self._action: Callable[[], None] = lambda: None
        self._is_after = False
        self._counted = WRITES

    def arm(
        self,
        at: int,
        action: Callable[[], None],
        *,
        after: bool = False,
        counted: frozenset[str] = WRITES,
    ) -> None:
        """Act before (or right after) the `at`-th of the `counted` calls from now on."""
        self.calls, self._at, self._action = 0, at, action
        self._is_after, self._counted = after, counted

    def disarm(self) -> None:
        self._at = 0

    def call(self, name: str, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if name not in self._counted:
            return method(*args, **kwargs)
        self.calls += 1
        is_now = self.calls == self._at
        if is_now and not self._is_after:
            self._act()
        answer = method(*args, **kwargs)
        if is_now and self._is_after:
            self._act()
        return answer

    def _act(self) -> None:
        self.disarm()
        self._action()


class Disturbed:
    """A port with a disturbance."""

    def __init__(self, port: object, disturbance: Disturbance) -> None:
        self._port, self._disturbance = port, disturbance

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if name == "dead_letters":
            return Disturbed(found, self._disturbance)
        if name not in WRITES | READS:
            return found
        return lambda *args, **kwargs: self._disturbance.call(name, found, *args, **kwargs)


def die() -> None:
    raise Died
