"""Crashes that no run before sent: their words hold the id of the run."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from uuid import UUID

from tests.formats.minidump.builder import MinidumpBuilder

# A worker that found no symbols of a build, or none of the app, believes it for five seconds.
SYMBOLS_IN_USE_S = 6.0
PACKAGE = "com.example.blackbox"
_BASE = 0x40_0000
_STACK = 0x7FFF_0000_0000


def log(word: str, version: str = "7", package: str = PACKAGE) -> bytes:
    """An Android crash whose cause is named by the word."""
    return f"""\
Package: {package}
Version Code: {version}
Version Name: 1.{version}
Android: 14
Manufacturer: Google
Model: Pixel 8
CrashReporter Key: {word}-key

java.lang.IllegalStateException: broken {word}
\tat {package}.{word}.fail({word}.java:12)
\tat {package}.{word}.called({word}.java:34)
\tat {package}.{word}Main.run({word}Main.java:7)
""".encode()


@dataclass(frozen=True)
class Build:
    """A program that no symbol server knows, with the symbols and the crashes of this build."""

    word: str
    debug_id: str

    @property
    def file(self) -> str:
        return f"lib{self.word}.so"

    @property
    def symbols(self) -> bytes:
        """Breakpad's text: two functions, a rule to get from the inner to the outer one."""
        word = self.word
        return f"""\
MODULE Linux x86_64 {self.debug_id} {self.file}
FILE 0 {word}.cc
FUNC 1000 100 0 {word}_inner
1000 100 11 0
FUNC 2000 100 0 {word}_outer
2000 100 22 0
STACK CFI INIT 1000 100 .cfa: $rsp 8 + .ra: .cfa -8 + ^
STACK CFI INIT 2000 100 .cfa: $rsp 8 + .ra: .cfa -8 + ^
""".encode()

    @property
    def dump(self) -> bytes:
        """A minidump of a crash in the inner function."""
        build_id = UUID(self.debug_id[:32]).bytes_le
        registers = {"rip": _BASE + 0x1010, "rsp": _STACK, "rbp": 0}
        return (
            MinidumpBuilder(os="linux", cpu="amd64")
            .module(f"/opt/{self.file}", _BASE, 0x1_0000, build_id=build_id)
            .thread(1, registers, stack=(_BASE + 0x2010).to_bytes(8, "little") + bytes(64))
            .exception(1, code=11, flags=1, address=0x45, registers=registers)
            .build()
        )


def build(word: str) -> Build:
    return Build(word, secrets.token_hex(16).upper() + "0")
