"""The blobs: small ones in SQLite beside the queue's messages, large ones in files."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlencode

from chalicelib.errors import PayloadTooLarge
from chalicelib.storage.away import tells_when_away
from chalicelib.storage.blob_keys import checked_blob_key
from chalicelib.storage.embedded.away import telling
from chalicelib.storage.embedded.database import Database
from chalicelib.storage.embedded.files import Files
from chalicelib.storage.embedded.queue import SqliteQueue
from chalicelib.storage.embedded.signing import Signer
from chalicelib.storage.events import object_created
from chalicelib.storage.ports import BlobExists, BlobNotFound, Fetched, SignedUpload
from chalicelib.storage.schema import NOTIFIED_PREFIXES

MAX_ROW_BYTES = 128_000  # in a row a put costs one fsync, in a file three; beyond, SQLite copies
BUCKET = "crashbucket"
_KEYS_PER_LOOK = 1000
_READ_ATTEMPTS = 5  # each needs the blob to be replaced between its row and its file
_ORPHAN_AGE_S = 3600.0  # no put takes as long between its file and its row

# The data comes last: to read the columns before it, SQLite need not walk through it.
SCHEMA = """
CREATE TABLE IF NOT EXISTS blobs (
    key TEXT NOT NULL UNIQUE, size INTEGER NOT NULL, content_type TEXT NOT NULL,
    file TEXT, data BLOB
);
CREATE INDEX IF NOT EXISTS filed ON blobs (file) WHERE file IS NOT NULL;
"""

_STORE = """INSERT INTO blobs (key, size, content_type, file, data) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET size = excluded.size, content_type = excluded.content_type,
file = excluded.file, data = excluded.data"""
_READ = "SELECT file, content_type, substr(data, ?, ?) FROM blobs WHERE key = ?"
_FIND = "SELECT file, data FROM blobs WHERE key = ?"
_KEYS = "SELECT key FROM blobs WHERE key > ? AND key < ? ORDER BY key LIMIT ?"
_AFTER_ALL_TEXT = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Download:
    """What a signed download link gives."""

    key: str
    filename: str | None
    content_type: str
    data: bytes


@tells_when_away(telling)
class EmbeddedBlobs:
    """`ports.Blobs` on SQLite and files, with the server's side of its own signed links."""

    def __init__(
        self,
        database: Database,
        files: Files,
        signer: Signer,
        queue: SqliteQueue,
        *,
        notified_prefixes: tuple[str, ...] = NOTIFIED_PREFIXES,
        base_url: str | Callable[[], str] = "",
    ) -> None:
        """`database` was opened with this module's `SCHEMA` and is the one of `queue`, which gets
        a message for each put under one of the prefixes. Links begin with `base_url`."""
        self._database = database
        self._files = files
        self._signer = signer
        self._queue = queue
        self._notified_prefixes = notified_prefixes
        self._base_url = base_url

    def put(
        self,
        key: str,
        data: bytes,
        *,
        content_type: str = "application/octet-stream",
        if_absent: bool = False,
    ) -> None:
        checked_blob_key(key)
        if len(data) <= MAX_ROW_BYTES:
            self._store(key, content_type, len(data), None, data, if_absent)
            return
        name = self._files.write(key, data)
        try:
            self._store(key, content_type, len(data), name, None, if_absent)
        except BaseException:
            self._files.remove(name)
            raise

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> bytes:
        return self._read(key, start, length)[2]

    def size(self, key: str) -> int | None:
        row = (
            self._database.reader()
            .execute("SELECT size FROM blobs WHERE key = ?", (key,))
            .fetchone()
        )
        return None if row is None else int(row[0])

    def fetch(self, key: str, *, length: int) -> Fetched:
        file, _, data = self._read(key, 0, None if length < MAX_ROW_BYTES else length)
        return Fetched(data[:length], _version(file, data))

    def delete(self, key: str, *, version: str | None = None) -> None:
        with self._database.transaction() as connection:
            row = connection.execute(_FIND, (key,)).fetchone()
            if row is None or version not in {None, _version(row[0], row[1] or b"")}:
                return
            connection.execute("DELETE FROM blobs WHERE key = ?", (key,))
        if row[0] is not None:
            self._files.remove(row[0])

    def keys(self, prefix: str) -> Iterator[str]:
        last, end = prefix, prefix + _AFTER_ALL_TEXT
        if prefix and self.size(prefix) is not None:
            yield prefix
        while True:
            # Page by page: a statement left open would keep SQLite's log from being reused.
            page = self._database.reader().execute(_KEYS, (last, end, _KEYS_PER_LOOK)).fetchall()
            for (key,) in page:
                yield key
            if len(page) < _KEYS_PER_LOOK:
                return
            last = page[-1][0]

    def signed_download(self, key: str, *, expires_in_s: int, filename: str | None = None) -> str:
        fields = {"key": checked_blob_key(key)}
        if filename is not None:
            fields["filename"] = filename
        signed = self._signer.signed("download", fields, expires_in_s=expires_in_s)
        return f"{self._base()}/blobs/download?{urlencode(signed)}"

    def signed_upload(self, key: str, *, max_bytes: int, expires_in_s: int) -> SignedUpload:
        fields = {"key": checked_blob_key(key), "max_bytes": str(max_bytes)}
        signed = self._signer.signed("upload", fields, expires_in_s=expires_in_s)
        return SignedUpload(f"{self._base()}/blobs/upload", "POST", signed)

    def open_download(self, query: Mapping[str, str]) -> Download:
        """The blob that a signed link names; `query` are the link's parameters.

        Raises `InvalidSignature`, or `BlobNotFound` when it has been deleted.
        """
        fields = self._signer.checked("download", query, ("key", "filename"))
        _, content_type, data = self._read(fields["key"], 0, None)
        return Download(fields["key"], fields.get("filename"), content_type, data)

    def accept_upload(self, fields: Mapping[str, str], data: bytes) -> str:
        """Put what came with a signed form under the form's key, which is returned.

        Raises `InvalidSignature` or `PayloadTooLarge`.
        """
        signed = self._signer.checked("upload", fields, ("key", "max_bytes"))
        limit = int(signed["max_bytes"])
        if len(data) > limit:
            raise PayloadTooLarge("file", len(data), limit)
        self.put(signed["key"], data)
        return signed["key"]

    def upload_limit(self, fields: Mapping[str, str]) -> int:
        """How many bytes a signed form allows, so that a server can stop reading there.

        Raises `InvalidSignature`.
        """
        return int(self._signer.checked("upload", fields, ("key", "max_bytes"))["max_bytes"])

    def remove_orphans(self, *, older_than_s: float = _ORPHAN_AGE_S) -> int:
        """Remove files whose put was killed before it had stored its row; how many there were."""
        removed = 0
        for name in self._files.older_than(older_than_s):
            known = self._database.reader().execute("SELECT 1 FROM blobs WHERE file = ?", (name,))
            if known.fetchone() is None:
                self._files.remove(name)
                removed += 1
        return removed

    def _store(
        self,
        key: str,
        content_type: str,
        size: int,
        file: str | None,
        data: bytes | None,
        if_absent: bool,
    ) -> None:
        """The row and its message, in one transaction."""

        def store(connection: sqlite3.Connection) -> str | None:
            old = connection.execute("SELECT file FROM blobs WHERE key = ?", (key,)).fetchone()
            if if_absent and old is not None:
                raise BlobExists(f"there is a blob under {key!r} already")
            connection.execute(_STORE, (key, size, content_type, file, data))
            if key.startswith(self._notified_prefixes):
                self._queue.send_within(connection, object_created(BUCKET, key, size))
            return old[0] if old else None

        replaced = self._database.together(store)
        if replaced is not None:
            self._files.remove(replaced)

    def _read(self, key: str, start: int, length: int | None) -> tuple[str | None, str, bytes]:
        """The file that holds it, if any, its content type, and the bytes."""
        take = -1 if length is None else length
        for _ in range(_READ_ATTEMPTS):
            row = (
                self._database.reader()
                .execute(_READ, (start + 1, MAX_ROW_BYTES if take < 0 else take, key))
                .fetchone()
            )
            if row is None:
                break
            file, content_type, data = row
            if file is None:
                return file, content_type, data or b""  # SQLite cuts nothing out of nothing as NULL
            with suppress(FileNotFoundError):  # replaced since the row was read
                return file, content_type, self._files.read(file, start, length)
        raise BlobNotFound(f"there is no blob under {key!r}")

    def _base(self) -> str:
        return self._base_url if isinstance(self._base_url, str) else self._base_url()


def _version(file: str | None, data: bytes) -> str:
    """A file is written once, under a name of its own; what is in a row is told by its content."""
    return file or hashlib.sha256(data).hexdigest()
