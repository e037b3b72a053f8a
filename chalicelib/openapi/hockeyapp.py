"""HockeyApp's API, and what stands below its paths: symbols, uploads in two steps."""

from __future__ import annotations

from typing import get_args

from chalicelib.handlers.crash_posts import MAX_LOG_BYTES, MAX_STRING_CHARS
from chalicelib.openapi.declared import (
    BYTES,
    DAY,
    FILE,
    FORM,
    INTEGER,
    JSON,
    PLAIN,
    TEXT,
    XML,
    Answer,
    Answers,
    Body,
    Door,
    Operation,
    Parameter,
    Schema,
    described,
    either,
    fields,
    json,
    mapping,
    nullable,
    ref,
    words,
)
from chalicelib.openapi.hockeyapp_shapes import SCHEMAS
from chalicelib.openapi.security import MAYBE_TOKEN, NOBODY, TOKEN
from chalicelib.openapi.shared_shapes import (
    BAD_GATEWAY_REQUEST,
    PLIST,
    PLIST_EXAMPLE,
    busy,
    too_many_crashes,
)
from chalicelib.queries.group_order import Sort
from chalicelib.queries.histograms import MAX_DAYS
from chalicelib.queries.paging import MAX_PAGES, PER_PAGE_CHOICES
from chalicelib.triage import MAX_ANNOTATION_CHARS, MAX_TICKET_CHARS

# --- what goes wrong -------------------------------------------------------

_ERRORS = ref("HockeyAppErrors")
_WRONG: Answers = {
    400: BAD_GATEWAY_REQUEST,
    404: json("There is no such thing, or it is another app's", _ERRORS),
    413: json(
        "The body, or a part of it, is above its limit", either(_ERRORS, ref("GatewayError"))
    ),
    422: json("A parameter or a field is wrong", _ERRORS),
    **busy(_ERRORS),
}
_TAKEN: Answers = {**_WRONG, **too_many_crashes(_ERRORS)}
_REFUSED: Answers = {
    **_WRONG,
    401: json("No token, or one that is not known", _ERRORS),
    403: json("A token whose scope does not cover this", _ERRORS),
}


def read(
    description: str, schema: Schema, *parameters: Parameter, more: Answers | None = None
) -> Operation:
    """What needs a token and answers 200."""
    answers = {**_REFUSED, 200: json(description, schema), **(more or {})}
    return Operation(answers, parameters, security=TOKEN, scope="read")


def changed(description: str, schema: Schema, body: Body | None = None) -> Operation:
    answers = {**_REFUSED, 200: json(description, schema)}
    return Operation(answers, (), body, TOKEN, "write")


def uploaded(description: str, schema: Schema, body: Body) -> Operation:
    answers = {**_REFUSED, 201: json(description, schema)}
    return Operation(answers, (), body, TOKEN, "upload")


def decided(description: str, body: Body | None = None, status: int = 200) -> Operation:
    """What a person decides of a group; 409 where another decision stands against it."""
    answers = {
        **_REFUSED,
        status: json(description, ref("UpdatedCrashReason")),
        409: json("Another decision stands against this", _ERRORS),
    }
    return Operation(answers, (), body, TOKEN, "write")


# --- parameters --------------------------------------------------------------

_PAGE = Parameter(
    "page", f"Counted from 1; at most {MAX_PAGES}", {"type": "integer", "maximum": MAX_PAGES}
)
_PER_PAGE = Parameter(
    "per_page",
    "Entries of a page",
    {"type": "integer", "enum": list(PER_PAGE_CHOICES), "default": PER_PAGE_CHOICES[0]},
)
PAGES = (_PAGE, _PER_PAGE)
_SORTS = get_args(Sort)
_ORDER = (
    Parameter(
        "sort", "What the groups are in the order of", {**words(*_SORTS), "default": _SORTS[0]}
    ),
    Parameter("order", "Up or down", {**words("asc", "desc"), "default": "asc"}),
    Parameter("symbolicated", "1: only those with symbols", {**words("0", "1"), "default": "0"}),
)
_USER = Parameter(
    "query", "The user's id or contact", TEXT, required=True, examples=[("", "jo@example.com")]
)
_SEARCH = "In Lucene's syntax (below: *Search syntax*)"
_CRASH_QUERY = Parameter(
    "query",
    f"{_SEARCH}, over the fields of a crash as they are named here, and what else is searchable",
    TEXT,
    required=True,
    examples=[
        ("Of a model, since a day", "model:Nexus* created_at:[2016-02-01 TO *]"),
        ("With words one after the other", '"invalid pointer"'),
        ("With a function on the stack", "cmethod:onCreate"),
    ],
)
_GROUP_QUERY = Parameter(
    "query",
    f"{_SEARCH}, over the fields of a group",
    TEXT,
    required=True,
    examples=[
        ("By class and method", "class:MainActivity method:onCreate"),
        ("Open ones with many crashes", "status:0 number_of_crashes:>100"),
    ],
)
_DAYS = (
    Parameter(
        "start_date", "The first day, UTC", DAY, required=True, examples=[("", "2012-04-01")]
    ),
    Parameter(
        "end_date",
        f"The last day; of a longer span than {MAX_DAYS} days the last ones are told",
        DAY,
        required=True,
        examples=[("", "2012-04-26")],
    ),
)


def path(name: str, description: str, schema: Schema = TEXT) -> Parameter:
    return Parameter(name, description, schema, "path", required=True)


# --- bodies ------------------------------------------------------------------

_SAID: dict[str, Schema] = {
    "description": described(TEXT, "What the user wrote"),
    "attachment0": FILE,
    "attachment1": FILE,
    "attachment2": FILE,
    "userID": described({**TEXT, "maxLength": MAX_STRING_CHARS}, "Who crashed"),
    "contact": described({**TEXT, "maxLength": MAX_STRING_CHARS}, "How to reach them"),
    "sdk": TEXT,
    "sdk_version": TEXT,
}
_LOG = described(FILE, f"The log, at most {MAX_LOG_BYTES} bytes")
_UPLOAD = Body({FORM: {**fields(log=_LOG, **_SAID), "required": ["log"]}})
_POST = Body(
    {
        FORM: fields(raw=described(TEXT, "A log"), xml=described(TEXT, "QuincyKit's XML"), **_SAID),
        XML: described(TEXT, "QuincyKit's XML, as the body"),
        "application/x-www-form-urlencoded": fields(raw=TEXT, xml=TEXT, userID=TEXT, contact=TEXT),
    },
    "`raw` with a log, or QuincyKit's XML as `xml` or as the body",
)
_DECISION = Body(
    {
        "application/x-www-form-urlencoded": fields(
            status=described(words("0", "1", "2"), "0 open, 1 resolved, 2 ignored"),
            ticket_url=described(
                TEXT, f"An http(s) address of at most {MAX_TICKET_CHARS} characters; empty: none"
            ),
        )
    },
    "What is not sent stays as it is. The query is taken too",
    required=False,
    example={"status": "1", "ticket_url": "https://bugs.example.com/17"},
)
_NOTE = Body(
    {"application/x-www-form-urlencoded": fields(text={**TEXT, "maxLength": MAX_ANNOTATION_CHARS})},
    required=False,
    example={"text": "Happens when the list is empty"},
)
_MERGE = Body(
    {"application/x-www-form-urlencoded": fields(into=described(TEXT, "`id` of a crash group"))},
    "The query is taken too",
    required=False,
    example={"into": "870123456789012"},
)
_SPLIT = Body(
    {"application/x-www-form-urlencoded": fields(stack=described(TEXT, "`stack` of a stack"))},
    "The query is taken too",
    required=False,
    example={"stack": "0f1e2d3c4b5a69788796a5b4c3d2e1f0"},
)
_VERSION_OF_MAPPING: dict[str, Schema] = {
    "bundle_version": described(TEXT, "Of a mapping: the version it is of"),
    "bundle_short_version": TEXT,
}
_SYMBOLS = Body(
    {FORM: fields(file=described(FILE, "A debug file, or a zip of them"), **_VERSION_OF_MAPPING)},
    "Any number of parts with a file name",
)
_DSYM = described(FILE, "A zip of dSYMs, or Android's `mapping.txt`")
_BEGIN = Body(
    {
        JSON: fields(
            filename=nullable(TEXT),
            size=described(
                nullable({**INTEGER, "minimum": 1}), "Bytes; the form then takes no more"
            ),
            annotations=nullable(mapping({"type": ["string", "number", "null"]})),
        )
    },
    required=False,
    example={"filename": "crash.dmp", "size": 12000000, "annotations": {"ver": "1.2"}},
)

# --- views -------------------------------------------------------------------

_ACCEPTED = Answer(
    "Accepted, and durable",
    {XML: PLIST, JSON: ref("CrashAccepted")},
    {"Location": "The crash's path"},
    PLIST_EXAMPLE,
)
_WAITS = json("It waits to be processed", ref("CrashWaits"))
_LISTED_GROUPS = read("A page of groups, with exact totals", ref("CrashReasons"), *PAGES, *_ORDER)
_LISTED_CRASHES = read("The group and a page of its crashes", ref("Crashes"), *PAGES)
_FOUND_OF_USER = read("A page of crashes", ref("FoundCrashes"), _USER, *PAGES)
_FOUND_CRASHES = read("A page of crashes", ref("FoundCrashes"), _CRASH_QUERY, *PAGES)
_FOUND_GROUPS = read("A page of groups", ref("CrashReasons"), _GROUP_QUERY, *PAGES)
_COUNTED = read("Crashes by day", ref("Histogram"), *_DAYS)
_VERSION_MADE = "The version that the symbols are of"

DOOR = Door(
    "HockeyApp",
    "What HockeyApp's SDKs post and its API clients read, below `/api/2`. Tokens as of "
    "`crashbucket token create`. Parameters may also stand in a form, or in a body of a `GET`. "
    "Groups span versions; in the list of a version everything counts that version only.",
    {
        "hockeyapp.upload_crash": Operation({**_TAKEN, 201: _ACCEPTED}, (), _UPLOAD, NOBODY),
        "hockeyapp.post_crash": Operation(
            {
                **_TAKEN,
                201: _ACCEPTED,
                400: json(
                    "QuincyKit's XML that is refused: its SDK resends on anything else",
                    either(_ERRORS, ref("GatewayError")),
                ),
            },
            (),
            _POST,
            NOBODY,
        ),
        "hockeyapp.list_apps": read("The apps", ref("Apps")),
        "hockeyapp.recent_versions": read("A page of versions", ref("Versions"), *PAGES),
        "hockeyapp.list_versions": read("A page of versions", ref("Versions"), *PAGES),
        "hockeyapp.list_groups": _LISTED_GROUPS,
        "hockeyapp.list_groups_of_version": _LISTED_GROUPS,
        "hockeyapp.list_crashes": _LISTED_CRASHES,
        "hockeyapp.list_crashes_of_version": _LISTED_CRASHES,
        "hockeyapp.get_crash": Operation(
            {
                **_REFUSED,
                200: Answer(
                    "The log or the description as text, the crash as JSON, or the feedback",
                    {JSON: ref("Crash"), PLAIN: TEXT, XML: PLIST},
                ),
                202: _WAITS,
            },
            (
                Parameter(
                    "format",
                    "What of the crash; needed with a token",
                    words("log", "json", "text"),
                    examples=[("The log as it was sent", "log"), ("The crash", "json")],
                ),
            ),
            security=MAYBE_TOKEN,
            scope="read",
        ),
        "hockeyapp.get_report": read("The whole report", ref("WholeReport"), more={202: _WAITS}),
        "hockeyapp.statistics": read("The versions", ref("Statistics")),
        "hockeyapp_crashes.search_user": _FOUND_OF_USER,
        "hockeyapp_crashes.search_user_of_version": _FOUND_OF_USER,
        "hockeyapp_crashes.list_attachments": read("The attachments", ref("Attachments")),
        "hockeyapp_crashes.get_attachment": Operation(
            {
                **_REFUSED,
                200: Answer("The file", {BYTES: FILE}),
                302: Answer("To the store, for what is large", headers={"Location": "A link"}),
            },
            security=TOKEN,
            scope="read",
        ),
        "hockeyapp_crashes.delete_crash": changed("It is gone", ref("Done")),
        "hockeyapp_search.search_crashes": _FOUND_CRASHES,
        "hockeyapp_search.search_crashes_of_version": _FOUND_CRASHES,
        "hockeyapp_search.search_groups": _FOUND_GROUPS,
        "hockeyapp_search.search_groups_of_version": _FOUND_GROUPS,
        "hockeyapp_histograms.histogram_of_app": _COUNTED,
        "hockeyapp_histograms.histogram_of_version": _COUNTED,
        "hockeyapp_histograms.histogram_of_group": _COUNTED,
        "hockeyapp_triage.update_group": changed(
            "The group as it is now", ref("UpdatedCrashReason"), _DECISION
        ),
        "hockeyapp_triage.get_annotation": read("The note, or none", ref("Annotation")),
        "hockeyapp_triage.set_annotation": changed("The note", ref("Annotation"), _NOTE),
        "hockeyapp_triage.delete_annotation": changed("Nothing", ref("AnnotationRemoved")),
        "hockeyapp_regroup.merge_group": decided("The group that both are now", _MERGE),
        "hockeyapp_regroup.undo_merge": decided("The group, one of its own again"),
        "hockeyapp_regroup.split_group": decided("The stack's own group", _SPLIT, 201),
        "hockeyapp_regroup.undo_split": decided("The group that the stack is in again"),
        "hockeyapp_regroup.list_stacks": read("The stacks", ref("StacksOfGroup")),
        "hockeyapp_regroup.list_merges": read("Merges and splits", ref("Decisions")),
        "symbols.upload_symbols": uploaded(
            "What each of the files is", ref("AddedSymbolFiles"), _SYMBOLS
        ),
        "symbols.list_symbols": read("A page of symbol files", ref("SymbolFiles"), *PAGES),
        "symbols.list_missing_symbols": read("A page of builds", ref("MissingSymbolsList"), *PAGES),
        "symbols.get_symbols": read("The file", ref("LinkedSymbolFile")),
        "symbols.delete_symbols": changed("It is gone", ref("Done")),
        "symbols.upload_version": uploaded(
            _VERSION_MADE,
            ref("Version"),
            Body(
                {
                    FORM: {
                        **fields(dsym=_DSYM, **_VERSION_OF_MAPPING),
                        "required": ["dsym", "bundle_version"],
                    }
                }
            ),
        ),
        "symbols.update_version": uploaded(
            _VERSION_MADE, ref("Version"), Body({FORM: fields(dsym=_DSYM)})
        ),
        "uploads.begin_upload": Operation(
            {
                **_TAKEN,
                201: json(
                    "The form", ref("SignedUpload"), Location="Where to ask how far the upload is"
                ),
            },
            (),
            _BEGIN,
            NOBODY,
        ),
        "uploads.get_upload": Operation(
            {**_WRONG, 200: json("How far it is", ref("UploadState"))}, security=NOBODY
        ),
    },
    SCHEMAS,
    {
        "app_id": path("app_id", "The app's public identifier: 32 hex digits"),
        "version_id": path("version_id", "`id` of a version"),
        "group_id": path("group_id", "`id` of a crash group"),
        "crash_id": path("crash_id", "`id` of a crash; as a UUID too, as uploaders show it"),
        "name": path("name", "`name` of an attachment"),
        "symbol_id": path("symbol_id", "`id` of a symbol file"),
        "upload_id": path("upload_id", "As the upload's beginning was answered"),
    },
)
