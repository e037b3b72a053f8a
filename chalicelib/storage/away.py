"""Adapters that tell what another try may mend from what is wrong for good."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import wraps
from inspect import isfunction, isgeneratorfunction
from typing import Any, TypeVar

Adapter = TypeVar("Adapter")
Translated = Callable[[], AbstractContextManager[None]]
"""Raises `StoreAway` in the place of an adapter's own errors, where it applies."""


def tells_when_away(translated: Translated) -> Callable[[type[Adapter]], type[Adapter]]:
    """A decorator of adapters, for their public methods."""

    def decorated(adapter: type[Adapter]) -> type[Adapter]:
        for name, method in list(vars(adapter).items()):
            if isfunction(method) and not name.startswith("_"):
                setattr(adapter, name, _telling(method, translated))
        return adapter

    return decorated


def _telling(method: Callable[..., Any], translated: Translated) -> Callable[..., Any]:
    if isgeneratorfunction(method):

        @wraps(method)
        def generated(*args: Any, **kwargs: Any) -> Iterator[Any]:
            with translated():
                yield from method(*args, **kwargs)

        return generated

    @wraps(method)
    def called(*args: Any, **kwargs: Any) -> Any:
        with translated():
            return method(*args, **kwargs)

    return called
