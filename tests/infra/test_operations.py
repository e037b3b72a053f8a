"""What the operator's page says is what the stack has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chalicelib.cli import commands
from infra.template.alarms import ALARMS
from infra.template.functions import FUNCTIONS
from infra.template.outputs import outputs
from infra.template.parameters import PARAMETERS

_PAGE = (Path(__file__).resolve().parents[2] / "docs" / "operations.md").read_text()
_OF_FUNCTIONS = tuple(function.name for function in FUNCTIONS)


@pytest.mark.parametrize(
    "name", [alarm.name for alarm in ALARMS if not alarm.name.startswith(_OF_FUNCTIONS)]
)
def test_every_alarm_says_what_it_means_and_what_to_do(name: str) -> None:
    assert re.search(rf"^\|.*`{name}`.*\|.+\|.+\|$", _PAGE, re.MULTILINE)


def test_outputs_and_parameters_that_are_named_are_there() -> None:
    named = set(re.findall(r"output `(\w+)`", _PAGE))
    assert named <= set(outputs())
    chosen = set(re.findall(r"\b([A-Z]\w+)=", _PAGE)) - {"STACK", "PARAMS", "Enabled"}
    known = {parameter.name for parameter in PARAMETERS}
    assert {name for name in chosen if not name.isupper()} <= known | {
        "AttributeName",
        "PointInTimeRecoveryEnabled",
    }


def test_commands_that_are_named_are_there() -> None:
    named = set(re.findall(r"crashbucket (?:--stack \w+ )?([a-z]+)\b", _PAGE))
    assert named <= set(commands.commands)
    assert {"backup", "deadletters", "rebucket", "recount", "reprocess", "symbols"} <= named
