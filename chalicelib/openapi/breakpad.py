"""The doors that take minidumps and Breakpad's symbols: Breakpad's own, and Sentry's."""

from __future__ import annotations

from collections.abc import Mapping

from chalicelib.openapi.declared import (
    BYTES,
    FILE,
    FORM,
    INTEGER,
    JSON,
    PLAIN,
    TEXT,
    URL,
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
    record,
    ref,
    text,
    words,
)
from chalicelib.openapi.security import NOBODY, TOKEN_OR_KEY
from chalicelib.openapi.shared_shapes import BUSY_TEXT, TOO_MANY_TEXT, busy, too_many_crashes

_SCHEMAS: Mapping[str, Schema] = {
    "GoogleError": {
        **record(error=record(code=INTEGER, message=TEXT)),
        "examples": [{"error": {"code": 404, "message": "app 'x' not found"}}],
    },
    "SentryError": {**record(detail=TEXT), "examples": [{"detail": "project 'x' not found"}]},
}


def _line(description: str) -> Answer:
    """A line of text, or what the server in front says."""
    return Answer(description, {PLAIN: TEXT, JSON: ref("GatewayError")})


_APP = Parameter("app_id", "The app's public identifier", TEXT, "path", required=True)
_DUMP = described(FILE, "The minidump")
_KEY = "With `key=TOKEN` in the query, or credentials of any other kind"
_PLAIN_REFUSED: Answers = {
    400: _line("The file is missing, or not what it should be"),
    401: text("No credentials, or none that are known"),
    403: text("Credentials whose scope does not cover uploading"),
    404: text("There is no such app"),
    413: _line("Above the limit of one request"),
    503: BUSY_TEXT,
}
_ERROR = ref("GoogleError")
_JSON_REFUSED: Answers = {
    400: json("What was sent is wrong", either(_ERROR, ref("GatewayError"))),
    401: json("No credentials, or none that are known", _ERROR),
    403: json("Credentials whose scope does not cover uploading", _ERROR),
    404: json("There is no such app, build, action or upload", _ERROR),
    413: json("Above the limit of one request", either(_ERROR, ref("GatewayError"))),
    **busy(_ERROR),
}
_KEYED = tuple(status for status in _JSON_REFUSED if status not in {401, 403})

BREAKPAD = Door(
    "Breakpad",
    "Minidumps of Breakpad's, Crashpad's and Electron's uploaders, and symbols of Breakpad's "
    "`sym_upload` in both of its protocols.",
    {
        "breakpad.upload": Operation(
            {
                200: text("The crash's id, and nothing else", "870123456799991"),
                400: _line("No minidump in it"),
                404: text("There is no such app"),
                413: _line("Above the limit of one post; larger ones go in two steps"),
                429: TOO_MANY_TEXT,
                503: BUSY_TEXT,
            },
            (
                Parameter("product", "Kept as an annotation", TEXT),
                Parameter("version", "Kept as an annotation", TEXT),
                Parameter("guid", "Kept as an annotation", TEXT),
            ),
            Body(
                {
                    FORM: {
                        **fields(upload_file_minidump=_DUMP),
                        "required": ["upload_file_minidump"],
                        "additionalProperties": TEXT,
                    }
                },
                "Every other text part is an annotation, every other file an attachment",
            ),
            NOBODY,
        ),
        "breakpad_symbols.upload_symbols": Operation(
            {
                **_PLAIN_REFUSED,
                200: text(
                    "A line for each file", "stored: App.pdb 44E4EC8C2F41492B9369D6B9A059577C2"
                ),
            },
            (),
            Body(
                {
                    FORM: {
                        **fields(symbol_file=FILE, debug_file=TEXT, debug_identifier=TEXT),
                        "required": ["symbol_file"],
                    }
                },
                _KEY,
            ),
            TOKEN_OR_KEY,
            "upload",
        ),
        "breakpad_symbols.check_status": Operation(
            {
                **_JSON_REFUSED,
                200: json("Whether they are there", record(status=words("FOUND", "MISSING"))),
            },
            security=TOKEN_OR_KEY,
            scope="upload",
        ),
        "breakpad_symbols.create_upload": Operation(
            {
                **_JSON_REFUSED,
                200: json("Where to put the file", record(uploadUrl=URL, uploadKey=TEXT)),
            },
            security=TOKEN_OR_KEY,
            scope="upload",
        ),
        "breakpad_symbols.put_symbols": Operation(
            {
                **{status: _JSON_REFUSED[status] for status in _KEYED},
                200: json("It is there", record()),
            },
            body=Body({BYTES: described(FILE, "The symbol file")}),
            security=NOBODY,
        ),
        "breakpad_symbols.complete_upload": Operation(
            {
                **_JSON_REFUSED,
                200: json("What came of it", record(result=words("OK", "DUPLICATE_DATA"))),
            },
            body=Body(
                {JSON: {}},
                "What `sym_upload` says of the file, which is nearly JSON: its name is looked for",
                required=False,
                example={
                    "symbol_id": {
                        "debug_file": "App.pdb",
                        "debug_id": "44E4EC8C2F41492B9369D6B9A059577C2",
                    }
                },
            ),
            security=TOKEN_OR_KEY,
            scope="upload",
        ),
    },
    _SCHEMAS,
    {
        "app_id": _APP,
        "debug_file": Parameter("debug_file", "`App.pdb`", TEXT, "path", required=True),
        "build": Parameter(
            "build",
            "`DEBUG_ID:checkStatus`",
            TEXT,
            "path",
            required=True,
            examples=[("", "44E4EC8C2F41492B9369D6B9A059577C2:checkStatus")],
        ),
        "action": Parameter(
            "action",
            "`uploads:create`",
            TEXT,
            "path",
            required=True,
            examples=[("", "uploads:create")],
        ),
        "upload": Parameter(
            "upload",
            "The upload's key; behind it `:complete` to complete it",
            TEXT,
            "path",
            required=True,
        ),
    },
    "https://chromium.googlesource.com/breakpad/breakpad/",
)

SENTRY = Door(
    "Sentry",
    "The minidump endpoint that sentry-native and Electron's SDK post to: a DSN "
    "`https://ANYTHING@HOST/PROJECT` leads here.",
    {
        "sentry.minidump": Operation(
            {
                200: text("The event's id", "2d104d4f-9f6a-4b2b-9c1e-0b6f3f7d5a11"),
                400: json("No minidump in it", either(ref("SentryError"), ref("GatewayError"))),
                404: json("There is no such project", ref("SentryError")),
                413: json(
                    "Above the limit of one post; larger ones go in two steps",
                    either(ref("SentryError"), ref("GatewayError")),
                ),
                **too_many_crashes(ref("SentryError")),
                **busy(ref("SentryError")),
            },
            (Parameter("sentry_client", "The SDK's name and version", TEXT),),
            Body(
                {
                    FORM: {
                        **fields(upload_file_minidump=_DUMP, sentry=described(TEXT, "The event")),
                        "required": ["upload_file_minidump"],
                    },
                    BYTES: _DUMP,
                    "application/x-dmp": _DUMP,
                }
            ),
            NOBODY,
        )
    },
    {},
    {
        "project": Parameter(
            "project", "An app's public identifier or number", TEXT, "path", required=True
        )
    },
    "https://docs.sentry.io/platforms/native/guides/minidumps/",
)
