"""What a person reads of an alert."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chalicelib.alerts.model import Alert, AlertKind
from chalicelib.alerts.wording import MAX_TITLE_CHARS, About, text, title
from chalicelib.queries.groups import CountedGroup
from chalicelib.records import App, Group, Version

AT = "2026-11-21T12:00:00.000000Z"
APP = App("0" * 32, 1, "Démo\n漢", AT)
VERSION = Version(5, APP.app_id, "12", "1.2", AT)
SPIKE = Alert(APP.app_id, AlertKind.SPIKE, "app", "k", AT, "Crashes are spiking", 412, 95_500, 10)
GROUP = CountedGroup(
    Group(7, APP.app_id, 1, "b", AT, AT, 5, class_name="Main", method="run", file="Main.java",
          line=3, exception_type="java.lang.Error", reason="page\n" * 200),
    VERSION, 3, AT, AT,
)  # fmt: skip


def test_the_title_is_one_line_with_the_app_in_it() -> None:
    assert title(About(SPIKE, APP)) == "[Démo 漢] Crashes are spiking"
    assert len(title(About(replace(SPIKE, title="x" * 999), APP))) == MAX_TITLE_CHARS


@pytest.mark.parametrize(
    ("alert", "told"),
    [
        (SPIKE, "412 crashes in 10 minutes, where 95.5 were to be expected."),
        (
            replace(SPIKE, kind=AlertKind.CRASH_FREE_DROP, expected_milli=2_000),
            "412 crashes in 10 minutes, where 2 in as many sessions were to be expected.",
        ),
        (
            replace(SPIKE, kind=AlertKind.NEW_GROUP, observed=11),
            "At least 11 crashes that were not seen before.",
        ),
        (
            replace(SPIKE, kind=AlertKind.NEW_GROUP, group_id=7),
            "A crash that was not seen before.",
        ),
        (
            replace(SPIKE, kind=AlertKind.REGRESSED_GROUP, group_id=7),
            "A crash that was resolved happens again.",
        ),
    ],
)
def test_the_text_begins_with_what_happened(alert: Alert, told: str) -> None:
    assert text(About(alert, APP)) == told


def test_the_text_tells_the_version_and_the_place_and_stays_short() -> None:
    lines = text(About(SPIKE, APP, VERSION, GROUP)).split("\n")
    assert lines[1] == "Version 1.2 (12)"
    assert lines[2].startswith("Main.run (Main.java:3): java.lang.Error: page page ")
    assert len(lines) == 3
    assert len(lines[2]) <= 300


def test_the_text_of_a_spike_tells_what_it_mostly_is() -> None:
    spike = replace(SPIKE, group_id=7, group_percent=84, version_id=5, version_percent=100)
    lines = text(About(spike, APP, VERSION, GROUP)).split("\n")
    assert lines[1] == "100 % of the increase: Version 1.2 (12)"
    assert lines[2].startswith("84 % of the increase: Main.run (Main.java:3): java.lang.Error")
    assert len(lines[2]) <= 300


def test_the_address_leads_to_what_it_is_about() -> None:
    base = f"/api/2/apps/{APP.app_id}"
    assert About(SPIKE, APP).path() == f"{base}/crash_reasons"
    assert About(SPIKE, APP, VERSION).path() == f"{base}/app_versions/5/crash_reasons"
    assert About(SPIKE, APP, VERSION, GROUP).path() == f"{base}/crash_reasons/7"
