"""FollowAnalytics' crash endpoints."""

from __future__ import annotations

from collections.abc import Mapping

from chalicelib.openapi.declared import (
    BYTES,
    COUNT,
    DAY,
    FILE,
    FLAG,
    FORM,
    JSON,
    TEXT,
    TIME,
    URL,
    Answer,
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
from chalicelib.openapi.security import NOBODY, TOKEN_OR_BASIC

_LOADING = array(FLAG, minItems=1, maxItems=1)
_OCCURRENCE_EXAMPLE = {
    "id": "2544355787-1536831773-logs-00003-crash-1",
    "date": "2018-09-13",
    "log_id": "2544355787-1536831773-logs-00003",
}

_SCHEMAS: Mapping[str, Schema] = {
    "FollowAnalyticsError": {
        **record(
            {"success": const(False), "status": TEXT, "error_message": TEXT},
        ),
        "examples": [
            {
                "success": False,
                "status": "not_found",
                "error_message": "App Crash with identifier 123.",
            }
        ],
    },
    "SignedIn": record(success=const(True), result=record(auth_token=TEXT, expires_at=TIME)),
    "Occurrence": {**record(id=TEXT, date=DAY, log_id=TEXT), "examples": [_OCCURRENCE_EXAMPLE]},
    "Occurrences": {
        **record(
            loading=_LOADING,
            job_id=TEXT,
            success=const(True),
            result=array(ref("Occurrence")),
            total=COUNT,
            per_page=COUNT,
            next=described(nullable(URL), "The next page"),
        ),
        "examples": [
            {
                "loading": [False],
                "job_id": "0c0194ecc04d1679445f2393",
                "success": True,
                "result": [_OCCURRENCE_EXAMPLE],
                "total": 1,
                "per_page": 1000,
                "next": None,
            }
        ],
    },
    "ExportJob": {
        **record(
            {"success": FLAG, "loading": _LOADING, "job_id": TEXT},
            {
                "result": described(record(url=URL, expires_at=TIME), "Once the file is there"),
                "status": described(words("failed"), "When it failed"),
                "error_message": TEXT,
            },
        ),
        "examples": [{"success": True, "loading": [True], "job_id": "ef0194ecc04cc74a449d02a7"}],
    },
}

_ERROR = ref("FollowAnalyticsError")
_RETRY = "Seconds to wait"
_WRONG: Answers = {
    400: json("Something is missing or wrong", either(_ERROR, ref("GatewayError"))),
    413: json("The body is above its limit", either(_ERROR, ref("GatewayError"))),
    429: json("More passwords are guessed than there is time for", _ERROR, Retry_After=_RETRY),
}
_REFUSED: Answers = {
    **_WRONG,
    401: json("No credentials, or none that are known", _ERROR, WWW_Authenticate="`Token`"),
    403: json("Credentials whose scope does not cover reading", _ERROR),
    404: json("There is no such crash, occurrence or job, or it is another app's", _ERROR),
    503: json("The store is busy", _ERROR, Retry_After=_RETRY),
}
_PAGES = (
    Parameter("per_page", "1 to 10000", {"type": "integer", "minimum": 1, "maximum": 10000}),
    Parameter("after", "Where the page begins: as `next` says", TEXT),
)

DOOR = Door(
    "FollowAnalytics",
    "Sign in, list a crash's occurrences, export one of them. A crash is a group of HockeyApp's "
    "API.",
    {
        "followanalytics.sign_in": Operation(
            {
                **_WRONG,
                200: json("A token, for every API", ref("SignedIn")),
                401: json("A wrong email or password", _ERROR, WWW_Authenticate="`Token`"),
                503: json("The store is busy", _ERROR, Retry_After=_RETRY),
            },
            body=Body(
                {
                    JSON: {**fields(email=TEXT, password=TEXT), "required": ["email", "password"]},
                    FORM: fields(email=TEXT, password=TEXT),
                },
                example={"email": "jo@example.com", "password": "open sesame"},
            ),
            security=NOBODY,
        ),
        "followanalytics.list_occurrences": Operation(
            {
                **_REFUSED,
                200: json("A page of them", ref("Occurrences"), Link='`rel="next"`: the next page'),
            },
            _PAGES,
            security=TOKEN_OR_BASIC,
            scope="read",
        ),
        "followanalytics.export_occurrence": Operation(
            {
                **_REFUSED,
                200: json("How far the job is", ref("ExportJob"), Retry_After=_RETRY),
            },
            tuple(
                Parameter(name, "Of the occurrence", schema, required=True, examples=[("", value)])
                for name, schema, value in (
                    ("id", TEXT, _OCCURRENCE_EXAMPLE["id"]),
                    ("log_id", TEXT, _OCCURRENCE_EXAMPLE["log_id"]),
                    ("date", DAY, _OCCURRENCE_EXAMPLE["date"]),
                )
            ),
            security=TOKEN_OR_BASIC,
            scope="read",
        ),
        "followanalytics.get_job": Operation(
            {
                **_REFUSED,
                200: json(
                    "What the request that started it answers",
                    either(ref("ExportJob"), ref("Occurrences")),
                    Retry_After=_RETRY,
                    Link='`rel="next"`: the next page',
                ),
            },
            _PAGES,
            security=TOKEN_OR_BASIC,
            scope="read",
        ),
        "followanalytics.download_file": Operation(
            {
                200: Answer("The file", {BYTES: FILE}),
                302: Answer("To the store, for what is large", headers={"Location": "A link"}),
                400: _WRONG[400],
                403: json("The link was changed, or has expired", _ERROR),
                404: json("The file is gone", _ERROR),
                413: _WRONG[413],
            },
            (
                Parameter("expires", "As the link has it", TEXT),
                Parameter("signature", "As the link has it", TEXT),
            ),
            security=NOBODY,
        ),
    },
    _SCHEMAS,
    {
        "crash_identifier": Parameter(
            "crash_identifier", "`id` of a crash group", TEXT, "path", required=True
        ),
        "job_id": Parameter(
            "job_id", "As the request that started it", TEXT, "path", required=True
        ),
    },
)
