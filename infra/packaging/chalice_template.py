"""What Chalice makes of the app: a template with the routes, and a zip of the app's own code."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

from infra.packaging.wheels import CannotPackage

_STAGE = "production"
_ANY_REGION = "us-east-1"  # Chalice asks for one; nothing in the template depends on it
_APP = ("app.py", "chalicelib", ".chalice/config.json")
_NOT_CODE = shutil.ignore_patterns("__pycache__", "*.pyc", ".*.swp")


def package(project: Path, work: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Run `chalice package` on a copy of the app that asks for no libraries.

    Chalice would pick them for this machine; `wheels.py` gets those of the
    chosen one. Gives the template and the files of the zip: app, chalicelib
    and the part of Chalice that a function runs.
    """
    copy, out = work / "app", work / "chalice"
    for part in _APP:
        source, target = project / part, copy / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=_NOT_CODE)
        else:
            shutil.copyfile(source, target)
    (copy / "requirements.txt").touch()
    run = "from chalice.cli import main; main()"
    command = [sys.executable, "-c", run, "package", "--stage", _STAGE, str(out)]
    done = subprocess.run(  # noqa: S603 - our own interpreter
        command,
        cwd=copy,
        env={**os.environ, "AWS_DEFAULT_REGION": _ANY_REGION},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise CannotPackage(f"chalice package:\n{(done.stderr or done.stdout).strip()}")
    with zipfile.ZipFile(out / "deployment.zip") as archive:
        files = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    return json.loads((out / "sam.json").read_text()), files
