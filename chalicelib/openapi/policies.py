"""What an app's owner decides about it: quota, retention, alerts."""

from __future__ import annotations

from collections.abc import Mapping

from chalicelib.openapi.declared import (
    JSON,
    TEXT,
    TEXTS,
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
    json,
    nullable,
    record,
    ref,
    words,
)
from chalicelib.openapi.security import TOKEN
from chalicelib.openapi.shared_shapes import BAD_GATEWAY_REQUEST, busy
from chalicelib.policies import ALERT_KINDS, ALERTS, BOUNDS

_ERRORS = ref("HockeyAppErrors")
_REFUSED: Answers = {
    400: BAD_GATEWAY_REQUEST,
    401: json("No token, or one that is not known", _ERRORS),
    403: json("A token whose scope does not cover this", _ERRORS),
    404: json("There is no such app, or it is another's", _ERRORS),
    413: json("The body is above its limit", either(_ERRORS, ref("GatewayError"))),
    422: json("A field is wrong", _ERRORS),
    **busy(_ERRORS),
}
_MEANING: Mapping[str, str] = {
    "retention_days": "Days for which reports are kept; 0: ever",
    "stored_per_minute": "Reports that are stored in a minute; of those above a sample is, and all "
    "are counted; 0: every report is stored",
    "refused_above_per_minute": "Reports in a minute above which more are refused; 0: none is",
    "spike_percent": "How far above what was to be expected a rate has to be, in percent of it",
    "spike_floor": "How many crashes a spike has at the least",
}


def _number(name: str) -> Schema:
    least, largest, may_be_zero = BOUNDS[name]
    bounds: Schema = {
        "type": "integer",
        "minimum": 0 if may_be_zero else least,
        "maximum": largest,
    }
    return described(bounds, _MEANING[name])


_FIELDS: Mapping[str, Schema] = {
    **{name: _number(name) for name in BOUNDS},
    ALERTS: described(array(words(*ALERT_KINDS)), "What people are told of"),
}
_CHANGES = Body(
    {JSON: record(optional={name: nullable(schema) for name, schema in _FIELDS.items()})},
    "What is not named stays as it is; null goes back to the service's setting",
    example={"retention_days": 28, "stored_per_minute": None},
)
_HOLDS = json("What holds now", ref("Policy"))

DOOR = Door(
    "Policies",
    "What the owner of an app decides about it: how long its reports are kept, how many are stored "
    "in a minute, and what people are told of.",
    {
        "policies.get_policy": Operation({**_REFUSED, 200: _HOLDS}, security=TOKEN, scope="read"),
        "policies.put_policy": Operation({**_REFUSED, 200: _HOLDS}, (), _CHANGES, TOKEN, "admin"),
    },
    {
        "Policy": record(
            policy=record(_FIELDS),
            decided=described(TEXTS, "What was decided for this app; the rest are settings"),
            status=const("success"),
        )
    },
    {
        "app_id": Parameter(
            "app_id", "The app's public identifier: 32 hex digits", TEXT, "path", required=True
        )
    },
)
