"""The original names of an obfuscated program, looked up class by class.

`symbolic` reads a whole mapping at once and keeps thirty times its size in
memory. Here it is given the lines of one class at a time, found by the index.
"""

from __future__ import annotations

import tempfile
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.errors import FormatError
from chalicelib.symbols.mapping_index import MappedClass, MappingIndex
from chalicelib.symbols.module_symbols import CacheData, as_buffer

if TYPE_CHECKING:
    from symbolic.proguard import ProguardMapper

_MAX_CLASS_BYTES = 4 * 1024 * 1024  # the lines of one class; generated ones reach a megabyte
_MAX_KNOWN_CLASSES = 256
_MAX_INLINED = 128
_MAX_LINE = 2**31 - 1


@dataclass(frozen=True, slots=True)
class OriginalFrame:
    """A frame by its original names; `file` and `line` where the mapping has them."""

    class_name: str
    method: str
    file: str | None
    line: int | None


class Mapping:
    """A mapping with its index; safe to share between threads."""

    def __init__(self, text: CacheData, index: CacheData) -> None:
        """Files may be deleted once this is made. Raises `FormatError` for a damaged index."""
        self._text = as_buffer(text)
        self._index = MappingIndex(as_buffer(index))
        self._known: OrderedDict[str, ProguardMapper] = OrderedDict()
        self._lock = threading.Lock()

    def original_class(self, name: str) -> str | None:
        found = self._index.obfuscated(name)
        return found.original if found else None

    def original_frames(
        self, class_name: str, method: str, line: int | None
    ) -> list[OriginalFrame]:
        """The frames that were compiled into one, innermost first.

        Empty for a method that the mapping does not have, or has under
        several names that no line tells apart.
        """
        known = self._index.obfuscated(class_name)
        if known is None or known.end - known.start > _MAX_CLASS_BYTES:
            return []
        method = method.encode(errors="replace").decode()
        with self._lock:
            mapper = self._mapper(class_name, known)
            found = mapper.remap_frame(class_name, method, min(max(line or 0, 0), _MAX_LINE))
            if not any(frame.line for frame in found):
                named = mapper.remap_method(class_name, method)
                return [self._original(*named, None)] if named else []
        return [
            self._original(frame.class_name, frame.method, frame.line or None)
            for frame in found[:_MAX_INLINED]
        ]

    def _original(self, class_name: str, method: str, line: int | None) -> OriginalFrame:
        return OriginalFrame(class_name, method, self._index.source_file(class_name), line)

    def _mapper(self, class_name: str, known: MappedClass) -> ProguardMapper:
        from symbolic.exceptions import SymbolicError  # noqa: PLC0415 - see docs/dependencies.md
        from symbolic.proguard import ProguardMapper  # noqa: PLC0415

        mapper = self._known.get(class_name)
        if mapper is None:
            with tempfile.NamedTemporaryFile(prefix="crashbucket-mapping-") as file:
                file.write(self._text[known.start : known.end])
                file.flush()
                try:
                    mapper = ProguardMapper.open(file.name)
                except SymbolicError as error:
                    raise FormatError(f"the mapping is damaged: {error.message}") from error
            self._known[class_name] = mapper
            if len(self._known) > _MAX_KNOWN_CLASSES:
                self._known.popitem(last=False)
        self._known.move_to_end(class_name)
        return mapper
