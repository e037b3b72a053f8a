"""The debug files in what was uploaded: the file itself, or the members of a zip."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

from chalicelib.errors import FormatError
from chalicelib.symbols.proguard import is_mapping

MAX_MEMBERS = 10_000
MAX_DEBUG_FILES = 500  # of an upload: a process of its own reads each, in a fifth of a second
MAX_INFLATED_BYTES = 2 * 1024**3  # of all members together
MAX_RATIO = 50  # debug information shrinks to a fifth, symbol files to a twentieth
_RATIO_FREE_BYTES = 16 * 1024 * 1024  # small members may be all blanks
ZIP_MAGIC = b"PK\x03\x04"
HEAD_BYTES = 64 * 1024
_MAGICS = (
    b"MODULE ",
    b"\x7fELF",
    b"MZ",
    b"Microsoft C/C++ ",  # PDB 7.0 and 2.0
    b"BSJB",  # portable PDB
    b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe",  # Mach-O
    b"\xca\xfe\xba\xbe", b"\xca\xfe\xba\xbf",  # Mach-O of several architectures
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Member:
    """A file by its name, with its bytes."""

    filename: str
    data: bytes


def looks_like_debug_file(head: bytes) -> bool:
    """Whether the first 64 kB of a file are those of a debug file, by its magic."""
    return head.startswith(_MAGICS) or is_mapping(head)


def members(raw: bytes, filename: str) -> Iterator[Member]:
    """What may be debug files in an upload; others in a zip are passed over.

    Raises `FormatError` for a zip that is damaged, encrypted or too large.
    """
    if not raw.startswith(ZIP_MAGIC):
        yield Member(filename, raw)
        return
    try:
        with zipfile.ZipFile(BytesIO(raw)) as archive:
            yield from _members(archive, len(raw))
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, OSError) as error:
        raise FormatError(f"the zip file is damaged: {str(error) or 'it ends early'}") from error
    except (RuntimeError, NotImplementedError) as error:  # encrypted, or an unusual compression
        raise FormatError(f"the zip file cannot be read: {error}") from error


def _members(archive: zipfile.ZipFile, size: int) -> Iterator[Member]:
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    if len(entries) > MAX_MEMBERS:
        raise FormatError(f"the zip file has more than {MAX_MEMBERS} members")
    # By the size of the whole: members may lie about theirs, and several may be the same bytes.
    left = min(MAX_INFLATED_BYTES, max(_RATIO_FREE_BYTES, size * MAX_RATIO))
    files = 0
    for entry in entries:
        with archive.open(entry) as file:
            head = file.read(HEAD_BYTES)
            if not looks_like_debug_file(head):
                continue
            data = head + file.read(max(left - len(head), 0) + 1)
        left -= len(data)
        if left < 0:
            raise FormatError("the zip file inflates to more than it may")
        files += 1
        if files > MAX_DEBUG_FILES:
            told = f"the zip file has more than {MAX_DEBUG_FILES} debug files: send it in parts"
            raise FormatError(told)
        yield Member(entry.filename, data)
