"""Symbol files that are sent in three requests: ask for a place, put the file there, complete.

What `sym_upload`'s second protocol does. The place is known by a key that only
its client was told and that is good for an hour; of the key we keep a hash.
The file waits as a blob until it is completed, or is swept away.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from itertools import islice

from chalicelib import clock, keys
from chalicelib.errors import NotFound
from chalicelib.records import SymbolUpload
from chalicelib.storage.ports import BlobNotFound, Blobs, Delete, Put, Table
from chalicelib.symbols.store import AddedSymbols, Symbols

_OPEN_FOR = timedelta(hours=1)
_SWEPT_AT_ONCE = 100  # files that nobody completed: few, and each is a look at the table


class SymbolUploads:
    """Opens places for symbol files, and adds what was put there."""

    def __init__(self, table: Table, blobs: Blobs, symbols: Symbols) -> None:
        self._table = table
        self._blobs = blobs
        self._symbols = symbols

    def open(self, app_id: str) -> str:
        """A place for one file of the app; the key to it."""
        self.sweep()
        key = secrets.token_hex(16)
        until = clock.now() + _OPEN_FOR
        upload = SymbolUpload(_digest(key), app_id, int(until.timestamp()))
        self._table.write([Put(upload.item(), if_absent=True)])
        return key

    def put(self, app_id: str, key: str, data: bytes) -> None:
        """The file; one that is there already is replaced. Raises `NotFound` for an unknown key."""
        self._blobs.put(self._find(app_id, key).blob(), data)

    def complete(self, app_id: str, key: str, debug_file: str) -> list[AddedSymbols]:
        """Add the file to the app's symbols; `debug_file` names it where it does not itself.

        Raises `NotFound` for an unknown key or where no file was put, and
        `FormatError` for what is no debug file.
        """
        upload = self._find(app_id, key)
        try:
            data = self._blobs.get(upload.blob())
        except BlobNotFound as error:
            raise NotFound("uploaded file", key) from error
        added = self._symbols.add(data, app_id=app_id, filename=debug_file)
        self._table.write([Delete(upload.key())])
        self._blobs.delete(upload.blob())
        return added

    def _find(self, app_id: str, key: str) -> SymbolUpload:
        item = self._table.get(keys.symbol_upload(_digest(key)))
        upload = SymbolUpload.from_item(item) if item else None
        if upload is None or upload.app_id != app_id:
            raise NotFound("upload", key)
        return upload

    def sweep(self) -> None:
        """Take away files that were put and never completed, a bounded number of them."""
        for blob_key in list(islice(self._blobs.keys(keys.SYMBOL_UPLOADS), _SWEPT_AT_ONCE)):
            if self._table.get(keys.symbol_upload_of_blob(blob_key)) is None:
                self._blobs.delete(blob_key)


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
