"""The functions of a deployed stack in this process: what they are given, what each call took."""

from __future__ import annotations

import contextlib
import io
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from app import app
from benchmarks import corpus
from benchmarks.doors import Door, Upload
from chalicelib import bootstrap, clock
from chalicelib.bootstrap import Services
from chalicelib.handlers import events
from chalicelib.storage.ports import Message
from infra.router import Router

FUNCTIONS = ("api", "process", "detect")
_TIMEOUT_S = 60
_VISIBILITY_S = 360
_router = Router(app.routes)


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

    With `forgetful`, each call finds a function that kept nothing of the call
    before it: the dearest case, as a function of a quiet stack is. `after` is
    called after each, with the function's name.
    """

    def __init__(
        self,
        make: Callable[[], Services],
        app_id: str,
        *,
        forgetful: bool = False,
        after: Callable[[str], object] = lambda _: None,
    ) -> None:
        self._make = make
        self._services = make()
        self._app_id = app_id
        self._forgetful = forgetful
        self._after = after
        self.calls: list[Call] = []

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
        if self._forgetful:
            self._services = self._make()
        bootstrap.use(self._services)
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
