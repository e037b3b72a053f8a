"""Every operation of the OpenAPI document, asked by schemathesis: the answers are as declared.

It makes requests of its own out of the document: those that fit it, those at the edges of what it
allows, and those that do not fit. `CRASHBUCKET_CONTRACT_EXAMPLES` asks for more of them.
"""

from __future__ import annotations

import copy
import os
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from app import app as application
from infra.wsgi import WsgiApp
from tests.described import DOCUMENT
from tests.infra.test_no_500 import known  # noqa: F401 - a fixture

schemathesis.serializer.alias("application/x-dmp", "application/octet-stream")

_EXAMPLES = int(os.environ.get("CRASHBUCKET_CONTRACT_EXAMPLES", "8"))
_KNOWN = "known"  # stands in a path for what is there
_UNKNOWN = ["0", "-1", "9" * 20, "no such", "a%2Fb", "é"]
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


def _asked() -> dict[str, Any]:
    """The document, in which variables of paths are mostly what is there."""
    document = copy.deepcopy(DOCUMENT)
    for methods in document["paths"].values():
        for operation in methods.values():
            for parameter in operation.get("parameters", []):
                if parameter["in"] == "path":
                    parameter.pop("examples", None)
                    parameter["schema"] = {"enum": [_KNOWN, *_UNKNOWN], "type": "string"}
                    parameter["example"] = _KNOWN
    return document


_CONFIG = SchemathesisConfig.from_dict(
    {
        "generation": {"with-security-parameters": False},
        "phases": {"coverage": {"unexpected-methods": []}},
    }
)
_SCHEMA = schemathesis.openapi.from_dict(_asked(), config=_CONFIG)
_SCHEMA.app = WsgiApp(application, 20_000_000)


@pytest.mark.timeout(600)
@_SCHEMA.parametrize()
@_SETTINGS
def test_every_answer_is_as_the_document_says(
    case: schemathesis.Case,
    known: dict[str, str],  # noqa: F811
) -> None:
    for name, value in dict(case.path_parameters or {}).items():
        if value == _KNOWN and name in known:
            case.path_parameters[name] = known[name].split()[0]
    answer = case.call_and_validate(checks=_CHECKS, headers={"X-HockeyAppToken": known["token"]})
    with open("/tmp/stat","a") as f: f.write(f"{case.operation.label} {answer.status_code}\n")
