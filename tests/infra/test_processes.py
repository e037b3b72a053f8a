"""Child processes: replaced when they die, stopped in time, never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from infra.processes import Child, keep_all
from tests.server import ROOT, is_running, wait_for

STUBBORN = """
import os, signal, sys, time
from pathlib import Path
from infra.processes import StopSignal
stop = StopSignal(signal.SIGTERM, within_s=1)
Path(sys.argv[1]).touch()
while True: time.sleep(0.01)
"""
MARKED = "import sys, time; open(sys.argv[1], 'a').write(' '.join(sys.argv[2:-1]) + '.'); "


def lines_of(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def run_for(children: list[Child], until: object, stop_within_s: float = 5.0) -> float:
    """Keep the children until the condition holds; how long their stop took."""
    stopped_at: list[float] = []

    def stop() -> None:
        wait_for(until)
        stopped_at.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGTERM)

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    stopper = threading.Thread(target=stop)
    stopper.start()
    try:
        keep_all(children, stop_within_s=stop_within_s)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        stopper.join()
    return time.monotonic() - stopped_at[0]


def test_a_child_that_dies_is_started_again_and_told_so(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = Child([sys.executable, "-c", MARKED, str(log)], after_death=["--careful"])
    run_for([child], lambda: lines_of(log).count(".") >= 3)
    assert lines_of(log).startswith(".--careful.--careful.")


def test_a_child_that_dies_at_once_is_not_started_without_a_pause(tmp_path: Path) -> None:
    log = tmp_path / "log"
    began = time.monotonic()
    run_for([Child(["sh", "-c", f"echo >> {log}"])], lambda: time.monotonic() - began > 2.0)
    assert lines_of(log).count("\n") <= 5


def test_a_child_that_does_not_stop_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    stubborn = f"trap '' TERM; echo > {log}; while true; do sleep 0.1; done"
    took = run_for([Child(["sh", "-c", stubborn])], log.exists, stop_within_s=0.5)
    assert 0.4 < took < 3


@pytest.mark.parametrize("signals", [1, 20])
def test_a_process_that_hangs_when_asked_to_stop_ends_itself(tmp_path: Path, signals: int) -> None:
    ready = tmp_path / "ready"
    hanging = subprocess.Popen([sys.executable, "-c", STUBBORN, str(ready)], cwd=ROOT)
    assert wait_for(ready.exists)
    for _ in range(signals):
        hanging.send_signal(signal.SIGTERM)
    assert hanging.wait(timeout=10) == -signal.SIGALRM


def test_a_child_ends_with_its_parent(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    child = f"""
import os, sys, time
from pathlib import Path
from infra.processes import end_with_parent
end_with_parent(int(sys.argv[1]))
Path({str(told)!r}).write_text(str(os.getpid()))
time.sleep(60)
"""
    parent = f"""
import os, subprocess, sys
subprocess.Popen([sys.executable, "-c", {child!r}, str(os.getpid())]).wait()
"""
    process = subprocess.Popen([sys.executable, "-c", parent], cwd=ROOT)
    assert wait_for(lambda: lines_of(told))
    process.kill()
    process.wait()
    assert wait_for(lambda: not is_running(int(told.read_text())))
