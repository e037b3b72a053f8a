"""Bugsink, what people would install instead, installed and started beside.

It lives in an environment of its own below `build/bench`, and its data in a
fresh folder. Set up as its documents have it for a single server: gunicorn
with two workers, its task runner, SQLite; only its quotas are lifted, and it
listens on 127.0.0.1 alone.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import output, processes

VERSION = "2.6.1"
_ENVIRONMENT = output.FOLDER / "bugsink-venv"
_WEB_WORKERS = 2
_INSTALL_WITHIN_S = 300
_DIGESTED_WITHIN_S = 600.0
_LOOK_EVERY_S = 0.05

# After its own template: its limits would refuse what a load test sends.
_SETTINGS = """
BUGSINK.update({
    "BASE_URL": "http://127.0.0.1:PORT",
    **{f"MAX_EVENTS_PER{whose}_{period}": 10**9
       for whose in ("", "_PROJECT") for period in ("5_MINUTES", "HOUR", "MONTH")},
})
ALLOWED_HOSTS = ["127.0.0.1"]
SECURE_PROXY_SSL_HEADER = None
USE_X_REAL_IP = False
"""
_MAKE_PROJECT = """
from projects.models import Project
project = Project.objects.create(name="Shop", retention_max_event_count=10**9)
print(f"DSN {project.id}/{project.sentry_key.hex}")
"""


class Unavailable(Exception):
    """Bugsink cannot be installed or started here; the message says why."""


@dataclass(frozen=True, slots=True)
class Bugsink:
    """A running one: `app` is its project and key, `roots` its first processes."""

    port: int
    app: str
    roots: list[int]
    database: Path

    def stored(self) -> int:
        """Events that are digested: stored, in their group, and counted."""
        uri = f"file:{self.database}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=10)) as connection:
            (count,) = connection.execute("SELECT count(*) FROM events_event").fetchone()
        connection.close()
        return int(count)

    def wait_for(self, events: int) -> None:
        deadline = time.monotonic() + _DIGESTED_WITHIN_S
        while (stored := self.stored()) < events:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{events} events accepted, {stored} stored")
            time.sleep(_LOOK_EVERY_S)


def install() -> None:
    """Make the environment, unless it is there. Raises `Unavailable`."""
    if (_ENVIRONMENT / "installed").exists():
        return
    requirements = [f"bugsink=={VERSION}", "gunicorn"]
    pip = [str(_bin("python")), "-m", "pip", "install", "--quiet", *requirements]
    for command in ([sys.executable, "-m", "venv", str(_ENVIRONMENT)], pip):
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=_INSTALL_WITHIN_S)
        except (OSError, subprocess.SubprocessError) as error:
            raise Unavailable(f"Bugsink cannot be installed: {error}") from error
    (_ENVIRONMENT / "installed").touch()


@contextmanager
def running(folder: Path) -> Iterator[Bugsink]:
    """Set up in an empty folder, and start. Raises `Unavailable`."""
    port = processes.free_port()
    base = ["--template", "singleserver", "--base-dir", str(folder), "--host", "127.0.0.1"]
    _run(folder, "bugsink-create-conf", *base)
    for made in ("snappea", "ingestion"):
        (folder / made).mkdir(exist_ok=True)
    with (folder / "bugsink_conf.py").open("a") as conf:
        conf.write(_SETTINGS.replace("PORT", str(port)))
    _run(folder, "bugsink-manage", "migrate")
    _run(folder, "bugsink-manage", "migrate", "snappea", "--database=snappea")
    printed = _run(folder, "bugsink-manage", "shell", "-c", _MAKE_PROJECT)
    app = next(line[4:] for line in printed.splitlines() if line.startswith("DSN "))
    web = [
        str(_bin("gunicorn")), "--bind", f"127.0.0.1:{port}", "--workers", str(_WEB_WORKERS),
        "--timeout", "60", "bugsink.wsgi",
    ]  # fmt: skip
    with processes.running(
        [web, [str(_bin("bugsink-runsnappea"))]],
        folder=folder,
        environment=_variables(folder),
        log=folder / "bugsink.log",
    ) as roots:
        processes.wait_until(lambda: processes.answers(f"http://127.0.0.1:{port}/"), "Bugsink")
        yield Bugsink(port, app, roots, folder / "db.sqlite3")


def _bin(name: str) -> Path:
    return _ENVIRONMENT / "bin" / name


def _variables(folder: Path) -> dict[str, str]:
    return {"PYTHONPATH": str(folder), "DJANGO_SETTINGS_MODULE": "bugsink_conf"}


def _run(folder: Path, name: str, *arguments: str) -> str:
    try:
        done = subprocess.run(
            [str(_bin(name)), *arguments],
            cwd=folder,
            env={**os.environ, **_variables(folder)},
            check=True,
            capture_output=True,
            text=True,
            timeout=_INSTALL_WITHIN_S,
        )
    except subprocess.CalledProcessError as error:
        raise Unavailable(f"{name}: {error.stderr[-500:]}") from error
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable(f"{name}: {error}") from error
    return done.stdout
