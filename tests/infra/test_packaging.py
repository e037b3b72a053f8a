"""The zip of the functions: the same bytes from the same files, and nothing that is not needed."""

from __future__ import annotations

import ctypes
import os
import re
import struct
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from infra.packaging import sdk, wheels
from infra.packaging.archive import write_zip
from infra.packaging.elf import stripped
from infra.packaging.wheels import CannotPackage, own_architecture

_PROJECT = Path(__file__).parents[2]


def library() -> Path:
    """A large shared library with its debug data."""
    spec = find_spec("symbolic")
    assert spec is not None and spec.origin is not None
    (found,) = Path(spec.origin).parent.glob("_lowlevel__lib*.so")
    return found


# --- debug data ---------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="loads a library of Linux")
def test_a_library_without_its_debug_data_is_small_and_works(tmp_path: Path) -> None:
    whole = library().read_bytes()
    bare = stripped(whole)
    assert len(bare) < len(whole) / 5
    copy = tmp_path / "bare.so"
    copy.write_bytes(bare)
    assert ctypes.CDLL(str(copy)).symbolic_err_get_last_code() == 0
    assert stripped(bare) == bare


@pytest.mark.parametrize(
    "other", [b"", b"\x7fELF", b"#!/bin/sh\n", b"\x7fELF\x01\x01\x01" + bytes(200)]
)
def test_what_is_no_library_of_lambda_stays_as_it_is(other: bytes) -> None:
    assert stripped(other) == other


def test_everything_that_is_loaded_stays() -> None:
    header = bytearray(64)
    header[:7] = b"\x7fELF\x02\x01\x01"
    struct.pack_into("<Q", header, 32, 64)  # where the segments are described
    struct.pack_into("<Q", header, 40, 900)  # where the sections are
    struct.pack_into("<HHHHH", header, 54, 56, 1, 64, 5, 4)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 120, 0, 0, 80, 80, 1)
    file = bytes(header) + segment + bytes(range(80)) + b"debug" * 100
    bare = stripped(file)
    assert len(bare) == 200
    assert bare[64:] == file[64:200]
    assert struct.unpack_from("<Q", bare, 40) == (0,)


# --- the zip --------------------------------------------------------------------


def test_the_same_files_make_the_same_zip(tmp_path: Path) -> None:
    files = {"b.py": b"b = 1", "a/c.so": bytes(1000), "a/b.txt": b"text"}
    write_zip(tmp_path / "one.zip", files)
    os.environ["TZ"], zone = "Asia/Tokyo", os.environ.get("TZ")
    try:
        write_zip(tmp_path / "two.zip", dict(reversed(files.items())))
    finally:
        os.environ.pop("TZ")
        if zone is not None:
            os.environ["TZ"] = zone
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert archive.namelist() == sorted(files)
        modes = {entry.filename: entry.external_attr >> 16 for entry in archive.infolist()}
    assert modes == {"b.py": 0o100644, "a/c.so": 0o100755, "a/b.txt": 0o100644}


def test_tests_and_types_are_no_part_of_it(tmp_path: Path) -> None:
    kept = ("pack/__init__.py", "pack/data.json", "pack-1.dist-info/METADATA")
    gone = ("pack/tests/test_a.py", "pack/a.pyi", "pack/py.typed", "pack-1.dist-info/RECORD")
    for name in (*kept, *gone):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    wheels.prune(tmp_path)
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert left == set(kept)


@pytest.mark.parametrize(
    ("machine", "architecture"),
    [("x86_64", "x86_64"), ("AMD64", "x86_64"), ("aarch64", "arm64"), ("arm64", "arm64")],
)
def test_a_machine_has_lambdas_name_for_its_processor(machine: str, architecture: str) -> None:
    assert own_architecture(machine) == architecture


def test_another_machine_has_to_choose() -> None:
    with pytest.raises(CannotPackage, match="ARCH="):
        own_architecture("riscv64")


# --- what the functions carry -------------------------------------------------------


def test_every_service_that_a_function_makes_a_client_of_is_carried() -> None:
    """All but what only commands on a person's machine do."""
    of_commands = {"stacks.py", "stack_outputs.py"}
    made = {
        found
        for path in (_PROJECT / "chalicelib").rglob("*.py")
        if path.name not in of_commands
        for found in re.findall(r"\bclient\(\s*\"(\w+)\"", path.read_text())
    }
    assert made, "no client is made anywhere"
    of_powertools = {"secretsmanager"}  # parameters.get_secret
    assert made | of_powertools == sdk.SERVICES


def test_the_sdk_is_the_one_that_is_tested() -> None:
    carried = (_PROJECT / "requirements-sdk.txt").read_text()
    tested = (_PROJECT / "requirements-serve.txt").read_text()
    (pinned,) = re.findall(r"^boto3==(.+)$", tested, re.MULTILINE)
    assert f"boto3=={pinned}\n" in carried
