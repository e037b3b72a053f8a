"""Every door, in the order in which the document shows them."""

from __future__ import annotations

from collections.abc import Sequence

from chalicelib.openapi import (
    alerts,
    breakpad,
    followanalytics,
    hockeyapp,
    omaha,
    partycrasher,
    persons,
    policies,
    quincykit,
    service,
    sessions,
)
from chalicelib.openapi.declared import Door

ALL: Sequence[Door] = (
    hockeyapp.DOOR,
    alerts.DOOR,
    policies.DOOR,
    persons.DOOR,
    sessions.DOOR,
    quincykit.DOOR,
    partycrasher.DOOR,
    omaha.DOOR,
    followanalytics.DOOR,
    breakpad.BREAKPAD,
    breakpad.SENTRY,
    service.DOOR,
)
