"""Small symbol files of our own, and one program of ours compiled where there is a compiler."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

APP_ID = "0123456789ABCDEF0123456789ABCDEF1"

# `twice` is inlined into `work`; `tail` is public, as assembly is.
APP_SYM = b"""\
MODULE windows x86 0123456789ABCDEF0123456789ABCDEF1 app.pdb
INFO CODE_ID 5AB380779000 app.exe
FILE 0 c:\\src\\work.cpp
FILE 1 c:\\src\\twice.h
INLINE_ORIGIN 0 twice(int)
FUNC 1000 40 8 work(int, int)
INLINE 0 12 0 0 1010 8
1000 10 11 0
1010 8 3 1
1018 28 13 0
FUNC m 1100 20 0 start()
1100 20 40 0
PUBLIC 1010 0 hidden_in_work
PUBLIC 1050 4 tail
PUBLIC 1200 c _last@12
STACK WIN 4 1000 40 5 0 8 4 10 0 1 $T0 $ebp = $eip $T0 4 + ^ = $ebp $T0 ^ = $esp $T0 8 + =
STACK WIN 4 1010 8 0 0 8 4 10 0 1 $T0 .raSearch = $eip $T0 ^ = $esp $T0 4 + =
STACK WIN 0 1100 20 3 0 4 8 0 0 0 1
STACK WIN 0 1030 40 3 0 0 0 0 0 0 0
"""

LIB_ID = "AAAAAAAABBBBCCCCDDDDEEEEFFFFFFFF0"

LIB_SYM = b"""\
MODULE Linux x86_64 AAAAAAAABBBBCCCCDDDDEEEEFFFFFFFF0 liblib.so
INFO CODE_ID AAAAAAAABBBBCCCCDDDDEEEEFFFFFFFF00000000
FILE 0 /src/lib.c
FUNC 2000 100 0 lib_call
2000 80 7 0
2080 80 9 0
STACK CFI INIT 2000 100 .cfa: $rsp 8 + .ra: .cfa -8 + ^
STACK CFI 2001 .cfa: $rsp 16 + $rbp: .cfa -16 + ^
STACK CFI 2004 .cfa: $rbp 16 +
STACK CFI 20ff .cfa: $rsp 8 +
STACK CFI INIT 2200 10 .cfa: $rsp 8 + .ra: .cfa -8 + ^
"""

MAPPING = b"""\
# compiler: R8
# pg_map_id: 7f3a9c
# {"id":"com.android.tools.r8.mapping","version":"2.0"}
com.example.app.Helper -> a.b:
# {"id":"sourceFile","fileName":"Helpers.kt"}
    5:9:void check(int):20:24 -> a
com.example.app.MainActivity -> a.c:
# {"id":"sourceFile","fileName":"MainActivity.kt"}
    1:3:void onCreate(android.os.Bundle):10:12 -> a
    4:4:void com.example.app.Helper.inner():33:33 -> a
    4:4:void onCreate(android.os.Bundle):14 -> a
    void click(android.view.View) -> b
    void one(int) -> c
    void two(java.lang.String) -> c
com.example.app.Boom -> x.y:
"""

_PROGRAM = """
namespace shop { struct Cart { int total(int n); }; }
static inline __attribute__((always_inline)) int twice(int n) { volatile int m = n; return m * 2; }
int shop::Cart::total(int n) {
  return twice(n) + 1;
}
int main(int argc, char **) { shop::Cart cart; return cart.total(argc); }
"""


def compiled(folder: Path) -> Path:
    """An ELF program with debug information; skips the test where there is no compiler."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("needs g++ to compile a program")
    source, program = folder / "cart.cpp", folder / "cart"
    source.write_text(_PROGRAM)
    subprocess.run(
        [compiler, "-g", "-O1", "-Wl,--build-id", "-o", str(program), str(source)], check=True
    )
    return program


def offset_of(program: Path, symbol: str) -> int:
    """Where a function is, as `nm` says; skips without it."""
    if shutil.which("nm") is None:
        pytest.skip("needs nm to find a function")
    listed = subprocess.run(["nm", str(program)], check=True, capture_output=True, text=True)
    line = next(line for line in listed.stdout.splitlines() if line.endswith(f" {symbol}"))
    return int(line.split()[0], 16)
