"""What an app told Crashpad of itself, for the process and for each module.

Format: Crashpad's `minidump_extensions.h` (MinidumpCrashpadInfo and what it points to), as in
Breakpad's `minidump_format.h`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from struct import Struct
from uuid import UUID

from chalicelib.formats.minidump.directory import Stream
from chalicelib.formats.minidump.dump_bytes import Damaged, DumpBytes, Notes, decode_utf8
from chalicelib.formats.minidump.limits import (
    MAX_ANNOTATION_BYTES,
    MAX_ANNOTATION_TOTAL_BYTES,
    MAX_ANNOTATIONS,
    MAX_MODULES,
)
from chalicelib.formats.minidump.records import records_at

Annotation = tuple[str, str]

_INFO = Struct("<I16s16s4I")
_LINK = Struct("<3I")
_MODULE_INFO = Struct("<7I")
_ENTRY = Struct("<2I")
_TEXT_AT = Struct("<I")
_OBJECT = Struct("<I2HI")
_MAX_KEY_BYTES = 256  # SimpleStringDictionary's keys have at most 255, annotations' names 64
_STRING = 1  # Annotation::Type::kString; from 0x8000 on, the app's own
_MESSAGE = "message"  # the name we give to texts that have none


@dataclass(frozen=True, slots=True)
class CrashpadInfo:
    """`modules` is by place in the module list; ids that are not set are None."""

    report_id: UUID | None = None
    client_id: UUID | None = None
    annotations: tuple[Annotation, ...] = ()
    modules: Mapping[int, tuple[Annotation, ...]] = field(default_factory=dict)


def read_crashpad_info(dump: DumpBytes, stream: Stream, notes: Notes) -> CrashpadInfo:
    """Crashpad's stream. A list that is damaged ends there; what came before it counts."""
    raw = bytes(dump.part(stream.offset, _INFO.size))
    _, report_id, client_id, *places = _INFO.unpack(raw)
    reader = _Annotations(dump, notes)
    return CrashpadInfo(
        _uuid(report_id),
        _uuid(client_id),
        reader.pairs("crashpad annotations", reader.dictionary(Stream(places[1], places[0]))),
        reader.modules(Stream(places[3], places[2])),
    )


def _uuid(raw: bytes) -> UUID | None:
    return UUID(bytes_le=raw) if any(raw) else None


class _Annotations:
    """Reads annotations until there are too many: a small dump may point at one text often."""

    def __init__(self, dump: DumpBytes, notes: Notes) -> None:
        self._dump = dump
        self._notes = notes
        self._count = 0
        self._size = 0

    def pairs(self, part: str, entries: Iterator[Annotation]) -> tuple[Annotation, ...]:
        """The annotations up to the first that is damaged."""
        read: dict[Annotation, None] = {}
        try:
            for entry in entries:
                read.setdefault(entry)
        except Damaged as damage:
            self._notes.add(part, str(damage))
        return tuple(read)

    def modules(self, stream: Stream) -> Mapping[int, tuple[Annotation, ...]]:
        modules: dict[int, tuple[Annotation, ...]] = {}
        try:
            for place, size, offset in self._records(stream, _LINK, MAX_MODULES):
                if self._is_full():
                    break
                if place < MAX_MODULES and place not in modules:
                    modules[place] = self._module(place, Stream(offset, size))
        except Damaged as damage:
            self._notes.add("crashpad modules", str(damage))
        return {place: said for place, said in modules.items() if said}

    def _module(self, place: int, stream: Stream) -> tuple[Annotation, ...]:
        part = f"crashpad annotations of module {place + 1}"
        try:
            fields = self._dump.fields(_MODULE_INFO, stream.offset)
        except Damaged as damage:
            self._notes.add(part, str(damage))
            return ()
        _, texts_size, texts_at, simple_size, simple_at, objects_size, objects_at = fields
        return (
            *self.pairs(part, self.dictionary(Stream(simple_at, simple_size))),
            *self.pairs(part, self._objects(Stream(objects_at, objects_size))),
            *self.pairs(part, self._texts(Stream(texts_at, texts_size))),
        )

    def dictionary(self, stream: Stream) -> Iterator[Annotation]:
        for key_at, value_at in self._records(stream, _ENTRY, MAX_ANNOTATIONS):
            key = self._dump.utf8(key_at, _MAX_KEY_BYTES)
            yield self._counted(key, self._dump.utf8(value_at, MAX_ANNOTATION_BYTES))

    def _texts(self, stream: Stream) -> Iterator[Annotation]:
        for (text_at,) in self._records(stream, _TEXT_AT, MAX_ANNOTATIONS):
            yield self._counted(_MESSAGE, self._dump.utf8(text_at, MAX_ANNOTATION_BYTES))

    def _objects(self, stream: Stream) -> Iterator[Annotation]:
        for name_at, kind, _, value_at in self._records(stream, _OBJECT, MAX_ANNOTATIONS):
            name = self._dump.utf8(name_at, _MAX_KEY_BYTES)
            size = self._dump.uint32(value_at)
            value = self._dump.part(value_at + 4, size)[:MAX_ANNOTATION_BYTES]
            if kind == _STRING:
                yield self._counted(name, decode_utf8(value))
            else:
                yield self._counted(name, f"{size} bytes of type 0x{kind:x}")

    def _records(self, stream: Stream, layout: Struct, limit: int) -> Iterator[tuple[int, ...]]:
        if not stream.size:
            return
        count = self._dump.uint32(stream.offset)
        records = records_at(self._dump, stream, 4, count, layout.size, layout, limit)
        yield from records.rows
        if records.shortfall:
            raise Damaged(records.shortfall)

    def _counted(self, key: str, value: str) -> Annotation:
        self._count += 1
        self._size += len(key) + len(value)
        if self._is_full():
            raise Damaged("there are too many, or too long ones")
        return key, value

    def _is_full(self) -> bool:
        return self._count > MAX_ANNOTATIONS or self._size > MAX_ANNOTATION_TOTAL_BYTES
