"""The body of a webhook's POST, in the shape that HockeyApp's had.

Its page "How to use HockeyApp webhooks" has `title`, `url`,
`public_identifier`, `sent_at`, `type`, and the API's own object under the name
of the type. Ours have `text` and `alert` on top, and the type `alert` for what
HockeyApp had no object of: the whole app.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from chalicelib import clock, hockeyapp_json
from chalicelib.alerts import alert_json, wording
from chalicelib.alerts.wording import About
from chalicelib.records import App


def of_alert(about: About, base_url: str, now: datetime) -> bytes:
    """UTF-8 JSON; `base_url` stands before the paths of what it links to."""
    app_url = f"{base_url}/api/2/apps/{about.app.app_id}"
    alert_url = f"{app_url}/alerts/{about.alert.alert_id}"
    kind, told = _object(about)
    shaped = {
        **alert_json.alert(about.alert),
        "url": alert_url,
        "acknowledge_url": f"{alert_url}/acknowledge",
    }
    return _encoded(
        {
            "title": wording.title(about),
            "text": wording.text(about),
            "url": base_url + about.path(),
            "public_identifier": about.app.app_id,
            "sent_at": clock.to_wire(now),
            "type": kind,
            kind: shaped if told is None else told,
            "alert": shaped,
        }
    )


def of_ping(app: App | None, base_url: str, now: datetime) -> bytes:
    """What shows that a webhook works; one of every app names none."""
    path = "/api/2/apps" if app is None else f"/api/2/apps/{app.app_id}"
    return _encoded(
        {
            "title": f"Ping for {'every app' if app is None else app.name}",
            "text": "This webhook works.",
            "url": base_url + path,
            "public_identifier": None if app is None else app.app_id,
            "sent_at": clock.to_wire(now),
            "type": "ping",
            "ping": {"hello": "world"},
        }
    )


def _object(about: About) -> tuple[str, dict[str, Any] | None]:
    if about.group is not None:
        return "crash_reason", hockeyapp_json.group(about.group)
    if about.version is not None:
        return "app_version", hockeyapp_json.version(about.version, about.app)
    return "alert", None


def _encoded(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
