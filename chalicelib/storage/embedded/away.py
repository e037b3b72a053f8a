"""What the embedded adapters say when the disk is full, or the database busy or out of reach."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from chalicelib.storage.ports import StoreAway

_PRIMARY = 0xFF  # of SQLite's result codes: the rest says more of the same
_AGAIN_CODES = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
    }
)
_AGAIN_NUMBERS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE})


@contextmanager
def telling() -> Iterator[None]:
    """Raises `StoreAway` for it."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", 0) & _PRIMARY not in _AGAIN_CODES:
            raise
        raise StoreAway(f"the store cannot do it now: {error}") from error
    except OSError as error:
        if error.errno not in _AGAIN_NUMBERS:
            raise
        raise StoreAway(f"the store cannot do it now: {error.strerror}") from error
