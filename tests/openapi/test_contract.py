"""Every operation of the OpenAPI document, asked by schemathesis: the answers are as declared.

It makes requests of its own out of the document: those that fit it, those at the edges of what it
allows, and those that do not fit. `CRASHBUCKET_CONTRACT_EXAMPLES` asks for more of them.
"""

from __future__ import annotations

import copy
import os
from http import HTTPStatus
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from app import app as application
from chalicelib.bootstrap import Services
from chalicelib.occurrences import occurrence_of
from chalicelib.records import App
from infra.wsgi import WsgiApp
from tests.crashes import ANDROID_EXAMPLE
from tests.described import DOCUMENT
from tests.handlers.test_omaha_symbols import SYM
from tests.infra.test_no_500 import known  # noqa: F401 - a fixture
from tests.minidump_forms import DUMP

_EXAMPLES = int(os.environ.get("CRASHBUCKET_CONTRACT_EXAMPLES", "5"))
_KNOWN = ("known-0", "known-1")  # stand in a path for what is there
_UNKNOWN = ("0", "no such")
_USER = {"email": "jo@example.com", "password": "open sesame"}  # of the document's example
_FILES = (DUMP, SYM, ANDROID_EXAMPLE.encode(), b"a.B -> a.a:\n    int f -> a\n")
_EXPORT = DOCUMENT["paths"]["/api/crashes/{crash_identifier}/export_occurrences"]["get"]
_OCCURRENCE = [  # as the document shows one: in its place stands one that is there
    example["value"]
    for parameter in _EXPORT["parameters"]
    for example in parameter.get("examples", {}).values()
]
_SETTINGS = settings(
    max_examples=_EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
_CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]

schemathesis.openapi.format("binary", st.sampled_from([*_FILES, b"\0"]))
schemathesis.serializer.alias("application/x-dmp", "application/octet-stream")


def _asked() -> dict[str, Any]:
    """The document, in which variables of paths are mostly what is there."""
    document = copy.deepcopy(DOCUMENT)
    for methods in document["paths"].values():
        for operation in methods.values():
            for parameter in operation.get("parameters", []):
                if parameter["in"] == "path":
                    parameter.pop("examples", None)
                    parameter["schema"] = {"enum": [*_KNOWN, *_UNKNOWN], "type": "string"}
                    parameter["example"] = _KNOWN[0]
    return document


_CONFIG = SchemathesisConfig.from_dict(
    {
        "generation": {"with-security-parameters": False},
        "phases": {"coverage": {"unexpected-methods": []}},
    }
)
_SCHEMA = schemathesis.openapi.from_dict(_asked(), config=_CONFIG)
_SCHEMA.app = WsgiApp(application, 20_000_000)


@pytest.fixture
def there(
    request: pytest.FixtureRequest,
    services: Services,
    app: App,
    known: dict[str, str],  # noqa: F811
) -> dict[str, str]:
    """Values for variables of paths, a token that opens everything, and a crash's occurrence.

    What takes long to make (a process for symbols, a hash for a password) is made where the
    operation, which is part of the test's name, looks at it.
    """
    operation = request.node.name
    report = services.crashes.report(int(known["crash_id"].split()[0]))
    found = occurrence_of(report)
    made = {**known, "id": found.id, "log_id": found.log_id, "date": found.date}
    if "{symbol_id}" in operation:
        (own,) = services.symbols.add(SYM, app_id=app.app_id, filename="App.sym")
        made["symbol_id"] = f"{own.file.file_id} {known['symbol_id']}"
    if "/login" in operation:
        services.users.create(_USER["email"], _USER["password"], app_ids=None, scope="admin")
    return made


@pytest.mark.timeout(600)
@_SCHEMA.parametrize()
@_SETTINGS
def test_every_answer_is_as_the_document_says(
    case: schemathesis.Case, there: dict[str, str]
) -> None:
    for name, value in dict(case.path_parameters).items():
        if value in _KNOWN and name in there:
            values = there[name].split()
            case.path_parameters[name] = values[_KNOWN.index(value) % len(values)]
    for name, value in dict(case.query).items():
        if value in _OCCURRENCE:
            case.query[name] = there[name]
    answer = case.call_and_validate(checks=_CHECKS, headers={"X-HockeyAppToken": there["token"]})
    assert answer.status_code != HTTPStatus.UNSUPPORTED_MEDIA_TYPE
