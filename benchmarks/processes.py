"""A server and all its processes, from outside: start, stop, memory, processor time."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_READY_WITHIN_S = 60.0
_STOP_WITHIN_S = 20.0
_SAMPLE_EVERY_S = 0.5  # summing up a process's pages takes the kernel milliseconds


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    commands: Sequence[Sequence[str]], *, folder: Path, environment: dict[str, str], log: Path
) -> Iterator[list[int]]:
    """The commands as processes, each in a session of its own; their ids. Stopped at the end,
    also when this process is told to end by SIGTERM."""
    previous = signal.signal(signal.SIGTERM, _exit)
    with log.open("ab") as output:
        processes = [
            subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, **environment},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            for command in commands
        ]
        try:
            yield [process.pid for process in processes]
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                try:
                    process.wait(_STOP_WITHIN_S)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
            signal.signal(signal.SIGTERM, previous)


def _exit(*_: object) -> None:
    """SIGTERM's default ends Python without its `finally`, and would leave the server behind."""
    raise SystemExit(1)


@contextmanager
def crashbucket(
    data: Path, *, workers: int, http: int, checkout: Path
) -> Iterator[tuple[int, list[int]]]:
    """The embedded server over a data folder: its port and its first process."""
    port = free_port()
    command = [
        sys.executable, "-m", "chalicelib.cli", "serve", "--port", str(port),
        "--data", str(data), "--workers", str(workers), "--http", str(http),
    ]  # fmt: skip
    with running([command], folder=checkout, environment={}, log=data / "server.log") as roots:
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/healthz"), "the server")
        yield port, roots


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except urllib.error.HTTPError as error:
        error.close()
        return True
    except OSError:
        return False


def wait_until(done: Callable[[], bool], what: str, within_s: float = _READY_WITHIN_S) -> None:
    deadline = time.monotonic() + within_s
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} was not ready within {within_s:g} s")
        time.sleep(0.05)


class MemoryWatch:
    """The largest sum of memory of some processes and all below them, while it is open."""

    def __init__(self, roots: Sequence[int]) -> None:
        self._roots = roots
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.peak_bytes = 0
        self.processes = 0

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            family = descendants(self._roots)
            self.peak_bytes = max(self.peak_bytes, sum(map(_memory_bytes, family)))
            self.processes = max(self.processes, len(family))
            if self._ended.wait(_SAMPLE_EVERY_S):
                return


def descendants(roots: Sequence[int]) -> list[int]:
    """The processes and every child, grandchild, ... of theirs."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # ended since
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, waiting = [], list(roots)
    while waiting:
        process = waiting.pop()
        found.append(process)
        waiting.extend(children.get(process, ()))
    return found


def cpu_seconds(roots: Sequence[int]) -> float:
    """Processor time that the processes and their children have used so far."""
    total = 0
    for process in descendants(roots):
        try:
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def _memory_bytes(process: int) -> int:
    """Proportional set size (shared pages divided among their users), else resident size."""
    for name, field in (("smaps_rollup", "Pss:"), ("status", "VmRSS:")):
        try:
            lines = Path(f"/proc/{process}/{name}").read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            if line.startswith(field):
                return int(line.split()[1]) * 1024
    return 0
