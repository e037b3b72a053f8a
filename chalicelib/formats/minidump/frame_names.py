"""The class and the method that a native function's readable name tells of."""

from __future__ import annotations

import re

from chalicelib.formats.apple_symbols import class_and_method

# What Rust's compiler writes behind a function's path: `::<u8>`, `::{closure#0}`, `::h` and a hash.
_RUST_SUFFIX = re.compile(r"::(?:h[0-9a-f]{16}|\{[^{}]*\}|\{\{closure\}\})$")
_MAX_SUFFIXES = 8
_MAX_CHARS = 4096  # a longer name is a template's, whose parts tell nothing
_PLAIN_WITH_PARAMETERS = re.compile(r"([A-Za-z_$][\w$]*)\(")


def split_name(function: str) -> tuple[str | None, str]:
    """The class and its method; a closure counts as the function that it is written in.

    Names of C++, Objective-C and Swift are split as in Apple's reports, those
    of Rust at their last path separator outside of brackets.
    """
    if len(function) > _MAX_CHARS:
        return None, function
    if "::" not in function:
        plain = _PLAIN_WITH_PARAMETERS.match(function)
        return (None, plain[1]) if plain else class_and_method(function)
    name = function.replace("`anonymous namespace'", "(anonymous namespace)")  # Microsoft's words
    for _ in range(_MAX_SUFFIXES):
        shorter = _without_type_arguments(_RUST_SUFFIX.sub("", name))
        if shorter == name:
            break
        name = shorter
    return class_and_method(name) if "::" in name else (None, name)


def _without_type_arguments(name: str) -> str:
    """`core::ptr::write_volatile::<u8>` without its last part."""
    if not name.endswith(">"):
        return name
    depth = 0
    for place in range(len(name) - 1, -1, -1):
        # The arrow of a function type is no bracket.
        if name[place] == ">" and not name.startswith("->", max(place - 1, 0)):
            depth += 1
        elif name[place] == "<":
            depth -= 1
            if depth == 0:
                return name[: place - 2] if name.startswith("::", place - 2) and place > 2 else name
    return name
