"""Settings: defaults, the environment, and the page that lists them."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from chalicelib.config import InvalidSetting, Settings

PAGE = Path(__file__).parent.parent / "docs" / "configuration.md"


def test_every_setting_has_its_line_in_the_page() -> None:
    lines = PAGE.read_text().splitlines()
    for setting in fields(Settings):
        line = (
            f"| `CRASHBUCKET_{setting.name.upper()}` | `{setting.default}` | "
            f"{setting.metadata['doc']} |"
        ).replace("| `` |", "| (empty) |")
        assert line in lines


def test_the_environment_beats_the_defaults() -> None:
    settings = Settings.from_environment({"CRASHBUCKET_MAX_DELIVERIES": "9", "HOME": "/"})
    assert settings == Settings(max_deliveries=9)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CRASHBUCKET_MAX_BODY_BYTES", "many"),
        ("CRASHBUCKET_STORE", "floppy"),
        ("CRASHBUCKET_PARTYCRASHER_READ", "sometimes"),
        ("CRASHBUCKET_THRESHOLDS", "4.0,high"),
        ("CRASHBUCKET_THRESHOLDS", "4.0,13"),
        ("CRASHBUCKET_THRESHOLDS", "nan"),
        ("CRASHBUCKET_THRESHOLDS", "1,1.5,2,2.5,3,3.5,4,4.5,5,5.5,6,6.5,7,7.5"),
        ("CRASHBUCKET_DEFAULT_THRESHOLD", "4.2"),
    ],
)
def test_a_setting_that_cannot_be_is_named(variable: str, value: str) -> None:
    with pytest.raises(InvalidSetting, match=variable):
        Settings.from_environment({variable: value})


def test_thresholds_are_sorted_and_written_alike() -> None:
    assert Settings(thresholds="11, 4,3.5").all_thresholds == ("3.5", "4.0", "11.0")
