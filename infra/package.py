"""Make the package of a stack: `python -m infra.package [--arch ARCHITECTURE] [--out build]`.

Runs under the interpreter that the functions are to run under (`make package`
finds one): its version is the runtime's, and its bytecode goes into the zip.
"""

from __future__ import annotations

import argparse
import compileall
import hashlib
import json
import platform
import py_compile
import shutil
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from infra.packaging import chalice_template, sdk, wheels
from infra.packaging.archive import write_zip
from infra.packaging.wheels import ARCHITECTURES, Architecture, CannotPackage, own_architecture
from infra.template.stack import NotAsChaliceMakesIt, merged

REQUIREMENTS = ("requirements.txt", "requirements-sdk.txt")
MAX_ZIP_BYTES = 45_000_000  # Lambda takes 50 MB in a request; ours go by S3, and start with less
_OLDEST, _NEWEST = (3, 12), (3, 13)  # symbolic needs the former; Lambda has no later one yet
_LARGEST_SHOWN = 8
_NATIVE = "native"  # this machine's, to run the package here


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make package", description=__doc__)
    parser.add_argument("--arch", choices=(*ARCHITECTURES, _NATIVE), default="arm64")
    parser.add_argument("--out", type=Path, default=Path("build"))
    chosen = parser.parse_args(arguments)
    try:
        is_native = chosen.arch == _NATIVE
        architecture = own_architecture(platform.machine()) if is_native else chosen.arch
        package(Path.cwd(), chosen.out.resolve(), architecture)
    except (CannotPackage, NotAsChaliceMakesIt) as error:
        print(f"make package: {error}", file=sys.stderr)
        return 1
    return 0


def package(project: Path, out: Path, architecture: Architecture) -> None:
    """Write `sam.json` and `deployment.zip` into `out`, and the zip's files into `out/unpacked`."""
    runtime = _runtime()
    work = out / "work"
    unpacked = out / "unpacked"
    for folder in (work, unpacked):
        shutil.rmtree(folder, ignore_errors=True)
    template, app = chalice_template.package(project, work)
    wheels.install([project / name for name in REQUIREMENTS], unpacked, architecture)
    wheels.prune(unpacked)
    sdk.prune(unpacked)
    for name, content in app.items():
        target = unpacked / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    _compile(unpacked)
    files = {
        path.relative_to(unpacked).as_posix(): path.read_bytes()
        for path in unpacked.rglob("*")
        if path.is_file()
    }
    zip_path = out / "deployment.zip"
    write_zip(zip_path, files)
    whole = merged(template, runtime=runtime, architecture=architecture, code=f"./{zip_path.name}")
    (out / "sam.json").write_text(json.dumps(whole, indent=1) + "\n")
    shutil.rmtree(work)
    lint(out / "sam.json")
    print(_told(zip_path, runtime, architecture))
    if zip_path.stat().st_size > MAX_ZIP_BYTES:
        raise CannotPackage(f"{zip_path} is above {MAX_ZIP_BYTES / 1e6:.0f} MB")


def lint(template: Path) -> None:
    """Raises `CannotPackage` for a template that CloudFormation would not take, as far as cfn-lint
    (with SAM's own translator) can tell without an account."""
    command = [str(Path(sys.executable).with_name("cfn-lint")), str(template)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        raise CannotPackage(f"cfn-lint:\n{done.stdout}{done.stderr}")


def _runtime() -> str:
    version = sys.version_info[:2]
    if not _OLDEST <= version <= _NEWEST:
        raise CannotPackage(f"needs Python 3.12 or 3.13, not {platform.python_version()}")
    return f"python{version[0]}.{version[1]}"


def _compile(folder: Path) -> None:
    """Bytecode beside each module: a function's files cannot be written to, so that each cold
    start would compile all that it imports.

    It is not checked against the source, whose time no zip keeps exactly.
    """
    compileall.compile_dir(
        folder,
        quiet=2,
        stripdir=str(folder),
        prependdir="/var/task",
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )


def _told(zip_path: Path, runtime: str, architecture: Architecture) -> str:
    packed: Counter[str] = Counter()
    plain = 0
    with zipfile.ZipFile(zip_path) as archive:
        for entry in archive.infolist():
            packed[entry.filename.partition("/")[0]] += entry.compress_size
            plain += entry.file_size
    size = zip_path.stat().st_size
    digest = hashlib.sha256(zip_path.read_bytes()).hexdigest()
    largest = "\n".join(
        f"  {count / 1e6:6.2f} MB  {name}" for name, count in packed.most_common(_LARGEST_SHOWN)
    )
    return (
        f"{zip_path}: {size / 1e6:.2f} MB ({plain / 1e6:.1f} MB unpacked), {runtime}, "
        f"{architecture}, sha256 {digest[:16]}\n{largest}"
    )


if __name__ == "__main__":
    sys.exit(main())
