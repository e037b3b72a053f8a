"""Each function may do what its code does, and nothing else: the code runs over moto, watched."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from chalicelib import bootstrap, clock, exports, keys
from chalicelib.alerts.model import Alert, AlertKind
from chalicelib.bootstrap import Services
from chalicelib.config import Settings
from chalicelib.downloads import MAX_INLINE_BYTES
from chalicelib.handlers import events
from chalicelib.payload import Attachment, Payload
from chalicelib.records import App
from chalicelib.storage.aws.store import AwsClients, AwsStore, create_store
from chalicelib.storage.events import object_created
from chalicelib.storage.ports import Message, Queue
from chalicelib.tasks import ExportReport, Settle, encode
from infra.template.functions import (
    API,
    BURY,
    DETECT,
    FUNCTIONS,
    NOTIFY,
    PROCESS,
    SWEEP,
    Function,
)
from tests import followanalytics_client, omaha_client
from tests.blackbox import crashes
from tests.crashes import android_log
from tests.handlers.test_events import Context, sqs
from tests.infra.iam import Asked, Watch, grants
from tests.storage.conftest import aws_clients  # noqa: F401 - a fixture
from tests.wsgi_client import Answer, get, multipart, post_form, request

ACCOUNT = "123456789012"  # moto's
LARGE = b"x" * (MAX_INLINE_BYTES + 1)
_numbers = itertools.count(1)
# What Lambda itself does by a function's rights.
BY_LAMBDA = {"sqs:ReceiveMessage", "sqs:DeleteMessage"}

Run = Callable[[Sequence[Message]], object]


@dataclass
class Stack:
    """A stack in moto, and its functions, one at work at a time."""

    services: Services
    store: AwsStore
    watch: Watch
    arns: dict[str, str]

    def deliver(self, function: Function, queue: Queue, run: Run) -> None:
        """What Lambda does: take messages, call the function, delete them."""
        while messages := queue.receive(10, visibility_s=60):
            with self.watch(function):
                run(messages)
            queue.ack(messages)

    def process(self) -> None:
        self.deliver(PROCESS, self.store.queue, _by_event(events.process))

    def ask(self, method: str, path: str, token: str, body: bytes = b"") -> Answer:
        with self.watch(API):
            return request(method, path, body, {"X-HockeyAppToken": token})


def _by_event(handler: Callable[[Any, Any], Any]) -> Run:
    def run(messages: Sequence[Message]) -> None:
        answer = handler(sqs(*(message.body for message in messages)), Context())
        assert answer == {"batchItemFailures": []}

    return run


@pytest.fixture(scope="module")
def stack(aws_clients: AwsClients) -> Iterator[Stack]:  # noqa: F811
    name = f"stack-{next(_numbers)}"
    watch = Watch(ACCOUNT)
    store = create_store(name, clients=aws_clients)
    assert store.notifications is not None
    watch.clients(aws_clients.dynamodb, aws_clients.s3, aws_clients.sqs)
    sign = aws_clients.s3.generate_presigned_post

    def signed(bucket: str, key: str, **more: Any) -> Any:
        """boto3 asks nobody for a form; who uses it does so by the rights of who signed it."""
        watch.note(Asked("s3:PutObject", f"arn:aws:s3:::{bucket}/{key}"))
        return sign(bucket, key, **more)

    def queue(called: str) -> str:
        return f"arn:aws:sqs:us-east-1:{ACCOUNT}:{called}"

    arns = {
        "Table": f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/{name}",
        "Bucket": f"arn:aws:s3:::{name}",
        "Intake": queue(name),
        "IntakeDeadLetters": queue(f"{name}-dead"),
        "Notifications": queue(f"{name}-notifications"),
        "NotificationsDeadLetters": queue(f"{name}-notifications-dead"),
        "Topic": f"arn:aws:sns:us-east-1:{ACCOUNT}:{name}",
        "WebhookSecret": f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:{name}",
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(aws_clients.s3, "generate_presigned_post", signed)
        built = bootstrap.build(
            Settings(store="aws"),
            store.table,
            store.blobs,
            store.queue,
            notifications=store.notifications,
        )
        bootstrap.use(built)
        yield Stack(built, store, watch, arns)
        bootstrap.use(None)


@pytest.fixture(scope="module")
def worked(stack: Stack) -> Stack:
    """The stack after a day in its life."""
    app = stack.services.accounts.create_app("Demo")
    token = stack.services.accounts.create_token("admin")
    _crashes_come_and_are_read(stack, app, token)
    _a_dump_is_uploaded_in_two_steps(stack, app, token)
    _symbols_come_and_go(stack, app, token)
    _a_report_is_exported(stack, app, token)
    _large_parts_are_downloaded(stack, token)
    _the_queue_gives_up(stack, app)
    _people_are_told(stack, app)
    _time_passes(stack)
    return stack


def _crashes_come_and_are_read(stack: Stack, app: App, token: str) -> None:
    base = f"/api/2/apps/{app.app_id}"
    with stack.watch(API):
        assert get("/healthz").status == 200
        for cause in ("a", "a", "b"):
            posted = post_form(f"{base}/crashes/upload", {"log": android_log(cause)})
            assert posted.status == 201, posted.text
    stack.process()
    groups = stack.ask("GET", f"{base}/crash_reasons", token).json["crash_reasons"]
    assert [group["number_of_crashes"] for group in groups] == [2, 1]
    group = f"{base}/crash_reasons/{groups[0]['id']}"
    listed = stack.ask("GET", group, token).json["crashes"]
    assert stack.ask("POST", f"{group}?status=1", token).status == 200
    crash = f"{base}/crashes/{listed[0]['id']}"
    assert stack.ask("GET", f"{crash}?format=log", token).status == 200
    assert stack.ask("GET", f"{base}/crashes/1?format=log", token).status == 404
    assert stack.ask("DELETE", crash, token).status == 200
    stack.process()


def _a_dump_is_uploaded_in_two_steps(stack: Stack, app: App, token: str) -> None:
    uploads = f"/api/2/apps/{app.app_id}/uploads"
    begun = stack.ask("POST", uploads, token, b"{}").json
    state = f"{uploads}/{begun['upload_id']}"
    assert stack.ask("GET", state, token).json["state"] == "waiting"
    stack.store.blobs.put(begun["fields"]["key"], crashes.build("stepwise").dump)
    stack.process()
    done = stack.ask("GET", state, token).json
    assert done["state"] == "processed"
    crash = f"/api/2/apps/{app.app_id}/crashes/{done['crash_id']}"
    assert stack.ask("GET", f"{crash}/report", token).status == 200
    assert stack.ask("DELETE", crash, token).status == 200
    # Whoever deletes may stop in between: the queue has the rest done.
    with stack.watch(API):
        stack.services.queue.send(encode(Settle(app.app_id)))
    stack.process()


def _symbols_come_and_go(stack: Stack, app: App, token: str) -> None:
    build = crashes.build("named")
    symbols = f"/api/2/apps/{app.app_id}/symbols"
    body, headers = multipart({}, {"file": build.symbols})
    with stack.watch(API):
        added = request("POST", symbols, body, headers | {"X-HockeyAppToken": token})
        assert added.status == 201, added.text
        sent = post_form(
            f"/breakpad/{app.app_id}/upload", {"prod": "x"}, {"upload_file_minidump": build.dump}
        )
        assert sent.status == 200, sent.text
    stack.process()
    file = f"{symbols}/{added.json['symbols'][0]['id']}"
    assert stack.ask("GET", file, token).json["download_url"]
    assert stack.ask("DELETE", file, token).status == 200
    other = crashes.build("other")
    second = f"/breakpad/{app.app_id}/v1"
    created = stack.ask("POST", f"{second}/uploads:create?key={token}", token).json
    place = f"{second}/uploads/{created['uploadKey']}"
    assert stack.ask("PUT", place, token, other.symbols).status == 200
    told = b'{"symbol_id": {"debug_file": "other", "debug_id": "x"}}'
    completed = stack.ask("POST", f"{place}:complete?key={token}", token, told)
    assert completed.status == 200, completed.text
    left = stack.ask("POST", f"{second}/uploads:create?key={token}", token).json
    stack.ask("PUT", f"{second}/uploads/{left['uploadKey']}", token, other.symbols)
    stack.process()


def _a_report_is_exported(stack: Stack, app: App, token: str) -> None:
    report_id = stack.services.intake.receive(
        Payload(app.app_id, "hockeyapp", clock.now(), android_log("exported"))
    )
    stack.process()
    group_id = stack.services.crashes.report(report_id).group_id
    with stack.watch(API):
        (occurrence,) = followanalytics_client.occurrences(group_id, token)
        asked = followanalytics_client.export(group_id, occurrence, token)
        assert asked.status == 200, asked.text
    stack.process()
    with stack.watch(API):
        exported = stack.services.exports.open(report_id)
    assert exported.data
    crash = f"/api/2/apps/{app.app_id}/crashes/{report_id}"
    assert stack.ask("DELETE", crash, token).status == 200


def _large_parts_are_downloaded(stack: Stack, token: str) -> None:
    with stack.watch(API):
        crash_id = omaha_client.posted(crashes.build("large").dump + LARGE)
    stack.process()
    with stack.watch(API):
        found = omaha_client.ask(f"{omaha_client.CRASHES}{crash_id}/", token).json
        answer = omaha_client.follow(found["upload_file_minidump"])
    assert answer.status in {302, 303, 307}
    app_id = stack.services.crashes.report(crash_id).app_id
    crash = f"/api/2/apps/{app_id}/crashes/{crash_id}"
    assert stack.ask("DELETE", crash, token).status == 200


def _the_queue_gives_up(stack: Stack, app: App) -> None:
    services = stack.services
    payload = Payload(app.app_id, "hockeyapp", clock.now(), android_log("given up"))
    report_id = services.intake.receive(payload)
    landed = keys.landing_blob(app.app_id, "given-up.dmp")
    services.blobs.put(landed, b"MDMP")
    services.queue.ack(services.queue.receive())
    bodies = [
        object_created("bucket", keys.raw_blob(report_id), 1),
        object_created("bucket", landed, 1),
        encode(Settle(app.app_id)),
        encode(ExportReport(report_id)),
    ]
    with stack.watch(BURY):
        events.bury(sqs(*bodies), Context())
    assert len(list(services.crashes.dead_letters())) == 2


def _people_are_told(stack: Stack, app: App) -> None:
    alert = Alert(
        app.app_id, AlertKind.SPIKE, "app", "key", clock.to_stored(clock.now()), "many crashes"
    )
    assert stack.services.alerts.open(alert)
    assert stack.store.notifications is not None
    stack.deliver(NOTIFY, stack.store.notifications, _by_event(events.notify))


def _time_passes(stack: Stack) -> None:
    with stack.watch(DETECT):
        events.detect(_TICK, Context())
    with stack.watch(SWEEP):
        events.sweep(_TICK, Context())


_TICK = {
    "version": "0",
    "id": "1",
    "detail-type": "Scheduled Event",
    "source": "aws.events",
    "account": ACCOUNT,
    "time": "2026-11-21T00:00:00Z",
    "region": "us-east-1",
    "resources": [],
    "detail": {},
}


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_a_function_may_do_all_that_its_code_does(worked: Stack, function: Function) -> None:
    allowed = grants(function, worked.arns)
    refused = {
        asked
        for asked in worked.watch.asked.get(function.name, set())
        if not any(grant.covers(asked) for grant in allowed)
    }
    assert not refused


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_a_function_may_do_nothing_that_its_code_does_not(
    worked: Stack, function: Function
) -> None:
    asked = worked.watch.asked.get(function.name, set())
    idle = {
        grant
        for grant in grants(function, worked.arns)
        if grant.action not in BY_LAMBDA and not any(map(grant.covers, asked))
    }
    assert not idle
