"""What belongs to no API: health, and the description of all of them."""

from __future__ import annotations

from chalicelib.openapi.declared import (
    COUNT,
    HTML,
    TEXT,
    Answer,
    Door,
    Operation,
    const,
    json,
    open_record,
    record,
    ref,
    text,
)
from chalicelib.openapi.security import MAYBE_TOKEN
from chalicelib.openapi.shared_shapes import BAD_GATEWAY_REQUEST, SCHEMAS, TOO_LARGE_FOR_GATEWAY

_ERRORS = ref("HockeyAppErrors")
_WRONG = {400: BAD_GATEWAY_REQUEST, 413: TOO_LARGE_FOR_GATEWAY}

DOOR = Door(
    "Service",
    "Whether the service is up, what it has counted, what it takes and answers.",
    {
        "service.healthz": Operation(
            {
                **_WRONG,
                200: json(
                    "The store answers",
                    record(status=const("ok"), waiting=COUNT),
                    example={"status": "ok", "waiting": 0},
                ),
            }
        ),
        "service.metrics": Operation(
            {
                **_WRONG,
                200: text("Prometheus' text format"),
                401: json("A token that is not known", _ERRORS),
                403: json("A token whose scope does not cover reading", _ERRORS),
                404: json("The metrics are in CloudWatch", _ERRORS),
            },
            security=MAYBE_TOKEN,
            scope="read",
        ),
        "description.openapi": Operation(
            {
                **_WRONG,
                200: json("OpenAPI 3.1", open_record(openapi=TEXT, paths={"type": "object"})),
            }
        ),
        "description.docs": Operation({**_WRONG, 200: Answer("The page", {HTML: TEXT})}),
    },
    SCHEMAS,
)
