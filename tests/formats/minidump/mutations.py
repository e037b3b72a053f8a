"""Ways to damage a minidump that know where its counts, sizes, offsets and registers lie.

Each takes a dump, the other dumps and a random generator, and gives a damaged dump. What a
generator seeded alike makes is the same, on every machine.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from random import Random

from chalicelib.formats.minidump.directory import Kind

Mutation = Callable[[bytearray, Sequence[bytes], Random], bytes]

_COUNTED = (Kind.THREAD_LIST, Kind.MODULE_LIST, Kind.MEMORY_LIST, Kind.THREAD_NAME_LIST)
_EDGES = (0, 1, 2, 7, 8, 0xFF, 0xFFF, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFE, 0xFFFF_FFFF)
_EDGES_64 = (*_EDGES, 1 << 32, 1 << 47, (1 << 63) - 1, 1 << 63, (1 << 64) - 8, (1 << 64) - 1)
_CONTEXT_BYTES = 700  # of the first of each record, where all the registers are


def entries(raw: bytes | bytearray) -> list[tuple[int, int, int, int]]:
    """The directory as it stands: where each entry lies, its kind, size and offset."""
    if len(raw) < 32:
        return []
    count, directory = struct.unpack_from("<II", raw, 8)
    places = range(directory, min(directory + 12 * min(count, 1000), len(raw) - 11), 12)
    return [(at, *struct.unpack_from("<III", raw, at)) for at in places]


def flip_bytes(raw: bytearray, _: Sequence[bytes], random: Random) -> bytes:
    """Also what stands in for a mutation that finds nothing to change."""
    for _ in range(random.choice((1, 2, 8, 64))):
        raw[random.randrange(len(raw))] ^= random.randrange(1, 256)
    return bytes(raw)


def edge_values_anywhere(raw: bytearray, _: Sequence[bytes], random: Random) -> bytes:
    for _ in range(random.choice((1, 2, 4, 16))):
        _put(raw, random.randrange(len(raw)) & ~3, _edge(raw, random))
    return bytes(raw)


def lying_header(raw: bytearray, _: Sequence[bytes], random: Random) -> bytes:
    """Anything but the signature: version, number of streams, where the directory is."""
    _put(raw, random.choice((4, 8, 8, 12, 12, 16, 20)), _edge(raw, random))
    return bytes(raw)


def lying_directory(raw: bytearray, _: Sequence[bytes], random: Random) -> bytes:
    """Sizes and offsets of streams."""
    for at, _, size, offset in random.sample(found := entries(raw), min(3, len(found))):
        field = random.choice((4, 8))
        near = (size if field == 4 else offset) + random.choice((-48, -8, -4, -1, 1, 4, 8, 48))
        _put(raw, at + field, random.choice((near & 0xFFFF_FFFF, _edge(raw, random))))
    return bytes(raw)


def exchanged_kinds(raw: bytearray, _: Sequence[bytes], random: Random) -> bytes:
    """Streams that are said to be of another kind, some of them twice."""
    found = entries(raw)
    for at, *_ in random.sample(found, min(3, len(found))):
        _put(raw, at, random.choice((random.choice(found)[1], int(random.choice(list(Kind))))))
    return bytes(raw)


def duplicated_entries(raw: bytearray, _: Sequence[bytes], random: Random) -> bytes:
    """A directory that is longer, with entries again, moved to the end of the dump."""
    found = [bytes(raw[at : at + 12]) for at, *_ in entries(raw)]
    if not found:
        return flip_bytes(raw, (), random)
    longer = [*found, *random.choices(found, k=random.choice((1, 8, 200, 2000)))]
    random.shuffle(longer)
    _put(raw, 8, len(longer))
    _put(raw, 12, len(raw))
    return bytes(raw) + b"".join(longer)


def lying_counts(raw: bytearray, _: Sequence[bytes], random: Random) -> bytes:
    for _, kind, _, offset in entries(raw):
        if kind in _COUNTED and random.random() < 0.6:
            _put(raw, offset, _edge(raw, random))
    return bytes(raw)


def lying_records(raw: bytearray, _: Sequence[bytes], random: Random) -> bytes:
    """Edge values and other records' values within the lists and small streams."""
    small = [(size, offset) for _, kind, size, offset in entries(raw) if kind and 4 <= size < 8192]
    if not small:
        return flip_bytes(raw, (), random)
    for _ in range(random.choice((1, 4, 16))):
        size, offset = random.choice(small)
        _put(raw, offset + (random.randrange(size) & ~3), _edge(raw, random))
    return bytes(raw)


def crossed_offsets(raw: bytearray, _: Sequence[bytes], random: Random) -> bytes:
    """Words that may be offsets within the dump point where others do, or at themselves."""
    lists = [(size, offset) for _, kind, size, offset in entries(raw) if kind and size >= 8]
    if not lists:
        return flip_bytes(raw, (), random)
    for _ in range(random.choice((2, 8, 32))):
        size, offset = random.choice(lists)
        at = offset + (random.randrange(min(size, 8192)) & ~3)
        if at + 4 > len(raw):
            continue
        (value,) = struct.unpack_from("<I", raw, at)
        if 32 <= value < len(raw):
            _put(raw, at, random.choice((at, offset, 0, random.choice(lists)[1], len(raw) - 2)))
    return bytes(raw)


def truncated(raw: bytearray, _: Sequence[bytes], random: Random) -> bytes:
    return bytes(raw[: random.randrange(len(raw))])


def cut_out(raw: bytearray, _: Sequence[bytes], random: Random) -> bytes:
    """A piece is missing in the middle, as after a broken upload: all behind it is displaced."""
    begin = random.randrange(32, len(raw))
    del raw[begin : begin + random.choice((1, 4, 48, 4096))]
    return bytes(raw)


def spliced(raw: bytearray, others: Sequence[bytes], random: Random) -> bytes:
    """The beginning of one dump and the end of another, or a piece of another in the middle."""
    other = random.choice([other for other in others if other != raw] or others)
    at = random.randrange(32, len(raw))
    if random.random() < 0.5:
        return bytes(raw[:at]) + other[at:]
    size = random.choice((16, 256, 4096))
    begin = random.randrange(max(len(other) - size, 1))
    piece = other[begin : begin + size]
    raw[at : at + len(piece)] = piece
    return bytes(raw)


def grown(raw: bytearray, _: Sequence[bytes], random: Random) -> bytes:
    """Much behind the dump, for the lists to reach into."""
    filler = random.choice((b"\0", b"\xff", b"\x01\0\0\0", b"MDMP"))
    lied = bytearray(lying_counts(raw, (), random))
    for at, kind, *_ in entries(lied):
        if kind in _COUNTED:
            _put(lied, at + 4, 0xFFFF_FFFF)
    return bytes(lied) + filler * (200_000 // len(filler))


def other_registers(raw: bytearray, _: Sequence[bytes], random: Random) -> bytes:
    """Threads whose registers hold edge values, each other's values, or places in the dump."""
    contexts = _contexts(raw)
    if not contexts:
        return flip_bytes(raw, (), random)
    for _ in range(random.choice((1, 4, 16))):
        offset, size = random.choice(contexts)
        at = offset + (random.randrange(min(size, _CONTEXT_BYTES)) & ~7)
        other, other_size = random.choice(contexts)
        value = raw[other + (random.randrange(other_size) & ~7) :][:8]
        if random.random() < 0.5 or len(value) < 8:
            value = bytearray(struct.pack("<Q", random.choice(_EDGES_64)))
        if at + 8 <= len(raw):
            raw[at : at + 8] = value
    return bytes(raw)


def other_stacks(raw: bytearray, _: Sequence[bytes], random: Random) -> bytes:
    """Stacks full of addresses of code, of the stack itself, or of edge values."""
    found = {kind: offset for _, kind, _, offset in entries(raw)}
    stacks = _stacks(raw, found.get(Kind.THREAD_LIST))
    modules = _module_ranges(raw, found.get(Kind.MODULE_LIST))
    if not stacks or not modules:
        return flip_bytes(raw, (), random)
    for start, size, offset in stacks:
        word = random.choice((4, 8))
        for at in range(offset, min(offset + size, len(raw) - word), word):
            if random.random() < 0.3:
                continue
            base, length = random.choice(modules)
            value = random.choice(
                (base + random.randrange(length), start + (at - offset) + 2 * word, start, 0)
            )
            raw[at : at + word] = (value % (1 << 8 * word)).to_bytes(word, "little")
    return bytes(raw)


MUTATIONS: Mapping[str, Mutation] = {
    mutation.__name__: mutation
    for mutation in (
        *(flip_bytes, edge_values_anywhere, lying_header, lying_directory, exchanged_kinds),
        *(duplicated_entries, lying_counts, lying_records, crossed_offsets, truncated, cut_out),
        *(spliced, grown, other_registers, other_stacks),
    )
}


def _put(raw: bytearray, at: int, value: int) -> None:
    if 0 <= at <= len(raw) - 4:
        struct.pack_into("<I", raw, at, value)


def _edge(raw: bytearray, random: Random) -> int:
    """A value that a check may get wrong."""
    near_the_end = len(raw) + random.choice((-48, -12, -8, -4, -1, 0, 1, 4))
    return random.choice((*_EDGES, max(near_the_end, 0), random.getrandbits(32)))


def _fields(raw: bytearray, offset: int | None, layout: str, step: int) -> list[tuple[int, ...]]:
    """The records of a counted list, as far as the dump goes."""
    if offset is None or offset + 4 > len(raw):
        return []
    (count,) = struct.unpack_from("<I", raw, offset)
    size = struct.calcsize(layout)
    places = range(offset + 4, min(offset + 4 + step * min(count, 100), len(raw) - size), step)
    return [struct.unpack_from(layout, raw, at) for at in places]


def _contexts(raw: bytearray) -> list[tuple[int, int]]:
    """Offset and size of the threads' and the exception's contexts."""
    found: list[tuple[int, int]] = []
    for _, kind, _, offset in entries(raw):
        if kind == Kind.THREAD_LIST:
            found += [(at, size) for size, at in _fields(raw, offset, "<40x2I", 48)]
        elif kind == Kind.EXCEPTION and offset + 168 <= len(raw):
            size, at = struct.unpack_from("<2I", raw, offset + 160)
            found.append((at, size))
    return [(at, size) for at, size in found if size >= 8 and at + 8 <= len(raw)]


def _stacks(raw: bytearray, offset: int | None) -> list[tuple[int, int, int]]:
    """Address, size and offset of each stack."""
    return [tuple(row) for row in _fields(raw, offset, "<24xQ2I8x", 48)]  # type: ignore[misc]


def _module_ranges(raw: bytearray, offset: int | None) -> list[tuple[int, int]]:
    rows = _fields(raw, offset, "<QI", 108)
    return [(base, size) for base, size in rows if size]
