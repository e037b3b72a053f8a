"""The symbol names of Apple's languages: which class and which method a frame names."""

from __future__ import annotations

import re

# "-[NSRunLoop(NSRunLoop) runMode:beforeDate:]", also inside a block's name such as
# "__65-[Foo bar:]_block_invoke_2".
_OBJC = re.compile(r"^(?:_*[0-9]+)?[-+]\[([^\s\[\]()]+)(?:\([^()\[\]]*\))? ([^\s\[\]]+)\]")
# What the Swift demangler writes before the name proper.
_SWIFT_PREFIX = re.compile(
    r"(?:(?:closure|implicit closure|autoclosure) #[0-9]+ (?:\([^()]*\) (?:-> \S+ )?)?in "
    r"|partial apply (?:forwarder )?for |reabstraction thunk helper for |protocol witness for "
    r"|(?:generic |function signature )?specialized |@objc |@nonobjc |static |merged |outlined "
    r"|dispatch thunk of |default argument [0-9]+ of )"
)
_SWIFT_NAME = re.compile(r"[\w$]+(?:\.[\w$]+)+")
_SWIFT_ACCESSORS = (".getter", ".setter", ".modify", ".read", ".init", ".deinit", ".didset")
# Its brackets are part of its name: operator(), operator<, operator->.
_OPERATOR = re.compile(r"(?<![\w$])operator(?![\w$])(?:\(\))?[^(]*")
_MAX_PREFIXES = 16
_OPENING = {"(": ")", "<": ">"}


def class_and_method(function: str) -> tuple[str | None, str]:
    """The class a `function` belongs to, and its name there.

    Objective-C: class without its category, selector; the sign stays in
    `function`, and a block counts as the method it is written in. Swift: the
    type's path, name with argument labels; a closure counts as the function it
    is written in. Demangled C++: scope, name without parameters. Everything
    else (C functions, mangled names) has no class and is its own method.
    """
    if "[" in function:
        objc = _OBJC.match(function)
        if objc:
            return objc[1], objc[2]
    if "::" in function:
        return _cplusplus(function)
    if "." in function:
        return _swift(function)
    return None, function


def _swift(function: str) -> tuple[str | None, str]:
    name = function
    for _ in range(_MAX_PREFIXES):
        prefix = _SWIFT_PREFIX.match(name)
        if not prefix:
            break
        name = name[prefix.end() :]
    dotted = _SWIFT_NAME.match(name)
    if not dotted:
        return None, function
    path, rest = dotted[0], name[dotted.end() :]
    # A dot alone may be a compiler's suffix on a C name ("foo.cold.1").
    if rest.startswith("("):
        owner, _, member = path.rpartition(".")
        return owner, member + rest[: _closing(rest)]
    if path.endswith(_SWIFT_ACCESSORS):
        parts = path.rsplit(".", 2)
        if len(parts) == 3:
            return parts[0], f"{parts[1]}.{parts[2]}"
    return None, function


def _closing(text: str) -> int:
    """Where the bracket that opens `text` has closed again."""
    depth = 0
    for index, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if depth == 0:
            return index + 1
    return len(text)


def _cplusplus(function: str) -> tuple[str | None, str]:
    """Scope and name, found at bracket depth 0 so that template arguments stay whole."""
    depth = 0
    scope_end = start = 0
    end = len(function)
    index = 0
    while index < len(function):
        char = function[index]
        operator = _OPERATOR.match(function, index) if char == "o" and depth == 0 else None
        if operator:
            end = operator.end()
            break
        if char == "(" and depth == 0 and not function.startswith("(anonymous", index):
            end = index
            break
        if char in _OPENING:
            depth += 1
        elif char in ")>":
            depth = max(0, depth - 1)
        elif char == " " and depth == 0:
            start = index + 1  # what stood before is a return type or a specifier
            scope_end = 0
        elif char == ":" and depth == 0 and function.startswith("::", index):
            scope_end = index
            index += 1
        index += 1
    if scope_end <= start:
        return None, function
    return function[start:scope_end], function[scope_end + 2 : end] or function
