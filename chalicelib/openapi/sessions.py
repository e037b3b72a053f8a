"""Sessions: how many there were, and how many went without a crash."""

from __future__ import annotations

from chalicelib.openapi.declared import (
    DAY,
    INTEGER,
    JSON,
    TEXT,
    Answers,
    Body,
    Door,
    Operation,
    Parameter,
    array,
    const,
    described,
    either,
    json,
    nullable,
    record,
    ref,
)
from chalicelib.openapi.security import TOKEN
from chalicelib.openapi.shared_shapes import BAD_GATEWAY_REQUEST
from chalicelib.queries.histograms import MAX_DAYS
from chalicelib.queries.paging import MAX_PAGES, PER_PAGE_CHOICES
from chalicelib.sessions import MAX_CHARS, MAX_ENTRIES, MAX_SESSIONS

_ERRORS = ref("HockeyAppErrors")
_REFUSED: Answers = {
    400: BAD_GATEWAY_REQUEST,
    401: json("No token, or one that is not known", _ERRORS),
    403: json("A token whose scope does not cover this", _ERRORS),
    404: json("There is no such app, or it is another's", _ERRORS),
    413: json("The body is above its limit", either(_ERRORS, ref("GatewayError"))),
    422: json("A field or a parameter is wrong", _ERRORS),
}
_NAMED = {"type": "string", "maxLength": MAX_CHARS}
_ENTRY = record(
    {"started_at": described(TEXT, "When they began, as 2026-11-21T12:00:00Z; the hour counts")},
    optional={
        "bundle_version": described(_NAMED, "As crashes of it name it; one of the two is needed"),
        "bundle_short_version": _NAMED,
        "count": {"type": "integer", "minimum": 1, "maximum": MAX_SESSIONS, "default": 1},
    },
)
_BATCH = Body(
    {
        JSON: record(
            batch_id=described(
                {**_NAMED, "minLength": 1}, "Whatever is sent again with the same one counts once"
            ),
            sessions=array(_ENTRY, minItems=1, maxItems=MAX_ENTRIES),
        )
    },
    "Sessions that began, by version and hour",
    example={
        "batch_id": "5f0c1c1e-7a43-4a53-9c0b-6d1b8f5a2a11",
        "sessions": [{"bundle_version": "33", "started_at": "2026-11-21T12:00:00Z", "count": 1200}],
    },
)
_COUNTED = record(
    counted=described(INTEGER, "Sessions that were counted now"), status=const("success")
)
_PERCENT = nullable({"type": "number", "minimum": 0, "maximum": 100})
_DAY = record(
    day=DAY,
    sessions=INTEGER,
    crashes=INTEGER,
    crash_free=described(_PERCENT, "Percent of the sessions; null where none are known"),
)
_VERSION = record(
    id=INTEGER, version=TEXT, shortversion=TEXT, crash_free=array(ref("DayOfSessions"))
)
_SHARES = record(
    crash_free=array(ref("DayOfSessions")),
    app_versions=array(_VERSION),
    total_entries=INTEGER,
    total_pages=INTEGER,
    per_page=INTEGER,
    current_page=INTEGER,
    status=const("success"),
)

DOOR = Door(
    "Sessions",
    "Sessions of an app's users are counted by version and hour, beside the crashes: how many "
    "went without one.",
    {
        "sessions.post_sessions": Operation(
            {
                **_REFUSED,
                200: json("The batch was counted before", _COUNTED),
                201: json("The batch is counted", _COUNTED),
            },
            (),
            _BATCH,
            TOKEN,
            "upload",
        ),
        "sessions.crash_free": Operation(
            {**_REFUSED, 200: json("By day; the app's newest versions first", _SHARES)},
            (
                Parameter(
                    "start_date", "The first day", DAY, required=True, examples=[("", "2026-11-01")]
                ),
                Parameter(
                    "end_date",
                    f"The last one; of more than {MAX_DAYS} days between them the last ones",
                    DAY,
                    required=True,
                    examples=[("", "2026-11-21")],
                ),
                Parameter(
                    "page",
                    f"Of the versions, counted from 1; at most {MAX_PAGES}",
                    {"type": "integer", "maximum": MAX_PAGES},
                ),
                Parameter(
                    "per_page",
                    "Versions of a page",
                    {
                        "type": "integer",
                        "enum": list(PER_PAGE_CHOICES),
                        "default": PER_PAGE_CHOICES[0],
                    },
                ),
            ),
            security=TOKEN,
            scope="read",
        ),
    },
    {"DayOfSessions": _DAY},
    {
        "app_id": Parameter(
            "app_id", "The app's public identifier: 32 hex digits", TEXT, "path", required=True
        )
    },
)
