"""Function names as their programmers wrote them."""

from __future__ import annotations

from functools import lru_cache

MAX_NAME_CHARS = 4096  # a name is shown and stored; templates can make one of a megabyte


@lru_cache(maxsize=16_384)
def demangle(name: str) -> str:
    """A mangled name (C++, Rust, Swift) readable; any other, and one that is too long, as it is."""
    if not name.startswith(("_Z", "__Z", "_R", "?", "$s", "$S", "_$s", "_$S", "_T")):
        return name[:MAX_NAME_CHARS]
    if len(name) > MAX_NAME_CHARS:
        return name[:MAX_NAME_CHARS]
    from multi_demangle import demangle_symbol  # noqa: PLC0415 - native, not at a cold start

    readable: str = demangle_symbol(name)
    return (readable or name)[:MAX_NAME_CHARS]
