"""Minidumps of 40 kB as a benchmark needs them: like real ones, and the same in every run.

The crashes are those of `benchmarks.corpus`: 200 known causes and, one in twenty, a new one. Each
is a Linux x86-64 dump with 8 threads, 40 modules and 30 frames on the crashed stack, which its
symbol file has the unwind data and the names for. What fills the stacks is as in real ones: half
zeros, then pointers, then noise, so that it deflates to about a third.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence
from functools import lru_cache
from zlib import crc32

from benchmarks import corpus
from tests.formats.minidump.builder import MinidumpBuilder

DUMP_BYTES = 40_000
SYMBOL_FILE = "shop.sym"
FUNCTIONS = 20_000

_DEBUG_ID = "0123456789ABCDEF0123456789ABCDEF0"
_BUILD_ID = bytes.fromhex("67452301AB89EFCD0123456789ABCDEF00000000")  # the first 16 as a GUID
_MODULES = 40
_THREADS = 8
_WAITING_FRAMES = 12
_CODE = 0x5581_0000_0000
_FUNCTION_BYTES = 0x100
_FIRST_FUNCTION = 0x1000
_LIBRARIES = 0x7F10_0000_0000
_STACKS = 0x7FFC_0000_0000
_FRAME_BYTES = 48
_STACK_BYTES = 2560  # of each thread; what is missing to the whole is put into the crashed one's
_CALL = 0x40  # where in its function a frame calls the next
_SIGSEGV, _SEGV_MAPERR = 11, 1


def symbols() -> bytes:
    """The symbol file of the app's binary, as `dump_syms` writes it."""
    lines = [f"MODULE Linux x86_64 {_DEBUG_ID} shop", "FILE 0 src/shop.cc"]
    for place in range(FUNCTIONS):
        start = _start(place)
        lines.append(f"FUNC {start:x} {_FUNCTION_BYTES:x} 0 shop::Part{place % 97}::step{place}()")
        lines.extend(
            f"{start + offset:x} 40 {place * 4 + line} 0"
            for line, offset in enumerate(range(0, _FUNCTION_BYTES, 0x40), start=1)
        )
    lines.extend(
        f"STACK CFI INIT {_start(place):x} {_FUNCTION_BYTES:x} .cfa: $rsp {_FRAME_BYTES} + "
        ".ra: .cfa -8 + ^ $rbx: .cfa -16 + ^"
        for place in range(FUNCTIONS)
    )
    return "\n".join((*lines, "")).encode()


def dump(crash: corpus.Crash) -> bytes:
    """The crash as a minidump of `DUMP_BYTES`."""
    chance = random.Random(f"dump {crash.number}")
    cause = crash.cause
    crashed = [_place_of(place) for place in (*cause.inner, *cause.outer)]
    spare = DUMP_BYTES - len(_built(crashed, chance, _STACK_BYTES))
    made = _built(crashed, chance, _STACK_BYTES + spare // 8 * 8)
    return made + bytes(DUMP_BYTES - len(made))


def _built(crashed: Sequence[int], chance: random.Random, stack_bytes: int) -> bytes:
    builder = MinidumpBuilder(os="linux", cpu="amd64")
    builder.module(
        "/opt/shop/bin/shop",
        _CODE,
        _start(FUNCTIONS),
        build_id=_BUILD_ID,
    )
    for number in range(1, _MODULES):
        build = crc32(b"%d" % number).to_bytes(4, "little") * 5
        start = _LIBRARIES + number * 0x100_0000
        builder.module(f"/usr/lib/libpart{number}.so.1", start, 0x20_0000, build_id=build)
    for thread in range(_THREADS):
        frames = crashed if thread == 0 else _waiting(thread)
        low = _STACKS + thread * 0x10_0000
        stack = _stack(frames, chance, stack_bytes if thread == 0 else _STACK_BYTES)
        registers = {
            "rip": _CODE + _start(frames[0]) + _CALL,
            "rsp": low + len(stack) - _FRAME_BYTES * len(frames),
        }
        builder.thread(100 + thread, registers, stack=stack, stack_start=low)
        if thread == 0:
            builder.exception(
                100, code=_SIGSEGV, flags=_SEGV_MAPERR, address=0x18, registers=registers
            )
    return builder.build()


def _stack(frames: Sequence[int], chance: random.Random, size: int) -> bytes:
    """Dead words, then the frames, the innermost one lowest; the outermost has no caller."""
    live = b"".join(
        _words(chance, _FRAME_BYTES // 8 - 1) + struct.pack("<Q", _CODE + _start(place) + _CALL)
        for place in frames[1:]
    )
    live += bytes(_FRAME_BYTES)
    return _words(chance, (size - len(live)) // 8) + live


def _words(chance: random.Random, count: int) -> bytes:
    kinds = chance.choices((0, 1, 2), (5, 4, 1), k=count)
    values = (
        0 if kind == 0 else chance.choice(_POINTERS) if kind == 1 else chance.getrandbits(64)
        for kind in kinds
    )
    return struct.pack(f"<{count}Q", *values)


def _pointers() -> tuple[int, ...]:
    chance = random.Random("pointers")
    return tuple(
        base + chance.randrange(0, 0x20_0000, 8)
        for base in (_STACKS, _LIBRARIES + 0x100_0000, 0x5581_4000_0000)
        for _ in range(40)
    )


_POINTERS = _pointers()


@lru_cache(maxsize=_THREADS)
def _waiting(thread: int) -> tuple[int, ...]:
    chance = random.Random(f"thread {thread % 3}")
    return tuple(chance.randrange(FUNCTIONS) for _ in range(_WAITING_FRAMES))


def _place_of(frame: corpus.FramePlace) -> int:
    return crc32(".".join(frame[:2]).encode()) % FUNCTIONS


def _start(place: int) -> int:
    return _FIRST_FUNCTION + place * _FUNCTION_BYTES
