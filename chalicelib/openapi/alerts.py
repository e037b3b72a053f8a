"""Alerts, and the webhooks that are told of them."""

from __future__ import annotations

from collections.abc import Mapping

from chalicelib.alerts.addresses import MAX_URL_CHARS
from chalicelib.alerts.model import AlertKind
from chalicelib.alerts.webhooks import KINDS
from chalicelib.openapi.declared import (
    COUNT,
    FLAG,
    ID,
    INTEGER,
    JSON,
    NUMBER,
    TEXT,
    TIME,
    Answers,
    Body,
    Door,
    Operation,
    Parameter,
    Schema,
    array,
    const,
    described,
    either,
    fields,
    json,
    nullable,
    record,
    ref,
    words,
)
from chalicelib.openapi.hockeyapp import PAGES, path
from chalicelib.openapi.hockeyapp_shapes import page
from chalicelib.openapi.security import TOKEN
from chalicelib.openapi.shared_shapes import BAD_GATEWAY_REQUEST, TEXT_OR_NULL, TIME_OR_NULL, busy

_ERRORS = ref("HockeyAppErrors")
_REFUSED: Answers = {
    400: BAD_GATEWAY_REQUEST,
    401: json("No token, or one that is not known", _ERRORS),
    403: json("A token whose scope does not cover this", _ERRORS),
    404: json("There is no such thing, or it is another app's", _ERRORS),
    413: json("The body is above its limit", either(_ERRORS, ref("GatewayError"))),
    422: json("A parameter or a field is wrong", _ERRORS),
    **busy(_ERRORS),
}
_OK = const("success")
_URL: Schema = {"type": "string", "maxLength": MAX_URL_CHARS}
_TOLD = array(words(*KINDS))


def _settable(**required: Schema) -> Schema:
    return fields(
        **{
            "url": nullable(described(_URL, "An http(s) address on the internet")),
            "kinds": nullable(described(_TOLD, "The alerts that it is told of; else all")),
            "active": nullable(FLAG),
            **required,
        }
    )


_EXAMPLE = {"url": "https://hooks.example.com/crashes", "kinds": ["spike", "new_group"]}
_NEW = Body({JSON: {**_settable(url=_URL), "required": ["url"]}}, example=_EXAMPLE)
_CHANGES = Body({JSON: _settable()}, "What is not named stays as it is", example={"active": False})
_ONE_ALERT = Parameter("alert_id", "Those of this alert only", {"type": "string"})


def _alerts(description: str, schema: Schema, *parameters: Parameter) -> Operation:
    answers = {**_REFUSED, 200: json(description, schema)}
    return Operation(answers, parameters, security=TOKEN, scope="read")


def _written(description: str, schema: Schema, *parameters: Parameter) -> Operation:
    answers = {**_REFUSED, 200: json(description, schema)}
    return Operation(answers, parameters, security=TOKEN, scope="write")


def _webhooks(
    description: str, schema: Schema, body: Body | None = None, status: int = 200
) -> Operation:
    return Operation({**_REFUSED, status: json(description, schema)}, (), body, TOKEN, "admin")


_SCHEMAS: Mapping[str, Schema] = {
    "Alert": described(
        record(
            id=ID,
            kind=words(*(kind.value for kind in AlertKind)),
            subject=described(TEXT, "What it is about: `app`, `version:ID` or `group:ID`"),
            title=TEXT,
            state=words("open", "closed"),
            observed=described(COUNT, "Crashes in the last `minutes` before it opened"),
            expected=described(NUMBER, "How many were to be expected"),
            minutes=COUNT,
            crash_reason_id=nullable(ID),
            crash_reason_percent=nullable(described(COUNT, "What it makes of the increase")),
            app_version_id=nullable(ID),
            app_version_percent=nullable(described(COUNT, "What it makes of the increase")),
            part_of=nullable(described(ID, "The alert that people were told of instead")),
            opened_at=TIME,
            closed_at=TIME_OR_NULL,
            acknowledged_at=TIME_OR_NULL,
            acknowledged_by=TEXT_OR_NULL,
        ),
        "Something that people are told of, and may acknowledge",
    ),
    "Undelivered": record(
        alert_id=ID,
        receiver=described(TEXT, "`id` of a webhook, or `topic`"),
        tries=COUNT,
        tried_at=TIME_OR_NULL,
        problem=TEXT_OR_NULL,
    ),
    "Webhook": record(
        id=ID,
        public_identifier=described(TEXT_OR_NULL, "The app; null: told of every app"),
        url=TEXT,
        kinds=_TOLD,
        active=FLAG,
        state=described(
            words("active", "failing", "off"), "`failing`: nothing got there for two days"
        ),
        failing_since=TIME_OR_NULL,
        failure=described(TEXT_OR_NULL, "What the last try came to"),
        switched_off=described(TEXT_OR_NULL, "Why it is off, unless a person switched it off"),
        created_at=TIME,
    ),
    "TheAlert": record(alert=ref("Alert"), status=_OK),
    "TheWebhook": record(webhook=ref("Webhook"), status=_OK),
}

DOOR = Door(
    "Alerts",
    "What people are told of: spikes, new groups, groups that are back, fewer sessions without a "
    "crash. Webhooks get it as HockeyApp's did, signed, and again until it gets there.",
    {
        "alerts.list_alerts": _alerts(
            "A page of alerts",
            page(alerts=array(ref("Alert"))),
            Parameter("state", "Which ones", {**words("open", "all"), "default": "open"}),
            *PAGES,
        ),
        "alerts.get_alert": _alerts("The alert", ref("TheAlert")),
        "alerts.acknowledge_alert": _written("The alert as it is now", ref("TheAlert")),
        "alerts.list_undelivered": _alerts(
            "A page of notifications", page(undelivered=array(ref("Undelivered"))), *PAGES
        ),
        "alerts.replay_undelivered": _written(
            "How many are tried again", record(replayed=COUNT, status=_OK), _ONE_ALERT
        ),
        "webhooks.list_webhooks": _webhooks(
            "All of them", record(webhooks=array(ref("Webhook")), status=_OK)
        ),
        "webhooks.create_webhook": _webhooks(
            "The webhook, and its secret",
            record(
                webhook=ref("Webhook"),
                secret=described(TEXT, "What its posts are signed with; shown this once"),
                status=_OK,
            ),
            _NEW,
            201,
        ),
        "webhooks.get_webhook": _webhooks("The webhook", ref("TheWebhook")),
        "webhooks.change_webhook": _webhooks(
            "The webhook as it is now", ref("TheWebhook"), _CHANGES
        ),
        "webhooks.delete_webhook": _webhooks("It is gone", ref("Done")),
        "webhooks.ping_webhook": _webhooks(
            "It got there",
            record(answered=described(INTEGER, "The status it was answered with"), status=_OK),
        ),
    },
    _SCHEMAS,
    {
        "app_id": path("app_id", "The app's public identifier: 32 hex digits"),
        "alert_id": path("alert_id", "`id` of an alert"),
        "webhook_id": path("webhook_id", "`id` of a webhook"),
    },
)
