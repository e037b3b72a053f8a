"""One SQLite file that threads and processes write without SQLite's own waiting.

SQLite waits for a busy writer by sleeping, up to 100 ms at a time. Here a
writer first takes a mutex (among threads) and a lock on a file beside the
database (among processes), and so finds the database free.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar, cast

from chalicelib.errors import CrashbucketError
from chalicelib.storage.ports import Conflict

if sys.platform != "win32":
    import fcntl

Result = TypeVar("Result")

LOCK_WAIT_S = 20.0  # longer than any batch takes, shorter than a Lambda or a client would wait
_FIRST_PAUSE_S = 0.0001
_LONGEST_PAUSE_S = 0.002
_CACHED_STATEMENTS = 512  # batch reads have one statement for each number of keys
_SETTINGS = (
    "PRAGMA cache_size = -16000",  # kB; with the default 2 MB, 100,000 items cost twice the time
    "PRAGMA wal_autocheckpoint = 4000",  # pages; fewer checkpoints write hot pages fewer times
    "PRAGMA synchronous = FULL",
)


class Database:
    """Connections to one file: one to write, one for each reading thread, new ones in a fork."""

    _writer: _Handle | None

    def __init__(self, path: Path, schema: str, *, lock_wait_s: float = LOCK_WAIT_S) -> None:
        self._path = path
        self._lock_path = path.with_name(path.name + ".lock")
        self._lock_wait_s = lock_wait_s
        self._forget_handles()
        _open_databases.add(self)
        with self._write_lock() as handle:
            connection = handle.connection
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(schema)

    def reader(self) -> sqlite3.Connection:
        """This thread's connection, in autocommit mode: each statement reads the newest state."""
        return self._handle().connection

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """A write transaction, committed when the block ends and rolled back when it raises.

        A durable one survives power loss once it has returned; another one
        survives a crash of the process. Raises `Conflict` when other writers
        do not let go for `lock_wait_s`.
        """
        with self._write_lock() as handle, _transaction(handle, durable) as connection:
            yield connection

    def together(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Run `work` in a durable transaction that it may share with other threads' work.

        Whoever gets the lock first commits what all have waiting, so that a
        burst costs one fsync and not one each. Work must raise a
        `CrashbucketError` before it writes, or not at all; any other
        exception undoes the work of all that shared the transaction.
        """
        task = _Task(work)
        self._waiting.append(task)
        try:
            with self._write_lock() as handle:
                if not task.done:
                    self._run_waiting(handle)
        finally:
            if not task.done:  # the lock was not to be had: nobody may run it any more
                with suppress(ValueError):
                    self._waiting.remove(task)
        if task.error is not None:
            raise task.error
        return cast(Result, task.result)

    def _run_waiting(self, handle: _Handle) -> None:
        tasks = [self._waiting.popleft() for _ in range(len(self._waiting))]
        try:
            with _transaction(handle, True) as connection:
                for task in tasks:
                    task.run(connection)
        except BaseException as error:
            for task in tasks:
                task.error = error
        for task in tasks:
            task.done = True

    def close(self) -> None:
        """Close every thread's connection; a later use opens a new one."""
        handles = list(self._handles)
        self._forget_handles()
        for handle in handles:
            handle.close()

    def _handle(self) -> _Handle:
        try:
            return self._local.handle
        except AttributeError:
            handle = self._local.handle = _Handle(self._path, self._lock_path)
            self._handles.add(handle)
            return handle

    @contextmanager
    def _write_lock(self) -> Iterator[_Handle]:
        deadline = time.monotonic() + self._lock_wait_s
        mutex = self._mutex
        if not mutex.acquire(timeout=self._lock_wait_s):
            raise Conflict(f"{self._path.name} stayed locked by another thread")
        try:
            handle = self._writer_handle()
            if not handle.lock(deadline):
                raise Conflict(f"{self._path.name} stayed locked by another process")
            try:
                yield handle
            finally:
                handle.unlock()
        finally:
            mutex.release()

    def _writer_handle(self) -> _Handle:
        """The one connection that this process writes with: what a connection keeps of the file
        is worthless as soon as another one has written, so threads share it under the mutex."""
        if self._writer is None:
            self._writer = _Handle(self._path, self._lock_path)
            self._handles.add(self._writer)
        return self._writer

    def _forget_handles(self) -> None:
        self._mutex = threading.Lock()
        self._writer = None
        self._waiting: deque[_Task] = deque()
        self._local = _Local()
        self._handles: weakref.WeakSet[_Handle] = weakref.WeakSet()

    def _leave_to_parent(self) -> None:
        """In a forked child: SQLite's connections must not even be closed here."""
        for handle in list(self._handles):
            handle.leave_to_parent()
        self._forget_handles()


class _Handle:
    """A connection and its own descriptor of the lock file."""

    def __init__(self, path: Path, lock_path: Path) -> None:
        self.durable = True
        self._lock_fd: int | None = os.open(lock_path, os.O_RDWR | os.O_CREAT, 0o600)
        # The busy timeout matters only for checkpoints, recovery, and without file locks.
        self.connection = sqlite3.connect(
            path,
            timeout=LOCK_WAIT_S,
            isolation_level=None,
            check_same_thread=False,  # close() and the garbage collector come from other threads
            cached_statements=_CACHED_STATEMENTS,
        )
        for setting in _SETTINGS:
            self.connection.execute(setting)

    def lock(self, deadline: float) -> bool:
        """Wait for the lock file until `deadline`; False when it stayed taken."""
        if sys.platform == "win32" or self._lock_fd is None:
            return True
        pause = _FIRST_PAUSE_S
        while True:
            try:
                fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                if time.monotonic() > deadline:
                    return False
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_S)

    def unlock(self) -> None:
        if sys.platform != "win32" and self._lock_fd is not None:
            fcntl.flock(self._lock_fd, fcntl.LOCK_UN)

    def close(self) -> None:
        # Taken away first: the collector may close it in the middle of this.
        lock_fd, self._lock_fd = self._lock_fd, None
        if lock_fd is not None:
            self.connection.close()
            os.close(lock_fd)

    def leave_to_parent(self) -> None:
        _left_to_parent.append(self.connection)
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None

    def __del__(self) -> None:
        with suppress(AttributeError):  # opening it failed half-way
            self.close()


@contextmanager
def _transaction(handle: _Handle, durable: bool) -> Iterator[sqlite3.Connection]:
    connection = handle.connection
    if handle.durable is not durable:
        connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        handle.durable = durable
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


class _Task:
    """Work that waits for a transaction, and what came of it."""

    __slots__ = ("done", "error", "result", "work")

    def __init__(self, work: Callable[[sqlite3.Connection], object]) -> None:
        self.work = work
        self.done = False
        self.error: BaseException | None = None
        self.result: object = None

    def run(self, connection: sqlite3.Connection) -> None:
        try:
            self.result = self.work(connection)
        except CrashbucketError as error:
            self.error = error


class _Local(threading.local):
    handle: _Handle


_open_databases: weakref.WeakSet[Database] = weakref.WeakSet()
_left_to_parent: list[sqlite3.Connection] = []


def _after_fork() -> None:
    for database in list(_open_databases):
        database._leave_to_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
