"""The zip of the functions: the same files make the same bytes."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can say
_READABLE = 0o100644 << 16  # a file that every user may read: Lambda's is not the one who packs
_RUNNABLE = 0o100755 << 16


def write_zip(path: Path, files: Mapping[str, bytes]) -> None:
    """Write the files by their names in the zip, in the order of the names."""
    with zipfile.ZipFile(path, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _TIME)
            entry.external_attr = _RUNNABLE if name.endswith(".so") else _READABLE
            entry.create_system = 3  # Unix, wherever it is made
            archive.writestr(entry, files[name], zipfile.ZIP_DEFLATED, compresslevel=9)
