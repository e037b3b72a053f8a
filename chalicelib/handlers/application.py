"""The Chalice app class: Chalice, made safe for a server with threads and for files."""

from __future__ import annotations

import sys
import threading
from typing import Any

from chalice.app import APIGateway, Chalice, Request, Response, RestAPIEventHandler

from chalicelib.correlation import HEADER
from chalicelib.errors import TryAgain
from chalicelib.handlers.answering import busy_status, timed
from chalicelib.handlers.common import json_answer
from chalicelib.telemetry.functions import invoked


class Application(Chalice):
    """Keeps the current request per thread, and leaves it to an answer whether it is binary.

    Chalice keeps the request on the app, which is right on Lambda (one at a
    time); the embedded server answers several at once.

    API Gateway hands a body on as bytes, and an answer in base64 out as bytes,
    only for the content types that it was told; of an answer it asks the
    request's `Accept`, where a browser that follows a link names pages, and
    curl anything. Forms hold files and may be gzipped, uploaders send no type
    at all, and downloads are followed from anywhere: so it is told every type.
    Chalice would then take every answer for binary; here that is what says so
    itself (`FileResponse`).
    """

    def __init__(self, app_name: str, **options: Any) -> None:
        self._requests = threading.local()
        super().__init__(app_name, **options)
        self.api.binary_types = ["*/*"]  # what API Gateway is configured with
        self._answers = APIGateway()
        self._answers.binary_types = []

    @property
    def current_request(self) -> Request | None:
        return getattr(self._requests, "current", None)

    @current_request.setter
    def current_request(self, request: Request | None) -> None:
        self._requests.current = request

    def __call__(self, event: Any, context: Any) -> dict[str, Any]:
        """Answer one event of API Gateway (REST, Lambda proxy), naming its request's id."""
        request_id = str((event.get("requestContext") or {}).get("requestId") or "")
        answer = invoked("api", lambda: self._answer(event, context), request_id)
        if request_id:
            answer.setdefault("headers", {})[HEADER] = request_id
        return answer

    def _answer(self, event: Any, context: Any) -> dict[str, Any]:
        self.lambda_context = context
        handler = _Handler(
            self.routes,
            self._answers,
            self.log,
            self.debug,
            middleware_handlers=self._get_middleware_handlers("http"),
        )
        self.current_request = handler.create_request_object(event, context)
        answer: dict[str, Any] = handler(event, context)
        return answer


class _Handler(RestAPIEventHandler):
    """A store that is away is no error of ours: whoever asked may do so again."""

    def _unhandled_exception_to_response(self) -> Response:
        error = sys.exception()
        if isinstance(error, TryAgain):
            return timed(json_answer({"message": str(error)}, busy_status(error)), error)
        return super()._unhandled_exception_to_response()
