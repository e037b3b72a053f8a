"""Forms with minidumps in them, byte by byte as uploaders write them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

# The header of a minidump and nothing behind it: what a door looks at.
DUMP = b"MDMP\x93\xa7\x00\x00" + bytes(24)
BOUNDARY = "---MultipartBoundary-BkJz1kXGVEqJZmHs0oS7tqxmYAQlPZwX---"  # as Crashpad makes them


@dataclass(frozen=True)
class Part:
    name: str
    value: bytes | str
    filename: str | None = None
    content_type: str | None = None

    @property
    def data(self) -> bytes:
        return self.value.encode() if isinstance(self.value, str) else self.value


def form(parts: Iterable[Part], boundary: str = BOUNDARY) -> tuple[bytes, str]:
    """A multipart body and its content type. Names are written as they are."""
    lines: list[bytes] = []
    for part in parts:
        named = f'; filename="{part.filename}"' if part.filename is not None else ""
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{part.name}"{named}\r\n'
        kind = part.content_type or ("application/octet-stream" if named else None)
        head += f"Content-Type: {kind}\r\n\r\n" if kind else "\r\n"
        lines += [head.encode(), part.data, b"\r\n"]
    lines.append(f"--{boundary}--\r\n".encode())
    return b"".join(lines), f"multipart/form-data; boundary={boundary}"
