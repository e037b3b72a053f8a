"""QuincyKit's scripts."""

from __future__ import annotations

from chalicelib.openapi.declared import (
    FORM,
    PLAIN,
    TEXT,
    XML,
    Answer,
    Body,
    Door,
    Operation,
    described,
    fields,
    ref,
)
from chalicelib.openapi.shared_shapes import (
    BUSY_TEXT,
    PLIST,
    PLIST_EXAMPLE,
    TOO_MANY_TEXT,
)

_POSTED = Operation(
    {
        200: Answer(
            "To a client with `xmlstring`: the best code of all its crashes",
            {XML: TEXT, PLAIN: TEXT},
            example='<?xml version="1.0" encoding="UTF-8"?><result>0</result>',
        ),
        201: Answer("To XML as the body: accepted", {XML: PLIST}, example=PLIST_EXAMPLE),
        400: Answer(
            "To XML as the body: refused; `status` is the code",
            {XML: PLIST, PLAIN: TEXT, "application/json": ref("GatewayError")},
        ),
        413: Answer(
            "Above the limit of one request",
            {PLAIN: TEXT, "application/json": ref("GatewayError")},
        ),
        429: TOO_MANY_TEXT,
        503: BUSY_TEXT,
    },
    body=Body(
        {
            FORM: fields(xmlstring=described(TEXT, "The crashes, as the self-hosted client sends")),
            XML: TEXT,
        },
        example={
            "xmlstring": "<crashes><crash><bundleidentifier>com.example.app</bundleidentifier>"
            "<version>1.0</version><senderversion>1.0</senderversion><log>...</log>"
            "</crash></crashes>"
        },
    ),
)

DOOR = Door(
    "QuincyKit",
    "Finds the app by bundle identifier. Codes: 0 fix unknown, 3 fixed; -2 bundle identifier "
    "unknown, -3 something required is empty, -20 and -21 illegal characters in `version` and "
    "`senderversion`, -40 unreadable XML; in a property list, -80 queued.",
    {"quincykit.crash_v200": _POSTED, "quincykit.crash_v300": _POSTED},
    {},
    url="https://github.com/bitstadium/QuincyKit",
)
