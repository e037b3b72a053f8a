"""What is read of an Apple report at most, and how its numbers are read within bounds."""

from __future__ import annotations

MAX_THREADS = 1024  # iOS kills a process long before it has this many
MAX_FRAMES = 512  # what ReportCrash itself keeps of a runaway recursion
MAX_IMAGES = 4096  # a large macOS app maps about 1,000
MAX_REGISTERS = 128  # arm64 with its state words has 40
MAX_NAME_CHARS = 4096  # mangled Swift generics reach about 2,000
MAX_REASON_CHARS = 16_384  # a reason may quote a whole request; beyond this nobody reads it
MAX_NOTES = 50

_ADDRESS_LIMIT = 1 << 64
_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")


def hexadecimal(digits: str) -> int | None:
    """The unsigned 64-bit value of hex `digits` without "0x"; None when it is none."""
    digits = digits.lstrip("0") or digits[:1]
    # The length goes first: int() takes quadratic time on a long run of digits.
    if not digits or len(digits) > 16 or not _HEX_DIGITS.issuperset(digits):
        return None
    return int(digits, 16)


def decimal(digits: str) -> int | None:
    """The unsigned 64-bit value of decimal `digits`; None when it is none."""
    digits = digits.lstrip("0") or digits[:1]
    if len(digits) > 20 or not (digits.isascii() and digits.isdigit()):
        return None
    value = int(digits)
    return value if value < _ADDRESS_LIMIT else None


def number(text: str) -> int | None:
    """The unsigned 64-bit value of `text`, in hex after "0x", else decimal."""
    return hexadecimal(text[2:]) if text[:2] in {"0x", "0X"} else decimal(text)


def unsigned(value: object) -> int | None:
    """`value` when it is an unsigned 64-bit integer, as JSON gave it; else None."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _ADDRESS_LIMIT:
        return value
    return None


class Notes:
    """What could not be read, in plain words, each once and not more than MAX_NOTES."""

    def __init__(self, first: tuple[str, ...] = ()) -> None:
        self._texts: dict[str, None] = dict.fromkeys(first)

    def add(self, text: str) -> None:
        if len(self._texts) < MAX_NOTES:
            self._texts.setdefault(text)

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(self._texts)
