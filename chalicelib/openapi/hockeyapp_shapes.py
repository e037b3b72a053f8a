"""The shapes of HockeyApp's API."""

from __future__ import annotations

from collections.abc import Mapping

from chalicelib.openapi.declared import (
    COUNT,
    DAY,
    FLAG,
    ID,
    INTEGER,
    OBJECT,
    TEXT,
    TEXTS,
    TIME,
    URL,
    Schema,
    array,
    const,
    described,
    either,
    mapping,
    nullable,
    record,
    ref,
    words,
)
from chalicelib.openapi.shared_shapes import TEXT_OR_NULL, TIME_OR_NULL
from chalicelib.queries.paging import PER_PAGE_CHOICES
from chalicelib.records import IGNORED, OPEN, RESOLVED

_OK = const("success")

_PAGE: Mapping[str, Schema] = {
    "total_entries": COUNT,
    "total_pages": COUNT,
    "per_page": words(*PER_PAGE_CHOICES),
    "status": _OK,
    "current_page": {"type": "integer", "minimum": 1},
}


def page(**entries: Schema) -> Schema:
    """A page of a list: the entries, and where it stands."""
    return record({**entries, **_PAGE})


_SYMBOL_FILE: Mapping[str, Schema] = {
    "id": ID,
    "debug_id": TEXT_OR_NULL,
    "debug_file": TEXT_OR_NULL,
    "code_id": TEXT_OR_NULL,
    "arch": TEXT_OR_NULL,
    "kind": TEXT,
    "features": TEXTS,
    "filename": TEXT,
    "size": COUNT,
    "sha256": TEXT,
    "bundle_version": TEXT_OR_NULL,
    "bundle_short_version": TEXT_OR_NULL,
    "created_at": TIME,
    "updated_at": TIME,
}

SCHEMAS: Mapping[str, Schema] = {
    "HockeyAppErrors": {
        **record(errors=mapping(TEXTS)),
        "description": "What is wrong, by field; `credentials` is the field of a 401 or 403",
        "examples": [{"errors": {"format": ["is required: log, json or text"]}}],
    },
    "App": record(
        id=ID,
        title=TEXT,
        bundle_identifier=TEXT_OR_NULL,
        public_identifier=described(TEXT, "`APP_ID` of the paths"),
        platform=TEXT_OR_NULL,
        created_at=TIME,
        updated_at=TIME,
        device_family=TEXT_OR_NULL,
        minimum_os_version=TEXT_OR_NULL,
        release_type=INTEGER,
        status=INTEGER,
        role=INTEGER,
    ),
    "Version": record(
        id=ID,
        app_id=ID,
        app_owner=TEXT,
        title=TEXT,
        version=TEXT,
        shortversion=TEXT,
        timestamp=described(INTEGER, "Seconds since 1970"),
        created_at=TIME,
        updated_at=TIME,
        appsize=INTEGER,
        notes=TEXT,
        status=INTEGER,
        mandatory=FLAG,
        external=FLAG,
        block_crashes=FLAG,
        restricted_to_tags=FLAG,
        config_url=TEXT,
        download_url=TEXT_OR_NULL,
        device_family=TEXT_OR_NULL,
        minimum_os_version=TEXT_OR_NULL,
        expired_at=TEXT_OR_NULL,
        sdk_version=TEXT_OR_NULL,
        uuids=nullable(OBJECT),
    ),
    "CrashReason": {
        **record(
            id=ID,
            app_id=ID,
            app_version_id=described(ID, "Of the latest crash; in a version's list that version"),
            number_of_crashes=COUNT,
            created_at=TIME,
            updated_at=TIME,
            last_crash_at=TIME,
            bundle_short_version=TEXT_OR_NULL,
            bundle_version=TEXT_OR_NULL,
            status=described(words(OPEN, RESOLVED, IGNORED), "0 open, 1 resolved, 2 ignored"),
            fixed=FLAG,
            file=TEXT_OR_NULL,
            **{"class": TEXT_OR_NULL},
            method=TEXT_OR_NULL,
            line=TEXT_OR_NULL,
            reason=TEXT_OR_NULL,
            exception_type=TEXT_OR_NULL,
            grouping_hash=TEXT,
            grouping_type=INTEGER,
            pattern=TEXT_OR_NULL,
            ticket_url=TEXT_OR_NULL,
            resolved_at=TIME_OR_NULL,
            regressed_at=described(TIME_OR_NULL, "When it crashed again after it was resolved"),
            regressed_in_version_id=nullable(ID),
        ),
        "description": "A group of crashes that share a cause",
        "examples": [
            {
                "id": 870123456789012,
                "app_id": 870123456700001,
                "app_version_id": 870123456780002,
                "number_of_crashes": 948,
                "created_at": "2011-10-18T16:59:03Z",
                "updated_at": "2011-10-19T19:38:10Z",
                "last_crash_at": "2011-10-19T19:35:02Z",
                "bundle_short_version": "1.0",
                "bundle_version": "90",
                "status": 1,
                "fixed": True,
                "file": "main.m",
                "class": "-",
                "method": "main",
                "line": "5",
                "reason": "*** Terminating app due to uncaught exception",
                "exception_type": "NSInternalInconsistencyException",
                "grouping_hash": "870123456789012",
                "grouping_type": 0,
                "pattern": None,
                "ticket_url": None,
                "resolved_at": "2011-10-19T19:38:10Z",
                "regressed_at": None,
                "regressed_in_version_id": None,
            }
        ],
    },
    "Crash": {
        **record(
            id=ID,
            app_id=ID,
            app_version_id=ID,
            crash_reason_id=ID,
            created_at=described(TIME, "When it was received"),
            updated_at=TIME,
            oem=TEXT,
            model=TEXT,
            bundle_version=TEXT_OR_NULL,
            bundle_short_version=TEXT_OR_NULL,
            contact_string=TEXT,
            user_string=TEXT,
            os_version=TEXT,
            jail_break=nullable(FLAG),
            has_log=FLAG,
            has_description=FLAG,
        ),
        "description": "One crash of one device",
        "examples": [
            {
                "id": 870123456799991,
                "app_id": 870123456700001,
                "app_version_id": 870123456780002,
                "crash_reason_id": 870123456789012,
                "created_at": "2011-10-18T16:59:03Z",
                "updated_at": "2011-10-18T16:59:03Z",
                "oem": "Apple",
                "model": "iPhone 4",
                "bundle_version": "90",
                "bundle_short_version": "1.0",
                "contact_string": "",
                "user_string": "",
                "os_version": "5.0",
                "jail_break": False,
                "has_log": True,
                "has_description": False,
            }
        ],
    },
    "CrashWaits": record(status=const("processing"), id=ID),
    "CrashAccepted": record(id=ID, status=_OK),
    "Annotation": record(
        status=words("success", "empty"),
        crash_annotations=nullable(
            array(
                record(id=ID, crash_reason_id=ID, text=TEXT, created_at=TIME, updated_at=TIME),
                minItems=1,
                maxItems=1,
            )
        ),
    ),
    "Histogram": {
        **record(
            status=_OK,
            histogram=array(array(either(DAY, COUNT), minItems=2, maxItems=2)),
        ),
        "description": "The day and how many crashes, of each day, those without any among them",
        "examples": [{"status": "success", "histogram": [["2012-04-26", 25], ["2012-04-27", 0]]}],
    },
    "Done": record(status=_OK),
    "StacksOfGroup": described(
        record(
            stacks=array(
                record(
                    stack=TEXT,
                    number_of_crashes=COUNT,
                    created_at=TIME,
                    last_crash_at=TIME,
                    functions=TEXTS,
                )
            ),
            status=_OK,
        ),
        "The stacks of a group, those with the most crashes first",
    ),
    "Decisions": described(
        record(
            merges=array(record(id=ID, into=ID, at=TIME)),
            splits=array(record({"id": ID, "from": ID, "stack": TEXT, "at": TIME})),
            status=_OK,
        ),
        "What people merged into a group and split off it, the latest first",
    ),
    "SymbolFile": record(_SYMBOL_FILE),
    "AddedSymbolFile": described(
        record(_SYMBOL_FILE, is_new={"type": "boolean"}),
        "`is_new` is false for a file that was there with the same content",
    ),
    "LinkedSymbolFile": described(
        record(_SYMBOL_FILE, download_url=URL), "`download_url` is good for an hour"
    ),
    "MissingSymbols": record(
        debug_id=TEXT_OR_NULL,
        debug_file=TEXT_OR_NULL,
        number_of_crashes=COUNT,
        number_of_stacks=COUNT,
    ),
    "Apps": record(apps=array(ref("App")), status=_OK),
    "Versions": page(app_versions=array(ref("Version"))),
    "CrashReasons": page(crash_reasons=array(ref("CrashReason"))),
    "Crashes": page(crash_reason=ref("CrashReason"), crashes=array(ref("Crash"))),
    "FoundCrashes": page(crashes=array(ref("Crash"))),
    "Statistics": record(
        app_versions=array(
            record(
                id=ID,
                version=TEXT,
                shortversion=TEXT,
                created_at=TIME,
                statistics=described(
                    record(
                        crashes=COUNT,
                        devices=const(0),
                        downloads=const(0),
                        installs=const(0),
                        last_request_at={"type": "null"},
                        usage_time=const("0:00:00"),
                    ),
                    "Nobody installed it from here: only the crashes are counted",
                ),
            )
        ),
        status=_OK,
    ),
    "Attachments": record(
        attachments=array(record(name=TEXT, filename=TEXT, content_type=TEXT, size=COUNT, url=URL)),
        status=_OK,
    ),
    "UpdatedCrashReason": record(crash_reason=ref("CrashReason"), status=_OK),
    "AnnotationRemoved": record(status=_OK, crash_annotations={"type": "null"}),
    "SymbolFiles": page(symbols=array(ref("SymbolFile"))),
    "AddedSymbolFiles": record(symbols=array(ref("AddedSymbolFile")), status=_OK),
    "MissingSymbolsList": page(missing=array(ref("MissingSymbols"))),
    "SignedUpload": {
        **record(
            upload_id=TEXT, url=URL, method=const("POST"), fields=mapping(TEXT), expires_at=TIME
        ),
        "description": "A form to send the dump in: `fields` first, then the dump as `file`",
    },
    "UploadState": described(
        record(
            state=words("waiting", "received", "processed", "failed"),
            crash_id=nullable(ID),
            reason=TEXT_OR_NULL,
        ),
        "`crash_id` is known once the dump is there, `reason` when it failed",
    ),
}
