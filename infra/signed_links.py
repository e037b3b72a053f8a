"""The embedded store's own signed links: what S3 does for a deployed stack.

`GET /blobs/download?...` and `POST /blobs/upload` (multipart/form-data, the
signed fields before the part `file`, as in S3's presigned POST).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from chalicelib.errors import InvalidRequest, PayloadTooLarge
from chalicelib.storage.blob_keys import attachment
from chalicelib.storage.embedded.blobs import EmbeddedBlobs
from chalicelib.storage.ports import BlobNotFound, InvalidSignature
from infra.wire import READ_BYTES, Answer, Refused, content_length, discard, too_large

_FORM_BYTES = 64 * 1024  # of a form beside its file: the fields are below 2 kB
_MAX_FIELDS = 32  # the signed form has 4; a client may send some of its own


class SignedLinks:
    """Answers what is below `/blobs/`."""

    def __init__(self, blobs: EmbeddedBlobs) -> None:
        self._blobs = blobs

    def answer(self, path: str, environ: Mapping[str, Any]) -> Answer:
        method = environ["REQUEST_METHOD"]
        try:
            if path == "/blobs/download" and method in {"GET", "HEAD"}:
                return self._download(str(environ.get("QUERY_STRING") or ""))
            if path == "/blobs/upload" and method == "POST":
                return self._upload(environ)
        except InvalidSignature as error:
            raise Refused(403, str(error)) from error
        except BlobNotFound as error:
            raise Refused(404, str(error)) from error
        except PayloadTooLarge as error:
            raise too_large(error.limit_bytes) from error
        except (InvalidRequest, MultipartError) as error:
            raise Refused(400, f"the form cannot be read: {error}") from error
        raise Refused(404, "use GET /blobs/download or POST /blobs/upload, as the link says")

    def _download(self, query: str) -> Answer:
        try:
            parameters = dict(parse_qsl(query, keep_blank_values=True, max_num_fields=_MAX_FIELDS))
        except ValueError as error:
            raise Refused(400, f"the query cannot be read: {error}") from error
        found = self._blobs.open_download(parameters)
        name = found.filename or found.key.rpartition("/")[2]
        headers = [
            ("Content-Type", found.content_type),
            # Whatever a client uploaded must not run as a page of this server.
            ("Content-Disposition", attachment(name)),
            ("X-Content-Type-Options", "nosniff"),
        ]
        return 200, headers, found.data

    def _upload(self, environ: Mapping[str, Any]) -> Answer:
        fields: dict[str, str] = {}
        data: bytes | None = None
        for name, value in self._parts(environ, fields):
            if name == "file":
                data = value
                break
            fields[name] = value.decode("utf-8", "replace")
        if data is None:
            raise Refused(400, "the form has no part named file")
        self._blobs.accept_upload(fields, data)
        return 204, [], b""

    def _parts(
        self, environ: Mapping[str, Any], fields: Mapping[str, str]
    ) -> Iterator[tuple[str, bytes]]:
        """The form's parts, each read no further than the fields before it allow."""
        kind, options = parse_options_header(str(environ.get("CONTENT_TYPE") or ""))
        if kind != "multipart/form-data":
            raise Refused(415, "send multipart/form-data, as the signed form says")
        length = content_length(environ)
        unread = length if length is not None else -1
        limit = _FORM_BYTES
        name, chunks, size = "", list[bytes](), 0
        with PushMultipartParser(
            options.get("boundary", ""), max_segment_count=_MAX_FIELDS
        ) as parser:
            while not parser.closed:
                wanted = READ_BYTES if unread < 0 else min(READ_BYTES, unread)
                read = bytes(environ["wsgi.input"].read(wanted)) if wanted else b""
                unread -= len(read) if unread > 0 else 0
                for event in parser.parse(read):
                    if isinstance(event, MultipartSegment):
                        name, chunks, size = event.name, [], 0
                        if name == "file":
                            limit = self._blobs.upload_limit(fields)
                    elif event is None:
                        yield name, b"".join(chunks)
                    else:
                        size += len(event)
                        if size > limit:
                            discard(environ)
                            raise too_large(limit)
                        chunks.append(bytes(event))
