"""What the suite runs against: a server that is there, or one that it starts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.blackbox.client import Client
from tests.server import ROOT, RunningServer

_COMMAND_S = 120
PREFLIGHT = "answer to a preflight"
WAY_BACK = "way from the service to this machine"


@dataclass(frozen=True)
class Command:
    """The `crashbucket` command on the target's store, in a process of its own."""

    where: tuple[str, ...]  # ("--data", FOLDER) or ("--stack", NAME)
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(
        self,
        *arguments: str,
        status: int = 0,
        typed: str = "",
        settings: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """What it prints as JSON, given what is typed; fails unless it ends with this status."""
        command = [sys.executable, "-m", "chalicelib.cli", *arguments, *self.where, "--json"]
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **self.environment, **(settings or {})},
            input=typed,
            capture_output=True,
            text=True,
            timeout=_COMMAND_S,
            check=False,
        )
        assert done.returncode == status, f"{arguments}: {done.returncode} {done.stderr[-2000:]}"
        told: dict[str, Any] = json.loads(done.stdout)
        return told


@dataclass(frozen=True)
class Target:
    """A service under test, reached with a token of an admin.

    Without `command` only what HTTP can do is checked.
    """

    client: Client
    command: Command | None
    patience_s: float
    """In which whatever is done behind an answer must have happened."""
    lacks: frozenset[str] = frozenset()
    """What this target cannot show."""
    outage: Callable[[], AbstractContextManager[None]] | None = None
    """Makes the processing of whatever comes in fail, for as long as it lasts."""

    @property
    def is_gateway(self) -> bool:
        """Whether API Gateway is in front, which answers by itself where no route is."""
        return ".execute-api." in self.client.url

    def needs(self, what: str) -> None:
        if what in self.lacks:
            pytest.skip(f"there is no {what} here")

    @property
    def crashbucket(self) -> Command:
        if self.command is None:
            pytest.skip("needs the command line: set CRASHBUCKET_DATA or CRASHBUCKET_STACK")
        return self.command


def named(environment: Mapping[str, str]) -> Target | None:
    """The target that the environment names, if it does."""
    url = environment.get("CRASHBUCKET_URL")
    if not url:
        return None
    token = environment.get("CRASHBUCKET_TOKEN")
    if not token:
        pytest.exit("CRASHBUCKET_URL needs CRASHBUCKET_TOKEN: an admin's", returncode=2)
    command = None
    for option, variable in (("--data", "CRASHBUCKET_DATA"), ("--stack", "CRASHBUCKET_STACK")):
        if environment.get(variable):
            command = Command((option, environment[variable]))
    host, _, port = environment.get("CRASHBUCKET_CONNECT", "").rpartition(":")
    client = Client(url.rstrip("/"), token, (host, int(port)) if host else None)
    return Target(client, command, patience_s=60.0, lacks=frozenset({WAY_BACK}))


def embedded(server: RunningServer) -> Target:
    client = Client(server.url, server.demo["token"])
    folder = str(Path(server.data).resolve())
    return Target(client, Command(("--data", folder)), patience_s=30.0)
