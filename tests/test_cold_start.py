"""What a process imports before its first request: a cold start pays for what it runs."""

from __future__ import annotations

import subprocess
import sys

import pytest

# What they are for stands in docs/dependencies.md.
HEAVY = (
    *("symbolic", "multi_demangle", "cffi", "siggen", "glom", "msgpack", "luqum", "ply"),
    *(
        "boto3",
        "botocore",
        "aws_lambda_powertools",
        "aws_xray_sdk",
        "prometheus_client",
        "granian",
        "click",
        "tqdm",
        "sqlite3",
    ),
    *("chalicelib.formats.minidump.report", "chalicelib.formats.minidump.reader", "subprocess"),
)


def imported_by(code: str) -> set[str]:
    """The modules that a fresh process has after `code`."""
    printing = f"{code}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", printing], check=True, capture_output=True, text=True
    )
    return set(done.stdout.split())


def test_the_app_imports_nothing_heavy() -> None:
    modules = imported_by("import app")
    assert "chalicelib.handlers.hockeyapp" in modules
    assert not modules & set(HEAVY)


def test_a_function_that_no_request_calls_imports_no_door() -> None:
    modules = imported_by("from chalicelib.handlers import events")
    assert not modules & set(HEAVY)
    assert not {name for name in modules if name.startswith("chalicelib.handlers.hockeyapp")}
    assert "chalicelib.handlers.application" not in modules


@pytest.mark.parametrize(
    ("code", "heavy"),
    [
        ("from chalicelib.formats.minidump import report", {"symbolic", "siggen", "cffi"}),
        ("from chalicelib.symbols import store", {"symbolic", "multi_demangle", "subprocess"}),
        ("from chalicelib import signature", {"siggen", "glom"}),
    ],
)
def test_a_minidump_needs_symbols_and_signatures_only_where_it_asks(
    code: str, heavy: set[str]
) -> None:
    assert not imported_by(code) & heavy
