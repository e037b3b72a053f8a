"""A running server, as its own process on a free port."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RunningServer:
    """`crashbucket serve` in a process group of its own."""

    def __init__(
        self,
        data: Path,
        port: int | None = None,
        workers: int = 1,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.data, self.workers, self.settings = data, workers, settings or {}
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> RunningServer:
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "chalicelib.cli", "serve", "--demo"),
                *("--port", str(self.port), "--data", str(self.data)),
                *("--workers", str(self.workers)),
            ],
            cwd=ROOT,
            env={**os.environ, **self.settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.wait_until_healthy()
        return self

    def wait_until_healthy(self, within_s: float = 20.0) -> None:
        until = time.monotonic() + within_s
        while time.monotonic() < until:
            try:
                if self.get("/healthz")["status"] == "ok":
                    return
            except (OSError, urllib.error.URLError):
                time.sleep(0.05)
        raise TimeoutError(f"no answer on {self.url}")

    @property
    def demo(self) -> dict[str, str]:
        return json.loads((self.data / "demo.json").read_text())

    def get(self, path: str) -> Any:
        headers = {}
        if path != "/healthz":
            headers["X-HockeyAppToken"] = self.demo["token"]
        with urllib.request.urlopen(
            urllib.request.Request(self.url + path, headers=headers), timeout=10
        ) as answer:
            return json.loads(answer.read())

    def children(self) -> list[int]:
        """The ids of the server's child processes: HTTP and workers."""
        assert self.process
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        listed = [int(pid) for pid in children.read_text().split()]
        # granian and the crew start theirs from threads
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            listed += [int(pid) for pid in (task / "children").read_text().split()]
        return sorted(set(listed))

    def kill(self) -> None:
        """kill -9 of the whole process group, as power is cut."""
        assert self.process
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.close_output()

    def kill_supervisor(self) -> None:
        """kill -9 of the first process alone: the others must notice by themselves."""
        assert self.process
        self.process.kill()
        self.process.wait()
        self.close_output()

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        assert self.process
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=20)
        self.close_output()
        return status

    def close_output(self) -> None:
        if self.process and self.process.stdout:
            self.process.stdout.close()

    def __enter__(self) -> RunningServer:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self.process and self.process.poll() is None:
            self.kill()


def wait_for(condition: Any, within_s: float = 10.0) -> Any:
    """The first true value of `condition()`, asked again and again."""
    until = time.monotonic() + within_s
    while True:
        value = condition()
        if value or time.monotonic() > until:
            return value
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    """Whether the process is there and no zombie (an init may be slow to reap)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
