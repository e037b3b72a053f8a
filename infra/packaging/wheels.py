"""The wheels of the functions' processor, whatever machine packs, and what of them is needed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import distributions
from pathlib import Path
from typing import Literal, get_args

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from infra.packaging.elf import stripped

Architecture = Literal["x86_64", "arm64"]
ARCHITECTURES: tuple[Architecture, ...] = get_args(Architecture)

_MACHINES: dict[Architecture, str] = {"x86_64": "x86_64", "arm64": "aarch64"}
# Lambda's python3.12 and later run on Amazon Linux 2023, with glibc 2.34.
_LIBC = ("manylinux_2_28", "manylinux_2_17", "manylinux2014")
# Folders of a wheel that no function imports.
_UNUSED_FOLDERS = frozenset({"tests", "test", "testing", "__pycache__", "bin", "include"})
# What a compiler or a checker reads; licences stay.
_UNUSED_ENDINGS = (".pyi", ".pyx", ".pxd", ".h", ".c", "py.typed", ".dist-info/RECORD")


class CannotPackage(Exception):
    """Something that packaging needs is not there; the message says what to do."""


def own_architecture(machine: str) -> Architecture:
    """Lambda's name of a machine's processor, as `platform.machine` gives it."""
    for architecture, name in _MACHINES.items():
        if machine.lower() in {architecture, name, "amd64" if name == "x86_64" else ""}:
            return architecture
    raise CannotPackage(f"Lambda has no {machine}: choose ARCH=x86_64 or ARCH=arm64")


def install(requirements: Iterable[Path], target: Path, architecture: Architecture) -> None:
    """Unpack the wheels of the requirements into the folder, for Lambda's Linux.

    Nothing that they depend on is added: the files name everything.
    """
    platforms = [f"{libc}_{_MACHINES[architecture]}" for libc in _LIBC]
    command = [
        *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
        *("--no-deps", "--no-compile", "--only-binary=:all:", "--implementation", "cp"),
        *("--python-version", f"{sys.version_info.major}.{sys.version_info.minor}"),
        *(part for platform in platforms for part in ("--platform", platform)),
        *(part for path in requirements for part in ("--requirement", str(path))),
        *("--target", str(target)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - pip
    if done.returncode != 0:
        raise CannotPackage(f"no wheels for {architecture}:\n{done.stderr.strip()}")
    lacking = missing(target)
    if lacking:
        raise CannotPackage("the requirements are not whole:\n" + "\n".join(lacking))


def missing(folder: Path) -> list[str]:
    """What the wheels in the folder say they need and is not there: `WHEEL needs REQUIREMENT`."""
    present = {
        canonicalize_name(found.metadata["Name"]): found.version
        for found in distributions(path=[str(folder)])
    }
    lacking = []
    for found in distributions(path=[str(folder)]):
        for text in found.requires or ():
            needed = Requirement(text)
            if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
                continue
            version = present.get(canonicalize_name(needed.name))
            if version is None or not needed.specifier.contains(version, prereleases=True):
                lacking.append(f"{found.metadata['Name']} needs {text}")
    return sorted(lacking)


def prune(folder: Path) -> None:
    """Take away what no function needs, and debug data out of shared libraries."""
    for path in sorted(folder.rglob("*")):
        if path.is_dir() and path.name in _UNUSED_FOLDERS:
            shutil.rmtree(path)
    for path in _files(folder):
        if path.as_posix().endswith(_UNUSED_ENDINGS):
            path.unlink()
        elif path.suffix == ".so":
            path.write_bytes(stripped(path.read_bytes()))


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())
