"""Shapes that several doors answer with."""

from __future__ import annotations

from collections.abc import Mapping

from chalicelib.openapi.declared import (
    COUNT,
    FLAG,
    INTEGER,
    PLAIN,
    TEXT,
    TEXTS,
    TIME,
    XML,
    Answer,
    Answers,
    Schema,
    array,
    described,
    json,
    mapping,
    nullable,
    record,
    ref,
)

TEXT_OR_NULL = nullable(TEXT)
COUNT_OR_NULL = nullable(COUNT)
TIME_OR_NULL = nullable(TIME)
HEX = nullable({"type": "string", "pattern": "^-?0x[0-9a-f]+$"})

_EXCEPTION = record(
    type=TEXT_OR_NULL,
    reason=TEXT_OR_NULL,
    relation=TEXT_OR_NULL,
    frames=array(ref("Frame")),
    frames_in_common=INTEGER,
)
_MODULE_PLACE: Mapping[str, Schema] = {
    "filename": TEXT_OR_NULL,
    "path": TEXT_OR_NULL,
    "base_addr": HEX,
    "end_addr": HEX,
    "code_id": TEXT_OR_NULL,
}
_WHOLE_REPORT: Mapping[str, Schema] = {
    "status": {"const": "OK"},
    "crash_info": record(
        type=TEXT_OR_NULL,
        address=HEX,
        reason=TEXT_OR_NULL,
        assertion=TEXT_OR_NULL,
        crashing_thread=described(COUNT_OR_NULL, "Its place in `threads`"),
    ),
    "pid": nullable(INTEGER),
    "process_create_time": TEXT_OR_NULL,
    "crash_time": TEXT_OR_NULL,
    "command_line": TEXTS,
    "system_info": record(
        os=TEXT_OR_NULL,
        os_ver=TEXT_OR_NULL,
        os_build=TEXT_OR_NULL,
        distribution=TEXT_OR_NULL,
        cpu_arch=TEXT_OR_NULL,
        cpu_info=TEXT_OR_NULL,
        cpu_model=TEXT_OR_NULL,
        cpu_count=COUNT_OR_NULL,
        platform=TEXT_OR_NULL,
        device=TEXT_OR_NULL,
    ),
    "exceptions": array(_EXCEPTION),
    "threads": array(ref("Thread")),
    "modules": array(
        record(
            _MODULE_PLACE,
            debug_file=TEXT_OR_NULL,
            debug_id=TEXT_OR_NULL,
            version=TEXT_OR_NULL,
            arch=TEXT_OR_NULL,
            missing_symbols=FLAG,
        )
    ),
    "unloaded_modules": array(record(_MODULE_PLACE)),
    "annotations": mapping(TEXT),
    "unread": described(TEXTS, "What of the payload could not be read"),
}

SCHEMAS: Mapping[str, Schema] = {
    "Frame": described(
        record(
            frame=COUNT,
            module=TEXT_OR_NULL,
            function=TEXT_OR_NULL,
            file=TEXT_OR_NULL,
            line=nullable(INTEGER),
            offset=HEX,
            module_offset=HEX,
            trust=TEXT_OR_NULL,
            in_app=nullable(FLAG),
            inlines=nullable(
                array(record(function=TEXT_OR_NULL, file=TEXT_OR_NULL, line=nullable(INTEGER)))
            ),
        ),
        "A frame on the stack; `inlines` are the functions compiled into it, innermost first",
    ),
    "Thread": record(
        number=nullable(INTEGER),
        thread_id=nullable(INTEGER),
        thread_name=TEXT_OR_NULL,
        crashed=FLAG,
        registers=mapping(HEX),
        frames=array(ref("Frame")),
    ),
    "WholeReport": described(
        record(_WHOLE_REPORT, sent=mapping(TEXT)),
        "Everything read of a crash, in the shape of rust-minidump's stackwalker; `sent` is what "
        "the client said beside a minidump",
    ),
    "Stacktrace": described(
        record(
            _WHOLE_REPORT,
            {
                "crashing_thread": record(
                    threads_index=COUNT, total_frames=COUNT, frames=array(ref("Frame"))
                )
            },
        ),
        "The same, and the crashed thread once more",
    ),
    "GatewayError": described(
        record(message=TEXT), "What the server in front answers before a request gets to its API"
    ),
}

PLIST: Schema = {
    "type": "string",
    "description": "A property list: `id` (text), `delay` in milliseconds, `status`, of a refusal "
    "`message`",
    "contentMediaType": "text/xml",
}
PLIST_EXAMPLE = """\
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
\t<key>id</key>
\t<string>201479837</string>
\t<key>delay</key>
\t<integer>1000</integer>
\t<key>status</key>
\t<integer>-80</integer>
</dict>
</plist>
"""


def plist(description: str, **headers: str) -> Answer:
    named = {name.replace("_", "-"): told for name, told in headers.items()}
    return Answer(description, {XML: PLIST}, named, PLIST_EXAMPLE)


BAD_GATEWAY_REQUEST = json(
    "A query of more than 1000 fields, or a body that breaks off", ref("GatewayError")
)
TOO_LARGE_FOR_GATEWAY = json("A body above the limit of one request", ref("GatewayError"))
RETRY = "Seconds to wait"
BUSY_GATEWAY = json("The store is busy, or away", ref("GatewayError"), Retry_After=RETRY)


def busy(error: Schema) -> Answers:
    """What every route of a door may answer, with its shape of an error."""
    return {503: json("The store is busy, or away", error, Retry_After=RETRY)}


def too_many_crashes(error: Schema) -> Answers:
    """What a route may answer that takes crashes."""
    return {429: json("More crashes a minute than the app takes", error, Retry_After=RETRY)}


BUSY_TEXT = Answer("The store is busy, or away", {PLAIN: TEXT}, {"Retry-After": RETRY})
TOO_MANY_TEXT = Answer(
    "More crashes a minute than the app takes", {PLAIN: TEXT}, {"Retry-After": RETRY}
)
