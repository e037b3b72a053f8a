"""kill -9 at any moment loses no accepted report, and counts none twice."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.crashes import ANDROID_EXAMPLE
from tests.server import ROOT, RunningServer, wait_for
from tests.wsgi_client import multipart

KILLS = 30
CLIENTS = 4
WORKERS = 2
TARGETS = ("everything", "the supervisor", "the workers", "one worker", "HTTP")
PAUSE_S = (0.05, 0.8)  # between two kills: from within a start to well under way
# What a killed worker had taken comes back after this, so that the test need not wait a minute.
VISIBILITY_S = 3


@dataclass
class Load:
    """Clients that post the example log, each time from a user of its own, whatever happens."""

    server: RunningServer
    accepted: dict[int, str] = field(default_factory=dict)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        self._threads = [threading.Thread(target=self._post, args=(n,)) for n in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _post(self, client: int) -> None:
        path = f"/api/2/apps/{self.server.demo['app_id']}/crashes/upload"
        posted = 0
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=5)
        while not self._stopping.wait(0.01):
            user, posted = f"user {client}.{posted}", posted + 1
            key = f"CrashReporter Key: {user}"
            log = ANDROID_EXAMPLE.replace("CrashReporter Key: 1C6ADE7f", key)
            body, headers = multipart({"userID": user}, {"log": log.encode()})
            try:
                connection.request("POST", path, body, headers | {"Accept": "application/json"})
                answer = connection.getresponse()
                told = answer.read()
            except (OSError, http.client.HTTPException):
                connection.close()  # no answer: it may be stored or not, and is not sent again
                continue
            assert answer.status == 201, told
            self.accepted[json.loads(told)["id"]] = user
        connection.close()


def test_thirty_kills_lose_nothing_and_count_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRASHBUCKET_VISIBILITY_S", str(VISIBILITY_S))
    chance = random.Random(os.urandom(8))
    with RunningServer(tmp_path / "data", workers=WORKERS) as server:
        load = Load(server)
        load.start()
        try:
            for number in range(KILLS):
                time.sleep(chance.uniform(*PAUSE_S))
                kill(server, TARGETS[number % len(TARGETS)], chance)
        finally:
            load.stop()
        server.wait_until_healthy()
        assert wait_for(lambda: is_drained(server), 30.0)
        listed = list_crashes(server)
        assert len(load.accepted) > KILLS  # it was under load
        assert missing_by_id(server, load.accepted) == []
    ids = [crash["id"] for crash in listed]
    users = [crash["user_string"] for crash in listed]
    assert set(load.accepted) - set(ids) == set()
    assert len(set(ids)) == len(ids)
    assert len(set(users)) == len(users)
    assert recount(server.data) == {"reports": len(ids), "differences": []}


def is_drained(server: RunningServer) -> bool:
    """Whether nothing waits; not yet, where the last kill's HTTP process is still going away."""
    try:
        return bool(server.get("/healthz")["waiting"] == 0)
    except OSError:
        return False


def kill(server: RunningServer, target: str, chance: random.Random) -> None:
    """SIGKILL; what nothing is left to restart is started again."""
    assert server.process
    if target == "everything":
        server.kill()
        server.start()
        return
    if target == "the supervisor":
        server.kill_supervisor()
        server.start()  # on the same port: the others end by themselves
        return
    module = "infra.http_process" if target == "HTTP" else "infra.worker_process"
    found = [pid for pid in descendants(server.process.pid) if module in command_of(pid)]
    if target != "the workers":
        found = chance.sample(found, min(1, len(found)))
    for pid in found:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def descendants(pid: int) -> list[int]:
    found = []
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                found += [child, *descendants(child)]
    return found


def command_of(pid: int) -> str:
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    return ""


def list_crashes(server: RunningServer) -> list[dict[str, Any]]:
    """Every crash of the one group, as its pages list them."""
    app = f"/api/2/apps/{server.demo['app_id']}"
    (group,) = server.get(f"{app}/crash_reasons")["crash_reasons"]
    crashes: list[dict[str, Any]] = []
    page = pages = 1
    while page <= pages:
        answer = server.get(f"{app}/crash_reasons/{group['id']}?per_page=100&page={page}")
        crashes += answer["crashes"]
        page, pages = page + 1, answer["total_pages"]
    assert len(crashes) == group["number_of_crashes"]
    return crashes


def missing_by_id(server: RunningServer, accepted: dict[int, str]) -> list[int]:
    """The accepted crashes that are not there under their own id, with their own user."""

    def is_missing(crash_id: int) -> bool:
        path = f"/api/2/apps/{server.demo['app_id']}/crashes/{crash_id}?format=json"
        return str(accepted[crash_id]) not in json.dumps(server.get(path))

    with ThreadPoolExecutor(CLIENTS) as pool:
        found = pool.map(is_missing, accepted)
    return [crash_id for crash_id, missing in zip(accepted, found, strict=True) if missing]


def recount(data: Path) -> Any:
    command = [sys.executable, "-m", "chalicelib.cli", "recount", "--json", "--data", str(data)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    return json.loads(run.stdout)
