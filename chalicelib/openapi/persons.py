"""A person's data: what is kept, and its erasure."""

from __future__ import annotations

from chalicelib.openapi.declared import (
    COUNT,
    FLAG,
    ID,
    TEXT,
    TEXTS,
    Answers,
    Door,
    Operation,
    Parameter,
    array,
    const,
    described,
    either,
    json,
    mapping,
    nullable,
    record,
    ref,
)
from chalicelib.openapi.security import TOKEN
from chalicelib.openapi.shared_shapes import BAD_GATEWAY_REQUEST, TEXT_OR_NULL, busy
from chalicelib.persons import MAX_PAGE, WHERE

_ERRORS = ref("HockeyAppErrors")
_REFUSED: Answers = {
    400: BAD_GATEWAY_REQUEST,
    401: json("No token, or one that is not known", _ERRORS),
    403: json("A token whose scope does not cover this, or not every app", _ERRORS),
    413: json("The body is above its limit", either(_ERRORS, ref("GatewayError"))),
    422: json("A parameter is wrong", _ERRORS),
    **busy(_ERRORS),
}
_OF_APP: Answers = {**_REFUSED, 404: json("There is no such app, or it is another's", _ERRORS)}
_WHO = (
    Parameter(
        "identifier",
        "What identifies the person, as it was sent",
        TEXT,
        required=True,
        examples=[("", "jo@example.com")],
    ),
    Parameter(
        "in",
        f"Where to look: some of {', '.join(WHERE)}, with commas between. `user` and `contact` "
        "have an index; the others look at every crash",
        {**TEXT, "default": "contact,user"},
    ),
)
_PAGE = (
    Parameter("after", "The `after` of the page before", TEXT),
    Parameter("per_page", f"1 to {MAX_PAGE}", {**COUNT, "minimum": 1, "maximum": MAX_PAGE}),
)
_NEXT = described(TEXT_OR_NULL, "What the next page is asked for with; null on the last. A page "
                  "may be short, or empty, though more follow")  # fmt: skip
_LETTERS = described(array(ID), "Crashes that could not be read; on the first page")

DOOR = Door(
    "Persons",
    "What is kept of a person, for who asks what that is or wants it gone.",
    {
        "persons.find_person": Operation(
            {**_OF_APP, 200: json("A page of it", ref("KeptOfPerson"))},
            (*_WHO, *_PAGE),
            security=TOKEN,
            scope="read",
        ),
        "persons.erase_person": Operation(
            {
                **_OF_APP,
                200: json("It is gone", ref("ErasedPerson")),
                202: json("A task goes on with the rest", ref("ErasedPerson")),
            },
            _WHO,
            security=TOKEN,
            scope="admin",
        ),
        "persons.find_person_everywhere": Operation(
            {**_REFUSED, 200: json("A page of it", ref("KeptOfPersonEverywhere"))},
            (*_WHO, *_PAGE),
            security=TOKEN,
            scope="read",
        ),
        "persons.erase_person_everywhere": Operation(
            {
                **_REFUSED,
                202: json(
                    "A task for each app",
                    record(
                        apps=COUNT,
                        account=described(FLAG, "Whether there was an account of that email"),
                        status=const("queued"),
                    ),
                ),
            },
            _WHO,
            security=TOKEN,
            scope="admin",
        ),
    },
    {
        "KeptOfCrash": record(
            app_id=TEXT,
            crash=ref("Crash"),
            install_id=TEXT_OR_NULL,
            fields=described(mapping(TEXT), "What its client said beside the log"),
            annotations=mapping(TEXT),
            description=described(TEXT, "What the user wrote, sent with the crash"),
            feedback=described(TEXT, "What the user wrote afterwards"),
            attachments=described(TEXTS, "Names of files"),
            blobs=described(TEXTS, "The payload and what lies beside it, by their keys"),
        ),
        "KeptOfPerson": record(
            crashes=array(ref("KeptOfCrash")),
            dead_letters=_LETTERS,
            after=_NEXT,
            status=const("success"),
        ),
        "KeptOfPersonEverywhere": record(
            crashes=array(ref("KeptOfCrash")),
            dead_letters=_LETTERS,
            account=nullable(record(email=TEXT, scope=TEXT)),
            after=_NEXT,
            status=const("success"),
        ),
        "ErasedPerson": record(
            erased=described(COUNT, "Crashes that went just now"),
            status=described({"enum": ["success", "queued"]}, "`queued`: a task goes on"),
        ),
    },
    {
        "app_id": Parameter(
            "app_id", "The app's public identifier: 32 hex digits", TEXT, "path", required=True
        )
    },
)
