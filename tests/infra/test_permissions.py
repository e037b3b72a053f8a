"""Each function may do what its code does, and nothing else: the code runs over moto, watched."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import boto3
import pytest
from aws_lambda_powertools.utilities.parameters.constants import DEFAULT_PROVIDERS
from aws_lambda_powertools.utilities.parameters.secrets import SecretsProvider

from chalicelib import bootstrap, clock, keys
from chalicelib.alerts.messages import Deliver, Tell
from chalicelib.alerts.messages import encode as encode_notification
from chalicelib.alerts.model import Alert, AlertKind
from chalicelib.bootstrap import Services
from chalicelib.config import Settings
from chalicelib.deletion import Deletion
from chalicelib.downloads import MAX_INLINE_BYTES
from chalicelib.handlers import events
from chalicelib.landing import DOOR
from chalicelib.payload import Attachment, Payload
from chalicelib.records import App
from chalicelib.storage.aws.secret import secret as secret_on_aws
from chalicelib.storage.aws.sns import SnsTopic
from chalicelib.storage.aws.store import AwsClients, AwsStore, create_store
from chalicelib.storage.events import object_created
from chalicelib.storage.ports import Delete, Message, Queue
from chalicelib.tasks import ExportReport, FinishDeletion, Settle, encode
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
    sns, secrets = (boto3.client(kind, "us-east-1") for kind in ("sns", "secretsmanager"))
    topic = sns.create_topic(Name=name)["TopicArn"]
    secret = secrets.create_secret(Name=name, SecretString="for tests")["ARN"]
    watch.clients(aws_clients.dynamodb, aws_clients.s3, aws_clients.sqs, sns, secrets)
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
        "Topic": topic,
        "WebhookSecret": secret,
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(aws_clients.s3, "generate_presigned_post", signed)
        patch.setitem(DEFAULT_PROVIDERS, "secrets", SecretsProvider(boto3_client=secrets))
        built = bootstrap.build(
            Settings(store="aws", allow_private_webhooks=1),
            store.table,
            store.blobs,
            store.queue,
            notifications=store.notifications,
            topic=SnsTopic(lambda: sns, topic),
            secret=lambda: secret_on_aws(secret),
        )
        bootstrap.use(built)
        yield Stack(built, store, watch, arns)
        bootstrap.use(None)
        for client in (sns, secrets):
            client.close()


@pytest.fixture(scope="module")
def worked(stack: Stack) -> Stack:
    """The stack after a day in its life."""
    app = stack.services.accounts.create_app("Demo")
    token = stack.services.accounts.create_token("admin")
    _crashes_come_and_are_read(stack, app, token)
    _a_dump_is_uploaded_in_two_steps(stack, app, token)
    _symbols_come_and_go(stack, app, token)
    _a_deletion_stops_half_way(stack, app)
    _a_report_is_exported(stack, app, token)
    _large_parts_are_downloaded(stack, token)
    _the_queue_gives_up(stack, app)
    _people_are_told(stack, app, token)
    _time_passes(stack, app)
    _crashes_come_above_the_quota(stack, app, token)
    _a_persons_data_goes(stack, app, token)
    _reports_and_dead_letters_become_too_old(stack, app)
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
    newer = post_form(f"{base}/crashes/upload", {"log": android_log("a", "34")})
    assert newer.status == 201
    stack.process()
    assert stack.ask("GET", group, token).json["crash_reason"]["status"] == 0  # regressed
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


def _a_deletion_stops_half_way(stack: Stack, app: App) -> None:
    """Whoever deletes sends a message first, which has the rest done."""
    services = stack.services
    known = {report.report_id for report in services.crashes.of_app(app.app_id)}
    landed = keys.landing_blob(app.app_id, "forgotten.dmp")
    services.blobs.put(landed, crashes.build("forgotten").dump)
    stack.process()
    (report_id,) = {report.report_id for report in services.crashes.of_app(app.app_id)} - known
    with pytest.MonkeyPatch.context() as patch, stack.watch(API), pytest.raises(ZeroDivisionError):
        patch.setattr(Deletion, "_finish", lambda *_: 1 / 0)
        services.deletion.delete(app.app_id, [report_id])
    with stack.watch(PROCESS):
        events.process(sqs(encode(FinishDeletion(app.app_id, (report_id,)))), Context())
        events.process(sqs(object_created("bucket", keys.raw_blob(report_id), 1)), Context())
    assert services.blobs.size(keys.raw_blob(report_id)) is None


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
        events.bury(sqs(object_created("bucket", keys.raw_blob(1), 1)), Context())
    assert len(list(services.crashes.dead_letters())) == 3


def _people_are_told(stack: Stack, app: App, token: str) -> None:
    alert = Alert(
        app.app_id, AlertKind.SPIKE, "app", "key", clock.to_stored(clock.now()), "many crashes"
    )
    assert stack.store.notifications is not None
    hooks = f"/api/2/apps/{app.app_id}/webhooks"
    made = stack.ask("POST", hooks, token, b'{"url": "http://127.0.0.1:9/"}')
    assert made.status == 201, made.text
    stack.ask("POST", f"{hooks}/{made.json['webhook']['id']}/ping", token)
    with stack.watch(DETECT):
        assert stack.services.alerts.open(alert)
    DEFAULT_PROVIDERS["secrets"].store.clear()  # each function reads the secret by itself
    stack.deliver(NOTIFY, stack.store.notifications, _by_event(events.notify))
    listed = stack.ask("GET", f"/api/2/apps/{app.app_id}/alerts", token).json["alerts"]
    receiver = str(made.json["webhook"]["id"])
    with stack.watch(BURY):
        lost = (Deliver(app.app_id, listed[0]["id"], receiver), Tell(app.app_id, listed[0]["id"]))
        events.bury(sqs(*map(encode_notification, lost)), Context())
    undelivered = f"/api/2/apps/{app.app_id}/alerts/undelivered"
    assert stack.ask("POST", f"{undelivered}/replay", token).json["replayed"] == 1


def _time_passes(stack: Stack, app: App) -> None:
    stack.services.blobs.put(keys.export_blob(app.app_id, 1), b"of a report that is gone")
    # A crash was on its way while its group was forgotten: whoever counts it has it read anew.
    payload = Payload(app.app_id, "hockeyapp", clock.now(), android_log("lost"))
    report_id = stack.services.intake.receive(payload)
    stack.process()
    group_id = stack.services.crashes.report(report_id).group_id
    stack.services.table.write([Delete(keys.group(group_id))])
    with stack.watch(DETECT):
        events.detect(_TICK, Context())
    with stack.watch(SWEEP):
        events.sweep(_TICK, Context())


def _crashes_come_above_the_quota(stack: Stack, app: App, token: str) -> None:
    """Their payloads go, and so does the dump of one that came straight to the store."""
    policy = f"/api/2/apps/{app.app_id}/policy"
    quota = {"stored_per_minute": 1, "refused_above_per_minute": 1000}
    assert stack.ask("PUT", policy, token, json.dumps(quota).encode()).status == 200
    dump = crashes.build("often").dump
    for number in range(4):
        stack.store.blobs.put(keys.landing_blob(app.app_id, f"{number}.dmp"), dump)
        with stack.watch(API):
            posted = post_form(
                f"/api/2/apps/{app.app_id}/crashes/upload", {"log": android_log("often")}
            )
        assert posted.status == 201
        stack.process()
    bundle = "com.example.often"
    stack.services.accounts.create_app("Often", bundle_id=bundle)
    crash = f"<applicationname>Often</applicationname><bundleidentifier>{bundle}</bundleidentifier>"
    log = android_log("often")
    xml = f"<crashes><crash>{crash}<version>1</version><log>{log.decode()}</log></crash></crashes>"
    with stack.watch(API):  # which processes what comes here by itself
        for _ in range(2):
            assert post_form("/crash_v200.php", {"xmlstring": xml}).status == 200
    assert stack.ask("PUT", policy, token, b'{"stored_per_minute": null}').status == 200


def _a_persons_data_goes(stack: Stack, app: App, token: str) -> None:
    crash = _Crash(stack, app)
    crash("breakpad", crashes.build("hers").dump, {"user": "jo"})
    crash("breakpad", b"MDMPnothing", {"user": "jo"})
    large = crash.too_large({"user": "jo"})
    stack.process()
    path = f"/api/2/apps/{app.app_id}/persons?identifier=jo"
    shown = stack.ask("GET", path, token).json
    assert (len(shown["crashes"]), len(shown["dead_letters"])) == (1, 2)
    assert stack.ask("DELETE", path, token).json["erased"] == 3
    assert stack.services.blobs.size(large) is None
    crash("breakpad", crashes.build("his").dump, {"install_id": "jo"})
    stack.process()
    assert stack.ask("DELETE", f"{path}&in=install_id", token).status == 202
    stack.process()
    assert not stack.ask("GET", f"{path}&in=install_id", token).json["crashes"]


def _reports_and_dead_letters_become_too_old(stack: Stack, app: App) -> None:
    services = stack.services
    crash = _Crash(stack, app)
    crash("breakpad", crashes.build("old").dump, {})
    crash("breakpad", b"MDMPnothing", {})
    crash.too_large({})
    stack.process()
    given_up = keys.landing_blob(app.app_id, "long-ago.dmp")
    services.blobs.put(given_up, b"MDMP")
    services.queue.ack(services.queue.receive())
    with stack.watch(BURY):
        events.bury(sqs(object_created("bucket", given_up, 1)), Context())
    services.policies.change(app.app_id, {"retention_days": 30})
    later = clock.now() + timedelta(days=60)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "now", lambda: later)
        with stack.watch(SWEEP):
            events.sweep(_TICK, Context())
        stack.process()
    assert not list(services.crashes.of_app(app.app_id))
    assert not [e for e in services.crashes.dead_letters() if e.app_id == app.app_id]
    assert not list(services.blobs.keys(keys.landing_prefix(app.app_id)))


@dataclass
class _Crash:
    """Payloads that are taken in."""

    stack: Stack
    app: App

    def __call__(self, door: str, log: bytes, fields: dict[str, str]) -> int:
        png = (Attachment("a", "a.png", "image/png", 3, b"png"),)
        sent = Payload(self.app.app_id, door, clock.now(), log, fields=fields, attachments=png)
        return self.stack.services.intake.receive(sent)

    def too_large(self, fields: dict[str, str]) -> str:
        """A dump that stays where it landed, as those above the limit do; where that is."""
        self.stack.process()  # so that there is one event alone
        key = keys.landing_blob(self.app.app_id, "too-large.dmp")
        self.stack.store.blobs.put(key, b"MDMP")
        self.stack.services.queue.ack(self.stack.services.queue.receive())
        sent = Payload(self.app.app_id, DOOR, clock.now(), b"", fields=fields, log_key=key)
        self.stack.services.intake.receive(sent)
        return key


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
    refused = sorted(
        f"{asked.action} {asked.resource}"
        for asked in worked.watch.asked.get(function.name, set())
        if not any(grant.covers(asked) for grant in allowed)
    )
    assert not refused


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_a_function_may_do_nothing_that_its_code_does_not(
    worked: Stack, function: Function
) -> None:
    """The table is one right: all functions work on it by the same few requests."""
    asked = worked.watch.asked.get(function.name, set())
    idle = sorted(
        f"{grant.action} {grant.resource}"
        for grant in grants(function, worked.arns, with_fed=False)
        if not grant.action.startswith("dynamodb:")
        if not any(map(grant.covers, asked))
    )
    assert not idle


def test_nobody_may_read_the_whole_table_or_change_what_the_stack_is_made_of(
    worked: Stack,
) -> None:
    actions = {grant.action for function in FUNCTIONS for grant in grants(function, worked.arns)}
    assert {action for action in actions if action.startswith("dynamodb:")} == {
        f"dynamodb:{name}"
        for name in (
            *("GetItem", "BatchGetItem", "Query", "ConditionCheckItem"),
            *("PutItem", "UpdateItem", "DeleteItem"),
        )
    }
    verbs = ("Create", "DeleteTable", "DeleteBucket", "DeleteQueue", "PutBucket", "Purge", "Tag")
    assert not [action for action in actions if action.partition(":")[2].startswith(verbs)]
    assert not [action for action in actions if "*" in action]


def test_only_traces_are_allowed_on_every_resource() -> None:
    for function in FUNCTIONS:
        policy = function.role.properties["Policies"][0]["PolicyDocument"]
        everywhere = [entry for entry in policy["Statement"] if entry["Resource"] == "*"]
        assert [sorted(entry["Action"]) for entry in everywhere] == [
            ["xray:PutTelemetryRecords", "xray:PutTraceSegments"]
        ]
