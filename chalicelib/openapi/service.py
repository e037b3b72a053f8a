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
)
from chalicelib.openapi.shared_shapes import BAD_GATEWAY_REQUEST, SCHEMAS, TOO_LARGE_FOR_GATEWAY

_WRONG = {400: BAD_GATEWAY_REQUEST, 413: TOO_LARGE_FOR_GATEWAY}

DOOR = Door(
    "Service",
    "Whether the service is up, and what it takes and answers.",
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
