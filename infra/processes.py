"""Child processes: started, replaced when they die, stopped, and never left behind."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

_LOOK_EVERY_S = 0.05
_LONGEST_PAUSE_S = 5.0  # between two starts of a child that dies at once
_SOUND_AFTER_S = 10.0  # a child that lived as long did not die of its start
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def end_with_parent(parent: int, signal_number: int = signal.SIGKILL) -> None:
    """Have this process get a signal as soon as its parent is gone, however that went.

    A parent killed with SIGKILL cannot tell its children; one that stayed
    would hold the port, or work beside the workers of the next start.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal_number)
        if os.getppid() != parent:  # it was gone before it could be watched
            os.kill(os.getpid(), signal_number)
        return

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_EVERY_S)
        os.kill(os.getpid(), signal_number)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()


class StopSignal:
    """Whether one of the signals has asked this process to stop.

    A plain flag: a handler that took a lock, as `threading.Event` does, could
    find it held by what it interrupted, even by itself. With `within_s`, a
    process that has not stopped by then is ended by SIGALRM.
    """

    def __init__(self, *numbers: signal.Signals, within_s: int = 0) -> None:
        self._asked = False
        self._within_s = within_s
        for number in numbers:
            signal.signal(number, self._ask)

    def asked(self) -> bool:
        return self._asked

    def _ask(self, *_: object) -> None:
        if not self._asked:
            signal.alarm(self._within_s)
        self._asked = True


class Child:
    """One place in the crew, and the process that fills it.

    The command gets this process's id as its last argument, for
    `end_with_parent`; `after_death` goes before it when the process before
    this one died by itself.
    """

    def __init__(self, command: Sequence[str], after_death: Sequence[str] = ()) -> None:
        self._command = tuple(command)
        self._after_death = tuple(after_death)
        self._deaths = 0
        self._start_at = 0.0
        self._started_at = 0.0
        self._process: subprocess.Popen[bytes] | None = None

    def keep(self) -> None:
        """Start the process when it is not there and its pause is over."""
        now = time.monotonic()
        if self._process is not None:
            if self._process.poll() is None:
                return
            lived_s = now - self._started_at
            self._deaths = 1 if lived_s > _SOUND_AFTER_S else self._deaths + 1
            pause = 0.0 if self._deaths == 1 else 0.1 * 2.0 ** min(self._deaths, 10)
            self._start_at = now + min(pause, _LONGEST_PAUSE_S)
            self._process = None
        if now >= self._start_at:
            more = self._after_death if self._deaths else ()
            # From the main thread: Linux tells a child of the end of the *thread* that made it.
            self._process = subprocess.Popen([*self._command, *more, str(os.getpid())])  # noqa: S603 - our own modules
            self._started_at = now

    def ask_to_stop(self) -> None:
        if self._process is not None:
            self._process.terminate()

    def wait(self, until: float) -> None:
        """Wait for its end until that moment, then kill it."""
        if self._process is None:
            return
        try:
            self._process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def keep_all(children: Sequence[Child], *, stop_within_s: float) -> None:
    """Keep the children running until SIGTERM or SIGINT, then stop them all.

    Must run in the main thread. A child has `stop_within_s` to end by itself.
    """
    stop = StopSignal(signal.SIGTERM, signal.SIGINT)
    while not stop.asked():
        for child in children:
            child.keep()
        time.sleep(_LOOK_EVERY_S)
    until = time.monotonic() + stop_within_s
    for child in children:
        child.ask_to_stop()
    for child in children:
        child.wait(until)
