"""PartyCrasher's REST API 0.2.0."""

from __future__ import annotations

from chalicelib.handlers.partycrasher_request import DEFAULT_SIZE, MAX_SIZE
from chalicelib.openapi import search_syntax
from chalicelib.openapi.declared import (
    JSON,
    TEXT,
    Answer,
    Answers,
    Body,
    Door,
    Operation,
    Parameter,
    Schema,
    array,
    either,
    json,
    ref,
)
from chalicelib.openapi.partycrasher_shapes import REPORT_EXAMPLE, SCHEMAS
from chalicelib.openapi.security import MAYBE_TOKEN, NOBODY, TOKEN
from chalicelib.openapi.shared_shapes import too_many_crashes

_ERROR = ref("PartyCrasherError")
_RETRY = "Seconds to wait"
_UNSEEN: Answers = {
    401: json("Reading needs a token here", _ERROR, WWW_Authenticate="`Bearer`"),
    403: json("A token whose scope does not cover this", _ERROR),
}
_WRONG: Answers = {
    400: json("`error` names what is wrong", either(_ERROR, ref("GatewayError"))),
    404: json("There is no such thing that the caller may see", {"type": "object"}),
    413: json("Above the limit of one request", either(_ERROR, ref("GatewayError"))),
    503: json("The store is busy", _ERROR, Retry_After=_RETRY),
}


def _read(answer: Answer, *parameters: Parameter, status: int = 200) -> Operation:
    """What is open, or needs a token, by `CRASHBUCKET_PARTYCRASHER_READ`."""
    return Operation(
        {**_WRONG, **_UNSEEN, status: answer}, parameters, security=MAYBE_TOKEN, scope="read"
    )


_MOMENT = "A date (`2016-02-29`, `2016-02`, `2016`), a date-time, or `3-days-ago`"
_SINCE = Parameter("since", _MOMENT, TEXT, examples=[("Three days ago", "3-days-ago")])
_UNTIL = Parameter("until", f"{_MOMENT}; it is within the span", TEXT)
_COUNT: Schema = {"type": "integer", "minimum": 0}
_PAGES = (
    Parameter("from", "How many to pass over", {**_COUNT, "default": 0}),
    Parameter("size", "How many to tell", {**_COUNT, "maximum": MAX_SIZE, "default": DEFAULT_SIZE}),
)
_QUERY = Parameter(
    "q",
    "What to look for, in Lucene's syntax (below: *Search syntax*); left out: everything",
    TEXT,
    examples=[
        (example.finds, query) for example in search_syntax.EXAMPLES for query in example.queries
    ],
)
_SEARCH = Operation(
    {
        **_WRONG,
        **_UNSEEN,
        200: json(
            "A page of them",
            array(ref("ListedReport")),
            X_Total_Count="How many there are in all, exactly",
        ),
    },
    (
        _QUERY,
        _SINCE,
        _UNTIL,
        *_PAGES,
        Parameter("sort", "Any searchable field", {**TEXT, "default": "date"}),
        Parameter("order", "Up or down", {"enum": ["desc", "asc"], "default": "desc"}),
    ),
    security=MAYBE_TOKEN,
    scope="read",
)
_ONE = ref("PostedReport")
_DRY_RUN = Operation(
    {**_WRONG, 200: json("Where it would go", ref("DryRun"))},
    body=Body({JSON: _ONE}, example=dict(REPORT_EXAMPLE)),
    security=NOBODY,
)
_REPORT = _read(json("The report", ref("FiledReport"), Link="Its bucket"))
_GONE_TO = {"Location": "Where it is"}

DOOR = Door(
    "PartyCrasher",
    "REST API 0.2.0. Each path is there with and without a project in front. Uploading needs no "
    "token; reading is open or needs one, by a setting. Scores are 0 to 12, and reports share a "
    "bucket at a threshold that their score reaches.",
    {
        "partycrasher.post_reports": Operation(
            {
                **_WRONG,
                201: json(
                    "It is stored, and in its buckets; of an array at least one is",
                    ref("Stored"),
                    Location="The report",
                    Link="Its bucket",
                ),
                **too_many_crashes(_ERROR),
                303: Answer("A report of that id is there, and stays as it was", headers=_GONE_TO),
                400: json("Nothing was taken", either(ref("NoneStored"), ref("GatewayError"))),
            },
            body=Body({JSON: either(_ONE, array(_ONE, minItems=1))}, example=dict(REPORT_EXAMPLE)),
            security=NOBODY,
        ),
        "partycrasher.dry_run": _DRY_RUN,
        "partycrasher.dry_run_as_in_the_tree": _DRY_RUN,
        "partycrasher.get_report": _REPORT,
        "partycrasher.get_report_as_in_location": _REPORT,
        "partycrasher.summarise": _read(json("The terms", ref("Summary"))),
        "partycrasher.compare": _read(json("The comparison", ref("Comparison"))),
        "partycrasher.delete_all": Operation(
            {
                **_WRONG,
                **_UNSEEN,
                200: json("They are gone", ref("AllDeleted")),
                403: json("The settings do not allow it, or the token", _ERROR),
                503: json("Some are left: send it again", _ERROR),
            },
            security=TOKEN,
            scope="admin",
        ),
        "partycrasher.redirect_to_buckets": _read(
            Answer("To the buckets", headers=_GONE_TO), status=302
        ),
        "partycrasher.top_buckets": _read(
            json("The buckets", ref("TopBuckets")), _SINCE, _UNTIL, _QUERY, *_PAGES
        ),
        "partycrasher.get_bucket": _read(
            json("The bucket, and a page of its reports", ref("BucketPage")), *_PAGES
        ),
        "partycrasher.search": _SEARCH,
        "partycrasher.root": _read(json("What is here", ref("Root"))),
        "partycrasher.get_project": _read(json("The project", ref("Project"))),
        "partycrasher.config": _read(json("The configuration", ref("Config"))),
    },
    SCHEMAS,
    {
        "project": Parameter("project", "A project's name", TEXT, "path", required=True),
        "report_id": Parameter(
            "report_id",
            "The client's `database_id`, or ours; a slash in it is quoted twice (`%252F`)",
            TEXT,
            "path",
            required=True,
        ),
        "other_id": Parameter("other_id", "The other report's id", TEXT, "path", required=True),
        "threshold": Parameter(
            "threshold",
            "One of those that `/` tells",
            TEXT,
            "path",
            required=True,
            examples=[("", "4.0")],
        ),
        "bucket_id": Parameter("bucket_id", "A bucket's `id`", TEXT, "path", required=True),
    },
    "https://github.com/naturalness/partycrasher",
)
