"""The functions of a deployed stack in this process: what they are given, what each call took."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from app import app
from benchmarks import corpus
from benchmarks.doors import Door, Upload
from chalicelib import bootstrap, clock, telemetry
from chalicelib.bootstrap import Services
from chalicelib.handlers import events
from chalicelib.storage.ports import Message
from infra.router import Router

FUNCTIONS = ("api", "process", "detect")
_ON_LAMBDA = {
    "AWS_LAMBDA_FUNCTION_NAME": "crashbucket",
    "POWERTOOLS_SERVICE_NAME": "crashbucket",
    "POWERTOOLS_METRICS_NAMESPACE": "Crashbucket",
}
_TIMEOUT_S = 60
_VISIBILITY_S = 360
_router = Router(app.routes)


class Passing:
    """Time that passes as fast as it is told to, for what a warm function keeps some seconds."""

    def __init__(self) -> None:
        self._really = time.monotonic
        self._passed_s = 0.0

    def __call__(self) -> float:
        return self._really() + self._passed_s

    def let_pass(self, seconds: float) -> None:
        self._passed_s += seconds


@contextlib.contextmanager
def on_lambda() -> Iterator[Passing]:
    """Have the functions log and measure as they do there, while time passes as it is told to."""
    before = dict(os.environ)
    loggers = logging.root.handlers[:]
    os.environ.update(_ON_LAMBDA)
    telemetry.on_lambda.cache_clear()
    passing = Passing()
    really, time.monotonic = time.monotonic, passing
    try:
        yield passing
    finally:
        time.monotonic = really
        os.environ.clear()
        os.environ.update(before)
        telemetry.on_lambda.cache_clear()
        logging.root.handlers[:] = loggers


class Refused(Exception):
    """The API did not take a crash."""


@dataclass
class Call:
    """What one call of a function took: processor seconds, bytes of its log and of its answer."""

    function: str
    cpu_s: float
    log_bytes: int
    answer_bytes: int = 0


@dataclass
class Context:
    """What Lambda tells a function of its call."""

    function_name: str
    memory_limit_in_mb: int = 1024
    function_version: str = "$LATEST"
    aws_request_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def invoked_function_arn(self) -> str:
        return f"arn:aws:lambda:us-east-1:123456789012:function:{self.function_name}"

    def get_remaining_time_in_millis(self) -> int:
        return _TIMEOUT_S * 1000


class Functions:
    """Calls the functions as Lambda does; `calls` has each call since the last `reset`.

    All run on one set of services, as one instance of each that stays warm.
    `after` is called after each call, with the function's name.
    """

    def __init__(
        self, services: Services, app_id: str, after: Callable[[str], object] = lambda _: None
    ) -> None:
        self._services = services
        self._app_id = app_id
        self._after = after
        self.calls: list[Call] = []
        bootstrap.use(services)

    def reset(self) -> None:
        self.calls.clear()

    def send(self, door: Door, crash: corpus.Crash) -> None:
        """What a client does with one crash."""
        answer = b""
        for step in door.steps(crash, self._app_id):
            if isinstance(step, Upload):
                self._services.blobs.put(step.key_of(answer), step.body)
                continue
            found = _router.find(step.path)
            if found is None:
                raise Refused(f"there is nothing at {step.path}")
            told: Any = self._call("api", app, step.event(*found))
            answer = str(told["body"]).encode()
            self.calls[-1].answer_bytes = len(answer) + len(str(told.get("headers")))
            if not 200 <= told["statusCode"] < 300:
                raise Refused(f"{door.name}: {told['statusCode']} {answer[:300]!r}")

    def process(self, most: int) -> int:
        """One batch of at most so many messages; how many it had."""
        queue = self._services.queue
        messages = queue.receive(most, visibility_s=_VISIBILITY_S)
        if not messages:
            return 0
        told = self._call("process", events.process, {"Records": list(map(_record, messages))})
        if told["batchItemFailures"]:
            raise Refused(f"{len(told['batchItemFailures'])} messages failed")
        queue.ack(messages)
        return len(messages)

    def minute(self) -> None:
        """What happens every minute; and in the minute's name, folding, however early it is."""
        self._call("detect", _fold, {"app_id": self._app_id})

    def _call(self, name: str, function: Callable[[Any, Any], Any], event: Any) -> Any:
        written = io.StringIO()
        with contextlib.redirect_stdout(written), contextlib.redirect_stderr(written):
            began = time.process_time()
            answer = function(event, Context(name))
            took = time.process_time() - began
        self._after(name)
        self.calls.append(Call(name, took, len(written.getvalue().encode())))
        return answer


def _fold(event: dict[str, str], _: Context) -> None:
    bootstrap.services().counts.fold_all(event["app_id"])


def _record(message: Message) -> dict[str, Any]:
    return {
        "messageId": message.receipt,
        "receiptHandle": message.receipt,
        "body": message.body,
        "attributes": {
            "ApproximateReceiveCount": str(message.deliveries),
            "SentTimestamp": str(int(clock.now().timestamp() * 1000)),
        },
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:crashbucket",
        "awsRegion": "us-east-1",
    }
