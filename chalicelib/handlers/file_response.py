"""An answer that is a file to save."""

from __future__ import annotations

import base64
from typing import Any

from chalice.app import Response

from chalicelib.storage.blob_keys import attachment


class FileResponse(Response):
    """Bytes to save under a name, whatever `Accept` says; encoded as API Gateway wants them."""

    def __init__(self, data: bytes, filename: str) -> None:
        headers: dict[str, str | list[str]] = {
            # Whatever a client uploaded must not run as a page of this server.
            "Content-Disposition": attachment(filename),
            "X-Content-Type-Options": "nosniff",
        }
        super().__init__(data, headers=headers)

    def to_dict(self, binary_types: list[str] | None = None) -> dict[str, Any]:  # noqa: ARG002
        return {
            "headers": {**self.headers, "Content-Type": "application/octet-stream"},
            "multiValueHeaders": {},
            "statusCode": self.status_code,
            "body": base64.b64encode(self.body).decode("ascii"),
            "isBase64Encoded": True,
        }
