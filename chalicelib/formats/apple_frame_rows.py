"""The frame rows of an Apple text report: `INDEX  MODULE  ADDRESS  SYMBOL`.

What follows the address takes one of these forms:

    -[Foo bar:] + 42                symbol and the distance from its start, in bytes
    main (main.m:16)                symbol, file and line
    Foo.bar() + 42 (Foo.swift:7)    all of them
    0x10864e000 + 5384491           no symbol: the image's start and the distance from it
    QuincyDemo + 5384491            the same, as macOS writes backtraces of exceptions
"""

from __future__ import annotations

import re

from chalicelib.formats.apple_bounds import (
    MAX_FRAMES,
    MAX_NAME_CHARS,
    hexadecimal,
    number,
)
from chalicelib.formats.apple_images import Images, Ownership
from chalicelib.formats.apple_symbols import class_and_method
from chalicelib.model import Frame, Module

_INDEX = re.compile(r"[ \t]*[0-9]{1,9}[ \t]+(?=\S)")
_ADDRESS = re.compile(r"[ \t]0x([0-9a-fA-F]+)(?=[ \t]|$)")
_COLUMN = re.compile(r"\t| {2}")
_BASE = re.compile(r"0x[0-9a-fA-F]+|0")
_LISTED = re.compile(r"0x([0-9a-fA-F]+)")
_MAX_LINE_DIGITS = 9


class FrameRows:
    """Reads the rows of one report; its images place them."""

    def __init__(self, images: Images, ownership: Ownership) -> None:
        self._images = images
        self._ownership = ownership

    def frame(self, line: str) -> Frame | None:
        """The frame of one row; None when the line is not one.

        `offset` is relative to the image, so it is None for a symbol in an
        image that is not listed.
        """
        index = _INDEX.match(line)
        if not index:
            return None
        rest = line[index.end() :].rstrip()
        found = _ADDRESS.search(rest)
        if found:
            module, tail = rest[: found.start()], rest[found.end() :]
            address = hexadecimal(found[1])
        else:
            # Some tools leave the addresses out of a symbolicated report.
            column = _COLUMN.search(rest)
            if not column:
                return None
            module, tail, address = rest[: column.start()], rest[column.end() :], None
        # Console marks the app's own binaries with "+ ".
        module = module.removeprefix("+ ").strip()[:MAX_NAME_CHARS]
        return self._placed(module, address, tail.strip())

    def listed(self, line: str, limit: int = MAX_FRAMES) -> list[Frame]:
        """The frames of an address list, `(0x1 0x2 ...)`; the first `limit` of them."""
        frames: list[Frame] = []
        for found in _LISTED.finditer(line):
            if len(frames) == limit:
                break
            address = hexadecimal(found[1])
            image = self._images.at(address)
            frames.append(self._frame(image.name if image else None, address, image))
        return frames

    def _placed(self, module: str, address: int | None, tail: str) -> Frame:
        image = self._images.at(address) or self._images.named(module)
        tail, file, line = _location(tail)
        symbol, plus, distance = tail.rpartition(" + ")
        delta = number(distance) if plus else None
        if delta is None:
            symbol = tail
        if _BASE.fullmatch(symbol) or not symbol:
            return self._frame(module, address, image, offset=delta)
        if symbol == module and delta is not None:
            inside = _offset(address, image)
            if inside is None or inside == delta:
                return self._frame(module, address, image, offset=delta)
        function = symbol[:MAX_NAME_CHARS]
        class_name, method = class_and_method(function)
        return Frame(
            function=function,
            class_name=class_name,
            method=method,
            module=module or None,
            file=file,
            line=line,
            address=address,
            offset=_offset(address, image),
            in_app=self._ownership.owns(module, image),
        )

    def _frame(
        self,
        module: str | None,
        address: int | None,
        image: Module | None,
        *,
        offset: int | None = None,
    ) -> Frame:
        inside = _offset(address, image)
        return Frame(
            module=module or None,
            address=address,
            offset=inside if inside is not None else offset,
            in_app=self._ownership.owns(module, image),
        )


def _offset(address: int | None, image: Module | None) -> int | None:
    if address is None or image is None or image.start is None or address < image.start:
        return None
    return address - image.start if image.end is None or address < image.end else None


def _location(tail: str) -> tuple[str, str | None, int | None]:
    """Splits `(main.m:16)`, `(AppDelegate.swift)` and atos' `(in MyApp)` off a symbol's end."""
    file: str | None = None
    line: int | None = None
    while tail.endswith(")"):
        start = tail.rfind(" (")
        inside = tail[start + 2 : -1]
        before = tail[:start].rstrip()
        name, _, digits = inside.rpartition(":")
        if start <= 0 or "(" in inside:
            break
        if name and digits.isascii() and digits.isdigit() and len(digits) <= _MAX_LINE_DIGITS:
            # Line 0 is the compiler's own code.
            file, line = name, int(digits) or None
        elif inside.startswith("in "):
            pass
        elif file is None and number(before.rpartition(" + ")[2]) is not None:
            file = inside if inside != "<compiler-generated>" else None
        else:
            break
        tail = before
    return tail, file[:MAX_NAME_CHARS] if file else None, line
