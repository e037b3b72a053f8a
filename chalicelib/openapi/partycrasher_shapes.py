"""The shapes of PartyCrasher's API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chalicelib.openapi.declared import (
    COUNT,
    FLAG,
    NUMBER,
    TEXT,
    URL,
    Schema,
    array,
    const,
    described,
    either,
    mapping,
    nullable,
    open_record,
    record,
    ref,
)
from chalicelib.openapi.shared_shapes import TEXT_OR_NULL

_DATE = described(TEXT, "UTC, without a zone where the client gave none")
_TEXT_OR_NUMBER: Schema = {"type": ["string", "number", "null"]}
_FRAME_FIELDS: Mapping[str, Schema] = {
    "function": TEXT_OR_NULL,
    "dylib": TEXT_OR_NULL,
    "file": TEXT_OR_NULL,
    "address": _TEXT_OR_NUMBER,
    "fileline": _TEXT_OR_NUMBER,
}
_NAMED: Mapping[str, Schema] = {
    "database_id": described(TEXT, "The client's own id"),
    "project": TEXT,
    "project_href": URL,
    "href": URL,
}
REPORT_EXAMPLE: Mapping[str, Any] = {
    "database_id": "launchpad:0000450543",
    "project": "Ubuntu",
    "date": "2016-11-03T19:14:02",
    "os": "Ubuntu 8.10",
    "Signal": 11,
    "stacktrace": [
        {
            "function": "g_main_loop_run",
            "address": "0xb7e5c1f0",
            "file": "gmain.c",
            "fileline": "2853",
            "dylib": "/usr/lib/libglib-2.0.so.0",
        }
    ],
}
_FOUND: Mapping[str, Schema] = {
    "id": TEXT,
    "href": URL,
    "threshold": TEXT,
    "total": COUNT,
    "first_seen": {"type": "string", "format": "date-time"},
    "project": described(TEXT_OR_NULL, "The path's; null for all"),
}

SCHEMAS: Mapping[str, Schema] = {
    "PartyCrasherError": {
        "type": "object",
        "properties": {
            "error": described(TEXT, "A name for programs"),
            "message": described(TEXT, "What to do, for people"),
            "property": described(TEXT_OR_NULL, "The path of what is wrong"),
            "column": described(COUNT, "Of an `invalid_query`, from 1"),
        },
        "required": ["error"],
        "examples": [
            {
                "error": "bad_property",
                "message": "must be a string (stacktrace[3].function)",
                "property": "stacktrace[3].function",
            }
        ],
    },
    "PostedReport": {
        "type": "object",
        "properties": {
            "database_id": {"type": "string", "minLength": 1, "maxLength": 125},
            "project": TEXT,
            "date": described(TEXT, "ISO 8601; UTC without a zone. Left out: now"),
            "stacktrace": array({"type": "object", "properties": dict(_FRAME_FIELDS)}),
            "force_bucket": described(
                {"type": "string", "minLength": 1, "maxLength": 125}, "The bucket it is put into"
            ),
        },
        "required": ["database_id"],
        "description": "A report with any other properties, of which no name has a period. The "
        "path or `project` says the project",
        "examples": [dict(REPORT_EXAMPLE)],
    },
    "Bucket": record(
        id=TEXT,
        bucket_id=TEXT,
        href=URL,
        url=URL,
        project=TEXT,
        threshold=TEXT,
        total={"type": "null"},
    ),
    "TopMatch": described(
        record(report_id=TEXT, href=URL, project=TEXT, project_href=URL, score=TEXT),
        "The report that it was found alike with",
    ),
    "Buckets": {
        "type": "object",
        "properties": {"top_match": nullable(ref("TopMatch"))},
        "required": ["top_match"],
        "patternProperties": {r"^\d+\.\d+$": nullable(ref("Bucket"))},
        "additionalProperties": False,
        "description": "A bucket under each threshold; null where it would be a new one",
    },
    "FiledReport": {
        **open_record(
            **_NAMED,
            date=_DATE,
            buckets=ref("Buckets"),
            stacktrace=array(open_record()),
        ),
        "description": "What was posted, and where it is; `logdf` in a frame is its rarity in bits",
    },
    "DryRun": {
        **open_record(**_NAMED, buckets=ref("Buckets")),
        "description": "What was posted, and where it would go",
    },
    "ListedReport": record(_NAMED, date=_DATE, buckets=ref("Buckets")),
    "NotStored": described(
        open_record(
            status={"type": "integer", "minimum": 300, "maximum": 499},
            error=TEXT,
            database_id=TEXT_OR_NULL,
        ),
        "In an array, in the place of a report that is there already (303) or was not taken",
    ),
    "Weights": array(record(field=TEXT, term=TEXT, value=NUMBER)),
    "Summary": record(_NAMED, summary=ref("Weights")),
    "Comparison": record(
        _NAMED,
        other_id=TEXT,
        other_project=TEXT,
        score=described(NUMBER, "0 to 12"),
        buckets=described(mapping(FLAG), "By threshold whether both are in one"),
        terms=ref("Weights"),
        frames=array(record(left=TEXT_OR_NULL, right=TEXT_OR_NULL, value=NUMBER)),
    ),
    "TopBuckets": record(
        since=TEXT_OR_NULL,
        until=TEXT_OR_NULL,
        threshold=TEXT,
        q=TEXT_OR_NULL,
        top_buckets=array(record(_FOUND, top_reports={"type": "null"})),
    ),
    "BucketPage": record(_FOUND, top_reports=array(ref("ListedReport"))),
    "Config": record(default_threshold=NUMBER),
    "Root": record(
        href=URL,
        partycrasher=record(version=TEXT, elastic={"type": "null"}),
        projects=array(record(name=TEXT, href=URL)),
        config=record(default_threshold=NUMBER, thresholds=array(TEXT)),
    ),
    "Project": record(
        name=TEXT, href=URL, reports=URL, buckets=URL, search=URL, config=ref("Config")
    ),
    "AllDeleted": record(status=const("All reports deleted")),
    "Stored": either(ref("FiledReport"), array(either(ref("FiledReport"), ref("NotStored")))),
    "NoneStored": either(ref("PartyCrasherError"), array(ref("NotStored"))),
}
