"""omaha-server's API, and the form for users."""

from __future__ import annotations

from collections.abc import Mapping

from chalicelib.feedback import MAX_DESCRIPTION_CHARS, MAX_SUMMARY_CHARS
from chalicelib.handlers.omaha_pages import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE
from chalicelib.omaha_ids import MAX_CHARS
from chalicelib.openapi.declared import (
    BYTES,
    COUNT,
    FILE,
    FORM,
    HTML,
    ID,
    JSON,
    PLAIN,
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
    described,
    either,
    fields,
    json,
    mapping,
    nullable,
    record,
    ref,
    text,
)
from chalicelib.openapi.security import BASIC_OR_TOKEN, NOBODY
from chalicelib.openapi.shared_shapes import (
    BAD_GATEWAY_REQUEST,
    BUSY_TEXT,
    TEXT_OR_NULL,
    TOO_LARGE_FOR_GATEWAY,
    too_many_crashes,
)


def _page(of: str) -> Schema:
    return record(count=COUNT, next=nullable(URL), previous=nullable(URL), results=array(ref(of)))


_DETAIL = ref("Detail")
_SCHEMAS: Mapping[str, Schema] = {
    "Detail": {**record(detail=TEXT), "examples": [{"detail": "Not found."}]},
    "FieldErrors": {
        **mapping(array(TEXT, minItems=1)),
        "examples": [{"upload_file_minidump": ["This field is required."]}],
    },
    "OmahaCrash": record(
        id=ID,
        upload_file_minidump=described(nullable(URL), "Good for an hour, for whoever has it"),
        archive=nullable(URL),
        appid=TEXT,
        userid=TEXT,
        meta=nullable(mapping(TEXT)),
        signature=TEXT_OR_NULL,
        created=TIME,
        modified=TIME,
        os=TEXT_OR_NULL,
        build_number=TEXT_OR_NULL,
        channel=TEXT_OR_NULL,
        stacktrace_json=described(
            nullable(ref("Stacktrace")), "All threads and modules; null in lists"
        ),
    ),
    "OmahaCrashes": _page("OmahaCrash"),
    "OmahaSymbols": record(
        id=ID,
        file=URL,
        file_size=COUNT,
        debug_id=TEXT_OR_NULL,
        debug_file=TEXT_OR_NULL,
        created=TIME,
        modified=TIME,
    ),
    "OmahaSymbolsPage": _page("OmahaSymbols"),
}

_RETRY = "Seconds to wait"
_WRONG: Answers = {
    400: json("A field is wrong or missing", either(ref("FieldErrors"), ref("GatewayError"))),
    413: json("Above the limit of one request", either(ref("FieldErrors"), ref("GatewayError"))),
    503: json("The store is busy", _DETAIL, Retry_After=_RETRY),
}
_REFUSED: Answers = {
    **_WRONG,
    401: json("No credentials, or none that are known", _DETAIL, WWW_Authenticate="`Basic`"),
    403: json("Credentials whose scope does not cover this", _DETAIL),
    404: json("There is no such thing, or it is another app's", _DETAIL),
    429: json("More passwords are guessed than there is time for", _DETAIL, Retry_After=_RETRY),
}
_ONLY = json("Another method is meant", _DETAIL, Allow="The methods that are")
_NOT_HERE = Operation(
    {405: _ONLY, 400: BAD_GATEWAY_REQUEST, 413: TOO_LARGE_FOR_GATEWAY}, security=NOBODY
)
_NOT_SO = Operation({**_REFUSED, 405: _ONLY}, security=BASIC_OR_TOKEN, scope="read")
_PAGES = (
    Parameter("page", "Counted from 1", {"type": "integer", "minimum": 1, "default": 1}),
    Parameter(
        "page_size",
        f"At most {MAX_PAGE_SIZE}",
        {"type": "integer", "minimum": 1, "default": DEFAULT_PAGE_SIZE},
    ),
)


def _read(answer: Answer, *parameters: Parameter) -> Operation:
    return Operation({**_REFUSED, 200: answer}, parameters, security=BASIC_OR_TOKEN, scope="read")


_DOWNLOAD = Operation(
    {
        200: Answer("The file", {BYTES: FILE}),
        302: Answer("To the store, for what is large", headers={"Location": "A link"}),
        400: _WRONG[400],
        503: _WRONG[503],
        403: json("The link was changed, or has expired", _DETAIL),
        404: json("The crash is gone, or has no such file", _DETAIL),
        413: _WRONG[413],
    },
    (
        Parameter("expires", "As the link has it", TEXT),
        Parameter("signature", "As the link has it", TEXT),
    ),
    security=NOBODY,
)
_REFUSED_FORM = Answer(
    "No such crash, or it is described already",
    {PLAIN: TEXT, HTML: TEXT, JSON: ref("GatewayError")},
)
_FORM_TOO_LARGE = Answer("Above the limit", {PLAIN: TEXT, JSON: ref("GatewayError")})
_SHORT = {**TEXT, "maxLength": MAX_CHARS}

DOOR = Door(
    "omaha-server",
    "Crashes of Omaha's clients, the API that lists them, symbols, and the form in which a user "
    "describes a crash. Times are UTC with microseconds.",
    {
        "omaha.post_crash": Operation(
            {
                **_WRONG,
                **too_many_crashes(_DETAIL),
                200: text("The crash's id, and nothing else", "870123456799991"),
            },
            (),
            Body(
                {
                    FORM: {
                        **fields(
                            upload_file_minidump=described(FILE, "A minidump, `.tar` or `.tar.gz`"),
                            appid=described(_SHORT, "An app's id or its `omaha_id`"),
                            userid=_SHORT,
                        ),
                        "required": ["upload_file_minidump"],
                        "additionalProperties": TEXT,
                    }
                },
                "Every other text field goes to `meta`",
            ),
            NOBODY,
        ),
        "omaha.post_crash_only": _NOT_HERE,
        "omaha.download_minidump": _DOWNLOAD,
        "omaha.download_archive": _DOWNLOAD,
        "omaha.list_crashes": _read(json("A page", ref("OmahaCrashes")), *_PAGES),
        "omaha.get_crash": _read(json("The crash", ref("OmahaCrash"))),
        "omaha.list_crashes_only": _NOT_SO,
        "omaha.get_crash_only": _NOT_SO,
        "omaha_symbols.add_symbols": Operation(
            {
                **_REFUSED,
                201: json("What it is", ref("OmahaSymbols")),
                409: json(
                    "It is there", record(message=TEXT), example={"message": "Duplicate symbol"}
                ),
            },
            (),
            Body({FORM: {**fields(file=FILE, appid=TEXT), "required": ["file"]}}),
            BASIC_OR_TOKEN,
            "upload",
        ),
        "omaha_symbols.list_symbols": _read(
            json(
                "An array; with `page` or `page_size` a page",
                either(array(ref("OmahaSymbols")), ref("OmahaSymbolsPage")),
                Link='`rel="next"`: where the rest of a long array is',
            ),
            *_PAGES,
        ),
        "omaha_symbols.get_symbols": _read(json("The file", ref("OmahaSymbols"))),
        "omaha_symbols.delete_symbols": Operation(
            {**_REFUSED, 204: Answer("It is gone")}, security=BASIC_OR_TOKEN, scope="write"
        ),
        "omaha_symbols.symbols_only": _NOT_SO,
        "omaha_symbols.symbol_file_only": _NOT_SO,
        "crash_details.thanks": Operation(
            {200: Answer("The page", {HTML: TEXT}), 400: BAD_GATEWAY_REQUEST, 413: _FORM_TOO_LARGE}
        ),
        "crash_details.show_form": Operation(
            {
                200: Answer("The form", {HTML: TEXT}),
                400: _REFUSED_FORM,
                413: _FORM_TOO_LARGE,
                503: BUSY_TEXT,
            },
            (Parameter("comment", "What the description begins with", TEXT),),
        ),
        "crash_details.send_form": Operation(
            {
                302: Answer("Taken", headers={"Location": "The page that says thanks"}),
                400: _REFUSED_FORM,
                413: _FORM_TOO_LARGE,
                503: BUSY_TEXT,
            },
            (),
            Body(
                {
                    "application/x-www-form-urlencoded": {
                        **fields(
                            summary={**TEXT, "maxLength": MAX_SUMMARY_CHARS},
                            description={**TEXT, "maxLength": MAX_DESCRIPTION_CHARS},
                        ),
                        "required": ["summary"],
                    }
                },
                example={"summary": "It closed", "description": "I opened the second file"},
            ),
        ),
    },
    _SCHEMAS,
    {
        "crash_id": Parameter("crash_id", "`id` of a crash", TEXT, "path", required=True),
        "symbol_id": Parameter("symbol_id", "`id` of a symbol file", TEXT, "path", required=True),
    },
    "https://github.com/Crystalnix/omaha-server",
)
