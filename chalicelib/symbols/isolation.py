"""Debug files of strangers, read in a process of their own.

`symbolic` is native code, and damaged PDB files have been seen to end the
process that reads them. The process has bounded memory and time; what it
found comes back as files in a folder, never as code or pickles.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from chalicelib.errors import FormatError
from chalicelib.symbols import debug_file
from chalicelib.symbols.debug_file import DebugFile

_START = "from chalicelib.symbols.isolation import run; run()"
_REFUSED, _FOUND = "refused", "found"
# What the process needs to start; the rest of the environment, keys among it, is none of its
# business.
_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "PYTHONHOME", "SYSTEMROOT", "TMPDIR", "LANG")
_AT_ONCE = threading.BoundedSemaphore(2)  # each may take all the memory of its limits


@dataclass(frozen=True, slots=True)
class Limits:
    """What reading one debug file may take; a gigabyte of PDB takes about a minute."""

    seconds: int = 120
    memory_bytes: int = 4 * 1024**3  # of address space: the file, its tables, its caches


def read(raw: bytes, filename: str, limits: Limits = Limits()) -> Iterator[DebugFile]:
    """As `debug_file.read`, object by object; `FormatError` also for what breaks a limit."""
    with tempfile.TemporaryDirectory(prefix="crashbucket-symbols-") as name:
        folder = Path(name)
        (folder / "raw").write_bytes(raw)
        _run(folder, filename, limits)
        refused = folder / _REFUSED
        if refused.exists():
            raise FormatError(refused.read_text())
        for told in json.loads((folder / _FOUND).read_text()):
            number, features = told.pop("number"), told.pop("features")
            yield DebugFile(
                **told,
                features=tuple(features),
                symbols=_content(folder / f"{number}.symbols"),
                unwind=_content(folder / f"{number}.unwind"),
            )


def _run(folder: Path, filename: str, limits: Limits) -> None:
    import subprocess  # noqa: PLC0415 - 10 ms of a start

    memory_bytes = min(limits.memory_bytes, _machine_bytes() * 3 // 4)
    arguments = [str(folder), filename, str(memory_bytes), str(limits.seconds)]
    known = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    try:
        with _AT_ONCE:
            done = subprocess.run(  # noqa: S603 - ours, and no shell reads the arguments
                [sys.executable, "-c", _START, *arguments],
                env={**known, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=limits.seconds,
                check=False,
            )
    except subprocess.TimeoutExpired as error:
        told = f"the debug file takes more than {limits.seconds} s to read"
        raise FormatError(told) from error
    if done.returncode != 0:
        told = "ran out of memory or time" if done.returncode == 1 else "broke off"
        raise FormatError(f"the debug file is damaged: reading it {told}")


def _machine_bytes() -> int:
    """The memory of this machine, of which a function on Lambda sees its own."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def run() -> None:
    """What the process does: read the file `raw` of a folder, and write what is in it there."""
    import resource  # noqa: PLC0415 - only where there is such a thing

    name, filename, memory, seconds = sys.argv[1:]
    folder = Path(name)
    _limit(resource.RLIMIT_AS, int(memory))
    _limit(resource.RLIMIT_CPU, int(seconds))
    _limit(resource.RLIMIT_CORE, 0)
    try:
        found = debug_file.read((folder / "raw").read_bytes(), filename)
    except FormatError as error:
        (folder / _REFUSED).write_text(str(error))
        return
    told = []
    for number, entry in enumerate(found):
        if entry.symbols is not None:
            (folder / f"{number}.symbols").write_bytes(entry.symbols)
        if entry.unwind is not None:
            (folder / f"{number}.unwind").write_bytes(entry.unwind)
        described = asdict(replace(entry, symbols=None, unwind=None))
        del described["symbols"], described["unwind"]
        told.append({**described, "number": number})
    (folder / _FOUND).write_text(json.dumps(told))


def _limit(kind: int, value: int) -> None:
    """Lower a limit of this process; a system that refuses (macOS, for memory) goes without."""
    import resource  # noqa: PLC0415

    hard = resource.getrlimit(kind)[1]
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    with suppress(ValueError, OSError):
        resource.setrlimit(kind, (value, value))
