"""The Chalice app class: Chalice, made safe for a server with threads."""

from __future__ import annotations

import threading
from typing import Any

from chalice.app import Chalice, Request

# Bodies that API Gateway must hand on as bytes: a form holds files, and may be gzipped.
_BINARY_REQUESTS = [
    "multipart/form-data",
    "application/x-www-form-urlencoded",
    "application/xml",
    "application/gzip",
    "application/x-dmp",
]


class Application(Chalice):
    """Keeps the current request per thread.

    Chalice keeps it on the app, which is right on Lambda (one request at a
    time); the embedded server answers several at once.
    """

    def __init__(self, app_name: str, **options: Any) -> None:
        self._requests = threading.local()
        super().__init__(app_name, **options)
        self.api.binary_types.extend(_BINARY_REQUESTS)

    @property
    def current_request(self) -> Request | None:
        return getattr(self._requests, "current", None)

    @current_request.setter
    def current_request(self, request: Request | None) -> None:
        self._requests.current = request
