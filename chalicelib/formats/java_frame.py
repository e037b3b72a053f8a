"""One line of a Java, .NET, Mono or Android native stack to a frame.

Shapes, each after its `at ` or `#00 pc `:

    java.util.ArrayList.get(ArrayList.java:437)            the JVM and Android
    java.base@17/java.util.ArrayList.get(ArrayList.java)   the JVM with modules
    a.b.c.d(Unknown Source:3)  a.b.c.d(:42)                R8 and ProGuard
    Foo.Bar (System.String x) [0x00012] in /a/File.cs:34   Mono and Xamarin
    Ns.Class.Method(Type arg) in C:\\a\\File.cs:line 34      .NET
    0000abcd  /system/lib/libc.so (abort+64) (BuildId: 1f) Android's debuggerd

Sources: `StackTraceElement.toString` (Java SE 9 and later), Mono's and .NET's
`StackTrace.ToString`, libbacktrace's `format_frame`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from chalicelib.formats.in_app import is_app_code, is_app_library
from chalicelib.model import Frame

MAX_NAME_CHARS = 2048  # generated Kotlin and generic .NET names reach about half of it
_MAX_REMEMBERED_CHARS = 256  # with 8192 lines: some 10 MB at most
_MAX_LINE_DIGITS = 9  # more is not a line number, and int() is quadratic in digits
_MAX_ADDRESS_DIGITS = 16  # 64 bits
_NO_FILE = frozenset({"Native Method", "Unknown Source", "", "Unknown", "<unknown>", "unknown"})


@dataclass(frozen=True, slots=True)
class NativeFrame:
    """A frame of machine code, with the library it lies in."""

    frame: Frame
    library_path: str
    build_id: str | None


def managed_frame(text: str, package: str | None = None) -> Frame | None:
    """The frame in a stripped line `at ...` of the JVM, Mono or .NET, or None.

    Reports of one crash repeat their lines, so that equal lines share one frame.
    """
    if len(text) <= _MAX_REMEMBERED_CHARS:
        return _remembered_frame(text, package)
    return _any_frame(text, package)


def _any_frame(text: str, package: str | None) -> Frame | None:
    if text[-1:] == "]":
        shape, _, jar = text.rpartition(") ")
        if jar[:1] in "~[" and jar[:3] != "[0x":  # logback: `at a.B.c(B.java:1) ~[b.jar:2]`
            text = f"{shape})"
    return java_frame(text, package) or dotnet_frame(text, package)


_remembered_frame = lru_cache(maxsize=8192)(_any_frame)


def java_frame(text: str, package: str | None = None) -> Frame | None:
    """The frame in a stripped line `at name(location)`, or None if it is not of that shape."""
    name, paren, location = text[3:].partition("(")
    if not paren or location[-1:] != ")" or len(text) > MAX_NAME_CHARS:
        return None
    location = location[:-1]
    file, colon, digits = location.rpartition(":")
    line: int | None = None
    if colon and (digits.isdecimal() or digits[:1] == "-"):
        if not digits.isascii() or len(digits) > _MAX_LINE_DIGITS:
            return None
        line = None if digits[0] == "-" else int(digits) or None
    else:
        file = location
        if (" " in file or "," in file) and file not in _NO_FILE:
            return None  # a .NET argument list
    class_name, _, method = name.rpartition(".")
    if not class_name or not method or class_name[-1] == "." or name[-1] == " ":
        return None
    module: str | None = None
    if "/" in class_name:
        module, class_name = _split_module(class_name)
        name = f"{class_name}.{method}"
    return Frame(
        name,
        class_name,
        method,
        module,
        None if file in _NO_FILE else file,
        line,
        None,
        None,
        is_app_code(name, package),
    )


def _split_module(class_name: str) -> tuple[str | None, str]:
    """`loader/module@version/a.b.C` in two; a hidden class's `C$$Lambda/0x1f` stays whole."""
    prefix, _, name = class_name.rpartition("/")
    if name[:1].isdecimal():
        prefix, _, outer = prefix.rpartition("/")
        name = f"{outer}/{name}"
    return prefix.strip("/") or None, name


def dotnet_frame(text: str, package: str | None = None) -> Frame | None:
    """The frame in a stripped line `at name(arguments) [offset] in file:line`, or None."""
    body = text[3:]
    if len(body) > MAX_NAME_CHARS:
        return None
    wrapper = ""
    if body.startswith("(wrapper "):
        wrapper, paren, body = body.partition(") ")
        if not paren:
            return None
    name, paren, rest = body.partition("(")
    bare = name.isidentifier()  # a compiled expression: `lambda_method(Closure , Object )`
    name = name.rstrip()
    if not paren or " " in name or not (bare or "." in name.strip(".")):
        return None
    _, closing, rest = rest.partition(") ") if ") " in rest else rest.rpartition(")")
    if not closing:
        return None
    class_name, method = _split_method(name)
    if not method or not (class_name or bare):
        return None
    file, line = _dotnet_location(rest)
    if file is not None and file.startswith("<"):
        file, line = None, None  # `in <module id>:0`: built without debug symbols
    in_app = not wrapper and not bare and is_app_code(name, package)
    return Frame(name, class_name or None, method, None, file, line, None, None, in_app)


def _dotnet_location(rest: str) -> tuple[str | None, int | None]:
    _, found, location = f" {rest}".partition(" in ")
    if not found:
        return None, None
    file, colon, digits = location.rstrip().rpartition(":")
    digits = digits.rpartition(" ")[2].rstrip(".")  # `line 34`, in the system's language
    if not colon or not file:
        return location.strip() or None, None
    if not digits.isdecimal() or not digits.isascii() or len(digits) > _MAX_LINE_DIGITS:
        return file, None
    return file, int(digits) or None


def _split_method(name: str) -> tuple[str, str]:
    """Class and method of `Ns.Foo`1[T].Bar[U]`: split at the last dot outside brackets."""
    for special in ("..ctor", "..cctor"):
        if name.endswith(special):
            return name.removesuffix(special), special[1:]
    depth = 0
    for position in range(len(name) - 1, 0, -1):
        char = name[position]
        if char == "]":
            depth += 1
        elif char == "[":
            depth -= 1
        elif char == "." and depth <= 0:
            return name[:position], name[position + 1 :]
    return "", name


def native_frame(text: str) -> NativeFrame | None:
    """The frame in a stripped line `#00 pc 0000abcd  library (symbol+64) (BuildId: 1f)`, or None.

    The printed address counts from the start of the library: it is `offset`.
    """
    if len(text) > MAX_NAME_CHARS:
        return None
    parts = text.split(None, 3)
    if len(parts) < 4 or parts[1] != "pc" or not parts[0][1:].isdecimal():
        return None
    offset = _hexadecimal(parts[2])
    if offset is None:
        return None
    rest, _, build_id = parts[3].partition(" (BuildId: ")
    path, _, symbol = rest.partition(" (")
    if symbol.startswith("offset "):
        symbol = symbol.partition(") (")[2]
    symbol = symbol.strip().removesuffix(")")
    function, plus, distance = symbol.rpartition("+")
    if not plus or not distance.isdecimal():
        function = symbol
    path = path.strip()
    name = path.rpartition("/")[2].rpartition("!")[2] or path
    frame = Frame(
        function=function or None, module=name, offset=offset, in_app=is_app_library(path)
    )
    return NativeFrame(frame, path, build_id.removesuffix(")") or None)


def _hexadecimal(digits: str) -> int | None:
    if len(digits) > _MAX_ADDRESS_DIGITS + 2:
        return None
    try:
        return int(digits, 16)
    except ValueError:
        return None
